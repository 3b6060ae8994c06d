"""Kafka's messages as dicts, encoded and decoded by the definitions that the jar of its own clients carries.

Nothing of our codec is in here, nor of what that is compiled from: a second opinion about every byte.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID
from zipfile import ZipFile

from tests.interop.apache_kafka import class_path

_NUMBERS = {
    "int8": ">b",
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "float64": ">d",
    "bool": ">?",
}
API_VERSIONS = 18
Row = dict[str, Any]


class Versions(tuple[int, int]):
    """From and to."""

    @classmethod
    def parse(cls, text: str) -> Versions:
        first, dash, last = text.partition("-")
        if text == "none":
            return cls((0, -1))
        return cls((int(first.rstrip("+")), int(last) if dash else (1 << 15 if text.endswith("+") else int(first))))

    def __contains__(self, version: object) -> bool:
        return isinstance(version, int) and self[0] <= version <= self[1]


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    versions: Versions
    nullable: Versions
    tagged: Versions
    tag: int
    default: Any
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Definition:
    """A request or a response."""

    key: int
    name: str
    versions: Versions
    flexible: Versions
    fields: tuple[Field, ...] = field(repr=False)


def _field(spec: Row, common: dict[str, list[Row]]) -> Field:
    kind = spec["type"].removeprefix("[]")
    return Field(
        name=spec["name"][0].lower() + spec["name"][1:],
        type=spec["type"],
        versions=Versions.parse(spec["versions"]),
        nullable=Versions.parse(spec.get("nullableVersions", "none")),
        tagged=Versions.parse(spec.get("taggedVersions", "none")),
        tag=spec.get("tag", -1),
        default=_default(spec),
        fields=tuple(_field(inner, common) for inner in spec.get("fields", common.get(kind, ()))),
    )


def _default(spec: Row) -> Any:
    kind, text = spec["type"], spec.get("default")
    if text == "null":
        return None
    if kind.startswith("[]"):
        return []
    if kind in _NUMBERS:
        if kind == "bool":
            return str(text).lower() == "true"
        return float(text or 0) if kind == "float64" else int(str(text or "0"), 0)
    return {"string": text or "", "uuid": UUID(int=0), "bytes": b"", "records": None}.get(kind)


@cache
def definitions() -> dict[str, Definition]:
    """All requests and responses of clients, by name: `FetchRequest`."""
    (jar,) = (path for path in class_path().split(":") if "/kafka-clients-" in path)
    found = {}
    with ZipFile(jar) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"common/message/\w+(Request|Response)\.json", name):
                text = re.sub(r"^\s*//.*$", "", archive.read(name).decode(), flags=re.MULTILINE)
                spec = json.loads(text)
                if spec["validVersions"] == "none":
                    continue
                common = {row["name"]: row["fields"] for row in spec.get("commonStructs", ())}
                found[spec["name"]] = Definition(
                    spec["apiKey"],
                    spec["name"],
                    Versions.parse(spec["validVersions"]),
                    Versions.parse(spec.get("flexibleVersions", "none")),
                    tuple(_field(row, common) for row in spec["fields"]),
                )
    return found


def encode_request(api: str, version: int, correlation_id: int, fields: Row) -> bytes:
    """A whole request without its length. Fields that the version has not are left out."""
    definition = definitions()[f"{api}Request"]
    flexible = version in definition.flexible
    header = struct.pack(">hhi", definition.key, version, correlation_id) + _string("diff", compact=False)
    return header + (b"\0" if flexible else b"") + _encode(definition.fields, fields, version, flexible)


def decode_response(api: str, version: int, frame: bytes) -> Row:
    """The fields of an answer. Raises ValueError when bytes are left over."""
    definition = definitions()[f"{api}Response"]
    flexible = version in definition.flexible
    reader = Reader(frame)
    reader.number("int32")
    if flexible and definition.key != API_VERSIONS:
        reader.tags()
    found = reader.row(definition.fields, version, flexible)
    if reader.left:
        raise ValueError(f"{api} v{version}: {reader.left} bytes too many")
    return found


def _encode(fields: tuple[Field, ...], values: Row, version: int, flexible: bool) -> bytes:
    unknown = values.keys() - {field.name for field in fields}
    if unknown:
        raise KeyError(f"no field {sorted(unknown)}, there are {[field.name for field in fields]}")
    present = [field for field in fields if version in field.versions]
    plain = [field for field in present if not (flexible and version in field.tagged)]
    parts = [_value(field, values.get(field.name, field.default), version, flexible) for field in plain]
    if flexible:
        tagged = {
            field.tag: _value(field, values[field.name], version, flexible)
            for field in present
            if version in field.tagged and values.get(field.name, field.default) != field.default
        }
        parts.append(_varint(len(tagged)))
        parts += [_varint(tag) + _varint(len(value)) + value for tag, value in sorted(tagged.items())]
    return b"".join(parts)


def _value(field: Field, value: Any, version: int, flexible: bool) -> bytes:
    if field.type.startswith("[]"):
        kind = field.type.removeprefix("[]")
        rows = [] if value is None else [_single(kind, field, row, version, flexible) for row in value]
        return _length(None if value is None else len(rows), flexible) + b"".join(rows)
    if field.fields and version in field.nullable:
        return b"\xff" if value is None else b"\1" + _encode(field.fields, value, version, flexible)
    return _single(field.type, field, value, version, flexible)


def _single(kind: str, field: Field, value: Any, version: int, flexible: bool) -> bytes:
    if kind in _NUMBERS:
        return struct.pack(_NUMBERS[kind], value)
    if kind == "uuid":
        return value.bytes  # type: ignore[no-any-return]
    if kind == "string":
        return _string(value, compact=flexible)
    if kind in ("bytes", "records"):
        return _length(None if value is None else len(value), flexible) + (value or b"")
    return _encode(field.fields, value or {}, version, flexible)


def _length(length: int | None, flexible: bool) -> bytes:
    if flexible:
        return _varint(0 if length is None else length + 1)
    return struct.pack(">i", -1 if length is None else length)


def _string(text: str | None, compact: bool) -> bytes:
    data = None if text is None else text.encode()
    if compact:
        return _length(None if data is None else len(data), True) + (data or b"")
    return struct.pack(">h", -1 if data is None else len(data)) + (data or b"")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class Reader:
    """Takes values off the front of a frame."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError(f"{count} bytes wanted, {self.left} left")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, kind: str) -> Any:
        return struct.unpack(_NUMBERS[kind], self.take(struct.calcsize(_NUMBERS[kind])))[0]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.number("int8")
            value |= (byte & 0x7F) << shift
            if byte >= 0:
                return value
            shift += 7

    def length(self, flexible: bool, short: bool = False) -> int | None:
        count = self.varint() - 1 if flexible else self.number("int16" if short else "int32")
        return None if count < 0 else count

    def row(self, fields: tuple[Field, ...], version: int, flexible: bool) -> Row:
        present = [field for field in fields if version in field.versions]
        plain = [field for field in present if not (flexible and version in field.tagged)]
        found = {field.name: self.value(field, version, flexible) for field in plain}
        if flexible:
            found |= {field.name: field.default for field in present if version in field.tagged}
            found |= self.tags(present, version)
        return found

    def tags(self, fields: list[Field] | None = None, version: int = 0) -> Row:
        by_tag = {field.tag: field for field in fields or () if version in field.tagged}
        found = {}
        for _ in range(self.varint()):
            tag, value = self.varint(), Reader(self.take(self.varint()))
            known = by_tag.get(tag)
            found[known.name if known else f"tag {tag}"] = known and value.value(known, version, True)
        return found

    def value(self, field: Field, version: int, flexible: bool) -> Any:
        if field.type.startswith("[]"):
            count = self.length(flexible)
            kind = field.type.removeprefix("[]")
            return None if count is None else [self.single(kind, field, version, flexible) for _ in range(count)]
        if field.fields and version in field.nullable and self.number("int8") < 0:
            return None
        return self.single(field.type, field, version, flexible)

    def single(self, kind: str, field: Field, version: int, flexible: bool) -> Any:
        if kind in _NUMBERS:
            return self.number(kind)
        if kind == "uuid":
            return UUID(bytes=self.take(16))
        if kind in ("string", "bytes", "records"):
            count = self.length(flexible, short=kind == "string")
            data = None if count is None else self.take(count)
            return data.decode() if kind == "string" and data is not None else data
        return self.row(field.fields, version, flexible)
