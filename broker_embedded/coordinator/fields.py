"""The fields of keys and values of the internal topics, written and read one by one.

Kafka's plain encoding has lengths of 16 and 32 bits; the flexible one (KIP-482) has compact lengths, and ends each
struct with tagged fields. The bytes of single values are those of requests: `wire/primitives.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Self
from uuid import UUID

from broker_embedded.wire import primitives

INT8 = struct.Struct(">b")
INT16 = struct.Struct(">h")
INT32 = struct.Struct(">i")
INT64 = struct.Struct(">q")


FAULTS = (primitives.MalformedError, IndexError, struct.error, UnicodeDecodeError)
"""What a Reader raises for bytes that are not what is read from them."""


class UnknownRecordError(ValueError):
    """A record of an internal topic in a version or of a kind that cannot be read."""


class Reader:
    """Walks over the fields of one key or value; `flexible` values have compact lengths.

    >>> reader = Reader(b"\\x00\\x02\\x00\\x01g")
    >>> reader.int16(), reader.string()
    (2, 'g')
    """

    def __init__(self, data: bytes, position: int = 0, flexible: bool = False) -> None:
        self.data, self.position, self.flexible = data, position, flexible

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        values = layout.unpack_from(self.data, self.position)
        self.position += layout.size
        return values

    def int8(self) -> int:
        return self.unpack(INT8)[0]

    def int16(self) -> int:
        return self.unpack(INT16)[0]

    def int32(self) -> int:
        return self.unpack(INT32)[0]

    def int64(self) -> int:
        return self.unpack(INT64)[0]

    def uuid(self) -> UUID:
        start, self.position = self.position, self.position + 16
        return UUID(bytes=self.data[start : self.position])

    def nullable_string(self) -> str | None:
        read = primitives.read_compact_string if self.flexible else primitives.read_string
        text, self.position = read(self.data, self.position)
        return text

    def string(self) -> str:
        """A null one counts as empty."""
        return self.nullable_string() or ""

    def binary(self) -> bytes:
        """Null counts as empty."""
        read = primitives.read_compact_bytes if self.flexible else primitives.read_bytes
        data, self.position = read(self.data, self.position)
        return data or b""

    def count(self) -> int:
        """Of an array; a null one counts as empty."""
        read = primitives.read_compact_count if self.flexible else primitives.read_count
        count, self.position = read(self.data, self.position)
        return max(0, count)

    def tags(self) -> dict[int, bytes]:
        """The tagged fields at the end of a struct; none where the encoding is not flexible."""
        found = {}
        if self.flexible:
            count, self.position = primitives.read_varint(self.data, self.position)
            for _ in range(count):
                tag, start, self.position = primitives.read_tag(self.data, self.position)
                found[tag] = self.data[start : self.position]
        return found


class Writer:
    """Puts fields one after another; every call gives the writer back.

    >>> Writer().int16(2).string("g").data()
    b'\\x00\\x02\\x00\\x01g'
    >>> Writer(flexible=True).string("g").tags().data()
    b'\\x02g\\x00'
    """

    def __init__(self, flexible: bool = False) -> None:
        self.flexible = flexible
        self._parts: list[Any] = []

    def data(self) -> bytes:
        return b"".join(self._parts)

    def int8(self, value: int) -> Self:
        return self._put(INT8.pack(value))

    def int16(self, value: int) -> Self:
        return self._put(INT16.pack(value))

    def int32(self, value: int) -> Self:
        return self._put(INT32.pack(value))

    def int64(self, value: int) -> Self:
        return self._put(INT64.pack(value))

    def uuid(self, value: UUID) -> Self:
        return self._put(value.bytes)

    def string(self, text: str | None) -> Self:
        """None is null."""
        write = primitives.write_compact_string if self.flexible else primitives.write_string
        write(self._parts.append, text)
        return self

    def binary(self, data: bytes) -> Self:
        write = primitives.write_compact_bytes if self.flexible else primitives.write_bytes
        write(self._parts.append, data)
        return self

    def count(self, count: int) -> Self:
        """Of an array, before its rows; -1 is null."""
        write = primitives.write_compact_count if self.flexible else primitives.write_count
        write(self._parts.append, count)
        return self

    def tags(self, fields: Mapping[int, bytes] | None = None) -> Self:
        """The end of a struct, with its tagged fields by number."""
        if self.flexible:
            primitives.write_tags(self._parts.append, sorted((fields or {}).items()))
        return self

    def _put(self, data: bytes) -> Self:
        self._parts.append(data)
        return self
