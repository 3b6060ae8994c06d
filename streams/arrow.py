"""A batch as an Arrow C stream, made by ctypes: readers of Arrow take it as it is, and no Arrow library is needed here.

The structs and their rules are those of the Arrow C data, C stream and PyCapsule interfaces. Three owners matter: the
capsule owns the stream struct until it dies; each exported struct owns, under a number in `_alive`, the buffers it
points to; a consumer may move any struct away (it copies it and clears the original's `release`), so every child owns
its own buffers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, POINTER, PYFUNCTYPE, Structure, c_char_p, c_int, c_int64, c_void_p, py_object
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from streams.arrow_columns import ArrowColumn, columns_of

if TYPE_CHECKING:
    from streams.batch import Batch

NULLABLE = 2
"""ARROW_FLAG_NULLABLE."""

_EINVAL = 22
_CAPSULE_NAME = b"arrow_array_stream"  # a capsule keeps this pointer: it has to live as long as the module


class _Schema(Structure):
    pass


class _Array(Structure):
    pass


class _Stream(Structure):
    pass


_SchemaRelease = CFUNCTYPE(None, POINTER(_Schema))
_ArrayRelease = CFUNCTYPE(None, POINTER(_Array))
_StreamRelease = CFUNCTYPE(None, POINTER(_Stream))
_GetSchema = CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Schema))
_GetNext = CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Array))
_GetLastError = CFUNCTYPE(c_void_p, POINTER(_Stream))

_Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(_Schema))),
    ("dictionary", POINTER(_Schema)),
    ("release", _SchemaRelease),
    ("private_data", c_void_p),
]
_Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(_Array))),
    ("dictionary", POINTER(_Array)),
    ("release", _ArrayRelease),
    ("private_data", c_void_p),
]
_Stream._fields_ = [
    ("get_schema", _GetSchema),
    ("get_next", _GetNext),
    ("get_last_error", _GetLastError),
    ("release", _StreamRelease),
    ("private_data", c_void_p),
]

_alive: dict[int, Any] = {}
"""What exported structs point to, by their `private_data`, until their release is called."""

_numbers = count(1)


def _keep(owned: Any) -> int:
    number = next(_numbers)
    _alive[number] = owned
    return number


class _Export:
    """What a stream struct stands for: one batch, handed out once."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.columns: list[ArrowColumn] = columns_of(batch)
        self.handed_out = False
        self.error: Any = None


def export_stream(batch: Batch, requested_schema: object | None = None) -> object:
    """The batch as a PyCapsule "arrow_array_stream" of one struct array. It lives until the consumer releases it.

    `requested_schema` is a wish that the interface lets a producer leave unmet: types are always those of the batch.
    Raises TypeError for values that are neither numbers, text nor bytes and do not encode as JSON.

    >>> from streams.batch import Batch
    >>> type(export_stream(Batch.of([("AA", 1.5)]))).__name__
    'PyCapsule'
    """
    stream = _Stream(_get_schema, _get_next, _get_last_error, _release_stream, _keep(_Export(batch)))
    address = ctypes.addressof(stream)
    capsule = _capsule_new(address, _CAPSULE_NAME, _destroy_capsule)
    _capsules[address] = stream
    return capsule


_capsules: dict[int, _Stream] = {}
"""The memory of stream structs, by address, until their capsule dies."""

_capsule_new = PYFUNCTYPE(py_object, c_void_p, c_char_p, c_void_p)(("PyCapsule_New", ctypes.pythonapi))
_capsule_pointer = PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))


def _on_destroy_capsule(capsule: int) -> None:
    """Called with an address, not a py_object: a reference would bring the dying capsule back to life."""
    stream = _capsules.pop(_capsule_pointer(capsule, _CAPSULE_NAME))
    if stream.release:
        stream.release(ctypes.byref(stream))


# -- the stream's functions


def _export_of(stream: Any) -> _Export:
    found: _Export = _alive[stream.contents.private_data]
    return found


