"""How the fields of a metadata record become bytes: read off the annotations of its class, and compiled once.

Every record is flexible (KIP-482): compact lengths, and at the end of each struct tagged fields, which are written only
where they differ from their default.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_origin
from uuid import UUID

import msgspec

from broker_embedded.wire import primitives
from broker_embedded.wire.primitives import MalformedError, Write, read_tag, read_varint, varint

Frame = bytes
Read = Callable[[Frame, int], tuple[Any, int]]

Int8 = Annotated[int, struct.Struct(">b")]
Int16 = Annotated[int, struct.Struct(">h")]
UInt16 = Annotated[int, struct.Struct(">H")]
Int32 = Annotated[int, struct.Struct(">i")]
Int64 = Annotated[int, struct.Struct(">q")]
Float64 = Annotated[float, struct.Struct(">d")]
Bool = Annotated[bool, struct.Struct(">?")]


class Tag(NamedTuple):
    """The field is tagged with this number."""

    number: int


class Since(NamedTuple):
    """The field is there from this version on."""

    version: int


class Codec(NamedTuple):
    read: Read
    write: Callable[[Write, Any], None]


class Field(NamedTuple):
    name: str
    codec: Codec
    tag: int | None
    since: int
    default: Any


class Layout(NamedTuple):
    """The fields of a struct in the order of their bytes, and its tagged ones by number."""

    type: type[msgspec.Struct]
    fields: tuple[Field, ...]
    tagged: dict[int, Field]

    def version_of(self, record: Any) -> int:
        """The lowest version that holds what is set."""
        added = [field for field in (*self.fields, *self.tagged.values()) if field.since]
        return max((f.since for f in added if getattr(record, f.name) != f.default), default=0)

    def read(self, frame: Frame, at: int, version: int) -> tuple[Any, int]:
        """The struct whose bytes begin at `at`, and where they end. Raises MalformedError, IndexError, struct.error."""
        values = {}
        for field in self.fields:
            if field.since <= version:
                values[field.name], at = field.codec.read(frame, at)
        count, at = read_varint(frame, at)
        for _ in range(count):
            tag, start, at = read_tag(frame, at)
            if tag in self.tagged:  # others come from a newer writer, and change nothing (KIP-482)
                values[self.tagged[tag].name], _ = self.tagged[tag].codec.read(frame, start)
        return self.type(**values), at

    def write(self, write: Write, record: Any, version: int) -> None:
        for field in self.fields:
            if field.since <= version:
                field.codec.write(write, getattr(record, field.name))
        tags = []
        for number, field in self.tagged.items():
            value = getattr(record, field.name)
            if value != field.default:
                pieces: list[Any] = []
                field.codec.write(pieces.append, value)
                tags.append((number, b"".join(pieces)))
        primitives.write_tags(write, tags)


@cache
def layout_of(record_type: type[msgspec.Struct]) -> Layout:
    """From the annotations of the class, the first time it is needed."""
    fields = []
    for info in msgspec.structs.fields(record_type):
        notes = {type(note): note for note in getattr(info.type, "__metadata__", ())}
        tag, since = notes.get(Tag), notes.get(Since)
        default = info.default if info.default_factory is msgspec.NODEFAULT else info.default_factory()
        fields.append(
            Field(info.encode_name, _codec(info.type), tag and tag.number, since.version if since else 0, default)
        )
    tagged = {field.tag: field for field in fields if field.tag is not None}
    return Layout(record_type, tuple(field for field in fields if field.tag is None), dict(sorted(tagged.items())))


def _codec(hint: Any) -> Codec:
    if get_origin(hint) is Annotated:
        layouts = [note for note in hint.__metadata__ if isinstance(note, struct.Struct)]
        return _fixed(layouts[0]) if layouts else _codec(get_args(hint)[0])
    options = get_args(hint) if get_origin(hint) is not list else ()
    if NoneType in options:
        return _codec(next(option for option in options if option is not NoneType))
    if get_origin(hint) is list:
        return _array(_codec(get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        layout = layout_of(hint)
        return Codec(lambda frame, at: layout.read(frame, at, 0), lambda write, value: layout.write(write, value, 0))
    return _VARIABLE[hint]


def _fixed(layout: struct.Struct) -> Codec:
    unpack, size = layout.unpack_from, layout.size
    return Codec(lambda frame, at: (unpack(frame, at)[0], at + size), lambda write, value: write(layout.pack(value)))


def _array(element: Codec) -> Codec:
    def read(frame: Frame, at: int) -> tuple[list[Any] | None, int]:
        count, at = primitives.read_compact_count(frame, at)
        if count < 0:
            return None, at
        values = []
        for _ in range(count):
            value, at = element.read(frame, at)
            values.append(value)
        return values, at

    def write(write: Write, values: Sequence[Any] | None) -> None:
        primitives.write_compact_count(write, -1 if values is None else len(values))
        for value in values or ():
            element.write(write, value)

    return Codec(read, write)


def _read_uuid(frame: Frame, at: int) -> tuple[UUID, int]:
    data = frame[at : at + 16]
    if len(data) < 16:
        raise MalformedError(f"byte {at}: an id takes 16 bytes, {len(data)} are left")
    return UUID(bytes=data), at + 16


_VARIABLE: dict[Any, Codec] = {
    str: Codec(primitives.read_compact_string, primitives.write_compact_string),
    bytes: Codec(primitives.read_compact_bytes, primitives.write_compact_bytes),
    UUID: Codec(_read_uuid, lambda write, value: write(value.bytes)),
}


def frame(key: int, version: int) -> bytes:
    """What stands before the fields: version of the frame, key and version (Kafka: MetadataRecordSerde)."""
    return varint(1) + varint(key) + varint(version)
