"""The columns of a batch as Arrow lays them out in memory: which format each has, and its buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from streams.columns import Column, column_from_values
from streams.models import column_kind

if TYPE_CHECKING:
    from streams.batch import Batch

_INT32_MAX = 2**31 - 1
_FORMATS: dict[type, bytes] = {bool: b"b", int: b"l", float: b"g", str: b"u", bytes: b"z"}
_DTYPE_OF: dict[bytes, type] = {b"b": np.bool_, b"l": np.int64, b"g": np.float64}
_LARGE = {b"u": b"U", b"z": b"Z"}

Buffers = list[npt.NDArray[Any] | None]


@dataclass(frozen=True, slots=True)
class ArrowColumn:
    """A column ready for export: Arrow's format string, and buffers, first the validity bitmap (None: all valid)."""

    name: bytes
    format: bytes
    buffers: Buffers
    null_count: int = 0
    nullable: bool = True


def columns_of(batch: Batch) -> list[ArrowColumn]:
    """Key, timestamp (ms, UTC), offset, then the fields of the value, or `value` if it has none.

    Where a field of the value has one of the first three names, it keeps it, and the record's own is called
    `record_key`, `record_timestamp` or `record_offset`.
    """
    fields = list(_field_columns(batch))
    taken = {column.name for column in fields}

    def free(name: bytes) -> bytes:
        return b"record_" + name if name in taken else name

    return [
        _column(free(b"key"), column_from_values(batch.keys), None),
        ArrowColumn(free(b"timestamp"), b"tsm:UTC", [None, np.ascontiguousarray(batch.timestamps)], nullable=False),
        ArrowColumn(free(b"offset"), b"l", [None, np.ascontiguousarray(batch.offsets)], nullable=False),
        *fields,
    ]


def _field_columns(batch: Batch) -> Iterator[ArrowColumn]:
    record = _record_type(batch)
    if record is None:
        yield _column(b"value", column_from_values(batch.values), batch.value_type)
        return
    for field in msgspec.structs.fields(record):
        declared = column_kind(record, field.name) or field.type
        yield _column(field.name.encode(), batch.column(field.name), declared)


def _record_type(batch: Batch) -> type[msgspec.Struct] | None:
    declared = batch.value_type
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        return declared
    if declared is None:
        kinds = set(map(type, batch.values)) - {NoneType}
        found = kinds.pop() if len(kinds) == 1 else None
        if found is not None and issubclass(found, msgspec.Struct):
            return found
    return None


def _column(name: bytes, column: Column, declared: Any) -> ArrowColumn:
    format_ = _format(column, declared)
    valid = column.valid
    nulls = 0 if valid is None else len(valid) - int(np.count_nonzero(valid))
    bitmap = None if nulls == 0 or valid is None else np.packbits(valid, bitorder="little")
    if format_ in _DTYPE_OF:
        return ArrowColumn(name, format_, [bitmap, _numbers(column, format_)], nulls)
    values = column.to_list()
    parts = values if format_ in _LARGE else _as_json(name, values)
    offsets, text = _variable(parts)
    plain = format_ if format_ in _LARGE else b"u"
    return ArrowColumn(name, plain if offsets.dtype == np.int32 else _LARGE[plain], [bitmap, offsets, text], nulls)


def _format(column: Column, declared: Any) -> bytes:
    """Arrow's format for a column: of the declared type if the values fit it, else of the values; b"" for JSON text.

    Declared first, so that batches with nothing but None in a field have the types of the others.
    """
    arms = [arm for arm in get_args(declared) or (declared,) if arm is not NoneType]
    wanted = _FORMATS.get(arms[0]) if len(arms) == 1 and isinstance(arms[0], type) else None
    if column.values.dtype != object:
        found = next(format_ for format_, dtype in _DTYPE_OF.items() if column.values.dtype == dtype)
        return b"g" if (wanted, found) == (b"g", b"l") else found
    kinds = set(map(type, column.to_list())) - {NoneType}
    if not kinds:
        return wanted or (b"u" if declared is None else b"")
    return next((format_ for kind, format_ in ((str, b"u"), (bytes, b"z")) if kinds == {kind}), b"")


def _numbers(column: Column, format_: bytes) -> npt.NDArray[Any]:
    if column.values.dtype == object:  # nothing but None
        return np.zeros(len(column), np.int64)
    data: npt.NDArray[Any] = np.ascontiguousarray(column.values, _DTYPE_OF[format_])
    return np.packbits(data, bitorder="little") if format_ == b"b" else data


def _as_json(name: bytes, values: Sequence[Any]) -> list[str | None]:
    try:
        return [None if value is None else msgspec.json.encode(value).decode() for value in values]
    except (TypeError, OverflowError) as error:
        raise TypeError(
            f"column {name.decode()!r} is neither numbers, text nor bytes, and does not encode as JSON: {error}"
        ) from error


def _variable(parts: Iterable[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Offsets and data of text or bytes; None takes no room. Offsets are int64 where 2 GiB of data need it."""
    encoded = [b"" if part is None else part.encode() if isinstance(part, str) else part for part in parts]
    data = b"".join(encoded)
    dtype: type = np.int32 if len(data) <= _INT32_MAX else np.int64
    offsets: npt.NDArray[Any] = np.fromiter(accumulate(map(len, encoded), initial=0), dtype, len(encoded) + 1)
    return offsets, np.frombuffer(data, np.uint8)