def _answer(stream: Any, fill: Callable[[_Export], None]) -> int:
    """0, or an error number with the message kept for `get_last_error`: an exception cannot pass through C."""
    export = _export_of(stream)
    try:
        fill(export)
    except Exception as error:  # noqa: BLE001 - told to the consumer, who raises it
        export.error = ctypes.create_string_buffer(f"{type(error).__name__}: {error}".encode())
        return _EINVAL
    return 0


def _on_get_schema(stream: Any, out: Any) -> int:
    return _answer(stream, lambda export: _fill_root_schema(out, export.columns))


def _on_get_next(stream: Any, out: Any) -> int:
    def fill(export: _Export) -> None:
        if export.handed_out:
            ctypes.memset(out, 0, ctypes.sizeof(_Array))  # an array without release ends the stream
        else:
            _fill_root_array(out, export)
            export.handed_out = True

    return _answer(stream, fill)


def _on_get_last_error(stream: Any) -> int | None:
    error = _export_of(stream).error
    return None if error is None else ctypes.addressof(error)


def _on_release_stream(stream: Any) -> None:
    del _alive[stream.contents.private_data]
    stream.contents.release = _StreamRelease()


# -- schemas


def _fill_root_schema(out: Any, columns: Sequence[ArrowColumn]) -> None:
    children = (_Schema * len(columns))()
    for child, column in zip(children, columns, strict=True):
        _fill_schema(child, column.format, column.name, NULLABLE if column.nullable else 0, None, 0, ())
    pointers = _pointers(_Schema, children)
    _fill_schema(out.contents, b"+s", b"", 0, pointers, len(columns), (children, pointers))


def _fill_schema(
    schema: _Schema, format_: bytes, name: bytes, flags: int, children: Any, n_children: int, owned: Any
) -> None:
    schema.format, schema.name, schema.metadata = format_, name, None
    schema.flags, schema.n_children = flags, n_children
    schema.children = children
    schema.dictionary = None
    schema.release = _release_schema
    schema.private_data = _keep((format_, name, owned))


def _on_release_schema(schema: Any) -> None:
    _release(schema.contents, _SchemaRelease())


# -- arrays


def _fill_root_array(out: Any, export: _Export) -> None:
    length, columns = len(export.batch), export.columns
    children = (_Array * len(columns))()
    for child, column in zip(children, columns, strict=True):
        _fill_array(child, length, column.null_count, column.buffers, None, 0, ())
    pointers = _pointers(_Array, children)
    _fill_array(out.contents, length, 0, [None], pointers, len(columns), (children, pointers, export.batch))


def _fill_array(
    array: _Array, length: int, nulls: int, buffers: Sequence[Any], children: Any, n_children: int, owned: Any
) -> None:
    addresses = (c_void_p * len(buffers))(*[None if buffer is None else _address(buffer) for buffer in buffers])
    array.length, array.null_count, array.offset = length, nulls, 0
    array.n_buffers, array.n_children = len(buffers), n_children
    array.buffers = addresses
    array.children = children
    array.dictionary = None
    array.release = _release_array
    array.private_data = _keep((buffers, addresses, owned))


def _address(buffer: np.ndarray[Any, Any]) -> int:
    address: int = buffer.__array_interface__["data"][0]
    return address


def _on_release_array(array: Any) -> None:
    _release(array.contents, _ArrayRelease())


def _pointers(kind: type, children: Any) -> Any:
    return (POINTER(kind) * len(children))(*[ctypes.pointer(child) for child in children])


def _release(struct: Any, released: Any) -> None:
    """Release the children that were not moved away, then what the struct owns, their memory included."""
    for index in range(struct.n_children):
        child = struct.children[index]
        if child.contents.release:
            child.contents.release(child)
    struct.release = released
    del _alive[struct.private_data]


# -- as C calls them

_destroy_capsule = CFUNCTYPE(None, c_void_p)(_on_destroy_capsule)
_get_schema = _GetSchema(_on_get_schema)
_get_next = _GetNext(_on_get_next)
_get_last_error = _GetLastError(_on_get_last_error)
_release_stream = _StreamRelease(_on_release_stream)
_release_schema = _SchemaRelease(_on_release_schema)
_release_array = _ArrayRelease(_on_release_array)
