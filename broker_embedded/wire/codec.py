"""Bytes <-> messages, for every API key and version, compiled from the schema when a message is first used.

For each row of a message and version two functions are made: one reads it from a frame into our struct, one writes it
as pieces of bytes. Fields of fixed size that follow one another are one `struct` call, which makes the difference
between 3 and 10 us for a Fetch of one partition; that is why these two functions are source text, as dataclasses' are,
and everything else is a plain function.

A field that our struct does not have is read and dropped, and written with Kafka's default. A struct's field that a
version lacks keeps its default. Versions of another shape are brought into the newest one by `older_versions.py`.

>>> from broker_embedded.wire.messages.groups import HeartbeatRequest
>>> request = HeartbeatRequest("billing", 7, "member-1")
>>> body = b"".join(encode_request(12, 4, request))
>>> decode_request(12, 4, body, 0) == request
True
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec.structs import fields as struct_fields

from broker_embedded.wire import primitives as wire
from broker_embedded.wire.messages import Buffer, Message, Request, Response, request_type, response_type, row_types
from broker_embedded.wire.older_versions import OLDER
from broker_embedded.wire.primitives import EncodeError, Frame, MalformedError, Write
from broker_embedded.wire.schema import Field, Kind, Row, schema

Read = Callable[[Frame, int], tuple[Any, int]]
WriteValue = Callable[[Write, Any], None]

_FIXED = {"int8": "b", "int16": "h", "uint16": "H", "int32": "i", "int64": "q", "bool": "?", "float64": "d"}
_FAULTS = (struct.error, IndexError, UnicodeDecodeError)


def decode_request(api_key: int, version: int, frame: Frame, at: int) -> Request:
    """The body of a request that begins at byte `at`. Raises MalformedError."""
    request: Request = _decode(api_key, version, "request", frame, at)
    return request


def decode_response(api_key: int, version: int, frame: Frame, at: int) -> Response:
    """The body of a response that begins at byte `at`. Raises MalformedError."""
    response: Response = _decode(api_key, version, "response", frame, at)
    return response


def encode_request(api_key: int, version: int, request: Request) -> list[Buffer]:
    """The body of a request in pieces. Raises EncodeError for what the version can't say."""
    return _encode(api_key, version, "request", request)


def encode_response(api_key: int, version: int, response: Response) -> list[Buffer]:
    """The body of a response in pieces; records are not copied. Raises EncodeError as `encode_request`."""
    return _encode(api_key, version, "response", response)


def _decode(api_key: int, version: int, kind: Kind, frame: Frame, at: int) -> Any:
    read, upgrade = _reader(api_key, version, kind)
    try:
        message, _ = read(frame, at)
    except _FAULTS as error:
        raise MalformedError(f"{kind} {api_key} in version {version}: {error}") from error
    return message if upgrade is None else upgrade(message)


def _encode(api_key: int, version: int, kind: Kind, message: Message) -> list[Buffer]:
    write, downgrade = _writer(api_key, version, kind)
    pieces: list[Buffer] = []
    try:
        write(pieces.append, message if downgrade is None else downgrade(message))
    except (struct.error, AttributeError, TypeError, ValueError) as error:
        raise EncodeError(f"{type(message).__name__} in version {version}: {error}") from error
    return pieces


@cache
def _reader(api_key: int, version: int, kind: Kind) -> tuple[Read, Callable[[Any], Any] | None]:
    row = schema(api_key, version, kind)
    older = OLDER.get((api_key, kind))
    if older is not None and version <= older.last_version:
        return row_reader(older.type, row), older.upgrade
    return row_reader(_type(api_key, kind), row), None


@cache
def _writer(api_key: int, version: int, kind: Kind) -> tuple[WriteValue, Callable[[Any], Any] | None]:
    row = schema(api_key, version, kind)
    older = OLDER.get((api_key, kind))
    if older is not None and version <= older.last_version:
        return row_writer(older.type, row), older.downgrade
    return row_writer(_type(api_key, kind), row), None


def _type(api_key: int, kind: Kind) -> type[Message]:
    return request_type(api_key) if kind == "request" else response_type(api_key)


# Rows


def row_reader(kind: type[Message], row: Row) -> Read:
    """A function that reads a `row` into a struct of `kind`."""
    known = row_types(kind)
    scope: dict[str, Any] = {"kind": kind, "skip_tags": wire.skip_tags, "read_tags": _tag_reader(row, known)}
    lines = []
    for number, run in enumerate(_runs(row)):
        names = [field.name if field.name in known else "_" for field in run]
        if _is_fixed(run[0]):
            layout = struct.Struct(">" + "".join(_FIXED[field.type] for field in run))
            scope[f"unpack{number}"] = layout.unpack_from
            lines += [f"{', '.join(names)}, = unpack{number}(frame, at)", f"at += {layout.size}"]
        else:
            scope[f"read{number}"] = _value_reader(run[0], row, known.get(run[0].name))
            lines.append(f"{names[0]}, at = read{number}(frame, at)")
    arguments = [f"{f.name}={f.name}" for f in row.fields if f.tag is None and f.name in known]
    if any(field.tag is not None and field.name in known for field in row.fields):
        lines.append("tagged, at = read_tags(frame, at)")
        arguments.append("**tagged")
    elif row.is_flexible:
        lines.append("at = skip_tags(frame, at) if frame[at] else at + 1")
    lines.append(f"return kind({', '.join(arguments)}), at")
    read: Read = _function("frame, at", lines, scope)
    return read


def row_writer(kind: type[Message], row: Row) -> WriteValue:
    """A function that writes a struct of `kind` as a `row`."""
    known = row_types(kind)
    scope: dict[str, Any] = {"write_tags": _tag_writer(kind, row, known)}
    lines = []
    for number, run in enumerate(_runs(row)):
        values = [f"row.{field.name}" if field.name in known else repr(field.default) for field in run]
        if _is_fixed(run[0]):
            scope[f"pack{number}"] = struct.Struct(">" + "".join(_FIXED[field.type] for field in run)).pack
            lines.append(f"write(pack{number}({', '.join(values)}))")
        else:
            scope[f"write{number}"] = _value_writer(run[0], row, known.get(run[0].name))
            lines.append(f"write{number}(write, {values[0]})")
    if any(field.tag is not None and field.name in known for field in row.fields):
        lines.append("write_tags(write, row)")
    elif row.is_flexible:
        lines.append(r'write(b"\0")')
    write: WriteValue = _function("write, row", lines or ["pass"], scope)
    return write


def _function(arguments: str, lines: list[str], scope: dict[str, Any]) -> Any:
    body = "\n    ".join(lines)
    exec(f"def function({arguments}):\n    {body}", scope)
    return scope["function"]


def _is_fixed(field: Field) -> bool:
    return field.type in _FIXED and not field.is_array


def _runs(row: Row) -> list[list[Field]]:
    """The untagged fields, with neighbours of fixed size together."""
    runs: list[list[Field]] = []
    for field in row.fields:
        if field.tag is not None:
            continue
        if runs and _is_fixed(field) and _is_fixed(runs[-1][0]):
            runs[-1].append(field)
        else:
            runs.append([field])
    return runs


# Values


def _value_reader(field: Field, row: Row, kind: type[Message] | None) -> Read:
    if field.is_array:
        return _array_reader(field, row, kind)
    if field.row is not None:
        read_row = row_reader(kind or Dropped, field.row)
        return _nullable_row_reader(read_row) if field.is_nullable else read_row
    if field.type in _FIXED:  # tagged, or an element of an array
        layout = struct.Struct(">" + _FIXED[field.type])
        return lambda frame, at: (layout.unpack_from(frame, at)[0], at + layout.size)
    read: Read = _READERS[field.type, row.is_flexible]
    return read if field.is_nullable or field.type == "uuid" else _required(read, field.name)


def _required(read: Read, name: str) -> Read:
    def read_required(frame: Frame, at: int) -> tuple[Any, int]:
        value, end = read(frame, at)
        if value is None:
            raise MalformedError(f"byte {at}: {name} is null")
        return value, end

    return read_required


def _nullable_row_reader(read_row: Read) -> Read:
    def read_nullable(frame: Frame, at: int) -> tuple[Any, int]:
        is_present, at = wire.read_is_present(frame, at)
        return read_row(frame, at) if is_present else (None, at)

    return read_nullable


def _array_reader(field: Field, row: Row, kind: type[Message] | None) -> Read:
    read_count = wire.read_compact_count if row.is_flexible else wire.read_count
    read_elements = _elements_reader(field, row, kind)

    def read_array(frame: Frame, at: int) -> tuple[Any, int]:
        count, at = read_count(frame, at)
        if count < 0:
            if field.is_nullable:
                return None, at
            raise MalformedError(f"byte {at}: {field.name} is null")
        return read_elements(frame, at, count)

    return read_array


def _elements_reader(
    field: Field, row: Row, kind: type[Message] | None
) -> Callable[[Frame, int, int], tuple[list[Any], int]]:
    if field.type in _FIXED:
        letter, size = _FIXED[field.type], struct.calcsize(">" + _FIXED[field.type])
        return lambda frame, at, count: (list(struct.unpack_from(f">{count}{letter}", frame, at)), at + count * size)
    read = _value_reader(Field(field.name, field.type, field.row, False, False, None, None), row, kind)

    def read_elements(frame: Frame, at: int, count: int) -> tuple[list[Any], int]:
        values = []
        for _ in range(count):
            value, at = read(frame, at)
            values.append(value)
        return values, at

    return read_elements


def _value_writer(field: Field, row: Row, kind: type[Message] | None) -> WriteValue:
    if field.is_array:
        return _array_writer(field, row, kind)
    if field.row is not None:
        write_row = row_writer(kind or Dropped, field.row)
        return _nullable_row_writer(write_row) if field.is_nullable else write_row
    if field.type in _FIXED:
        pack = struct.Struct(">" + _FIXED[field.type]).pack
        return lambda write, value: write(pack(value))
    write_value: WriteValue = _WRITERS[field.type, row.is_flexible]
    if field.is_nullable or field.type == "uuid":
        return write_value

    def write_required(write: Write, value: Any) -> None:
        if value is None:
            raise EncodeError(f"{field.name} is None, which this version can't say")
        write_value(write, value)

    return write_required


def _nullable_row_writer(write_row: WriteValue) -> WriteValue:
    def write_nullable(write: Write, value: Any) -> None:
        write(b"\xff" if value is None else b"\1")
        if value is not None:
            write_row(write, value)

    return write_nullable


def _array_writer(field: Field, row: Row, kind: type[Message] | None) -> WriteValue:
    write_count = wire.write_compact_count if row.is_flexible else wire.write_count
    write_element = _value_writer(Field(field.name, field.type, field.row, False, False, None, None), row, kind)

    def write_array(write: Write, values: Any) -> None:
        if values is None:
            if not field.is_nullable:
                raise EncodeError(f"{field.name} is None, which this version can't say")
            write_count(write, -1)
            return
        write_count(write, len(values))
        for value in values:
            write_element(write, value)

    return write_array


# Tagged fields


def _tag_reader(row: Row, known: dict[str, Any]) -> Read:
    readers = {
        field.tag: (field.name, _value_reader(field, row, known[field.name]))
        for field in row.fields
        if field.tag is not None and field.name in known
    }

    def read_tags(frame: Frame, at: int) -> tuple[dict[str, Any], int]:
        count, at = wire.read_varint(frame, at)
        found = {}
        for _ in range(count):
            tag, start, at = wire.read_tag(frame, at)
            if tag in readers:
                name, read = readers[tag]
                found[name], end = read(frame, start)
                if end != at:
                    raise MalformedError(
                        f"byte {start}: tag {tag} ({name}) has {at - start} bytes and uses {end - start}"
                    )
        return found, at

    return read_tags


def _tag_writer(kind: type[Message], row: Row, known: dict[str, Any]) -> WriteValue:
    defaults = {field.name: _default(field) for field in struct_fields(kind)}
    writers = [
        (field.tag, field.name, _value_writer(field, row, known[field.name]))
        for field in row.fields
        if field.tag is not None and field.name in known
    ]

    def write_tags(write: Write, message: Any) -> None:
        tags = []
        for tag, name, write_value in writers:
            value = getattr(message, name)
            if value != defaults[name]:
                pieces: list[Buffer] = []
                write_value(pieces.append, value)
                tags.append((tag, b"".join(pieces)))
        wire.write_tags(write, tags)

    return write_tags


def _default(field: Any) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


class Dropped(Message):
    """Stands for rows that our structs do not have."""


_READERS: dict[tuple[str, bool], Any] = {
    ("string", False): wire.read_string,
    ("string", True): wire.read_compact_string,
    ("bytes", False): wire.read_bytes,
    ("bytes", True): wire.read_compact_bytes,
    ("records", False): wire.read_records,
    ("records", True): wire.read_compact_records,
    ("uuid", False): wire.read_uuid,
    ("uuid", True): wire.read_uuid,
}
_WRITERS: dict[tuple[str, bool], Any] = {
    ("string", False): wire.write_string,
    ("string", True): wire.write_compact_string,
    ("bytes", False): wire.write_bytes,
    ("bytes", True): wire.write_compact_bytes,
    ("records", False): wire.write_records,
    ("records", True): wire.write_compact_records,
    ("uuid", False): wire.write_uuid,
    ("uuid", True): wire.write_uuid,
}
