"""The fields of keys and values of the internal topics, written and read one by one.

Kafka's plain encoding has lengths of 16 and 32 bits; the flexible one (KIP-482) has compact lengths, and ends each
struct with tagged fields.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Self
from uuid import UUID

INT8 = struct.Struct(">b")
INT16 = struct.Struct(">h")
INT32 = struct.Struct(">i")
INT64 = struct.Struct(">q")


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
        return UUID(bytes=self._take(16))

    def unsigned_varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def nullable_string(self) -> str | None:
        length = self.unsigned_varint() - 1 if self.flexible else self.int16()
        return None if length < 0 else self._take(length).decode()

    def string(self) -> str:
        """A null one counts as empty."""
        return self.nullable_string() or ""

    def binary(self) -> bytes:
        """Null counts as empty."""
        return self._take(self.count())

    def count(self) -> int:
        """Of an array, or of bytes; a null one counts as empty."""
        return max(0, self.unsigned_varint() - 1 if self.flexible else self.int32())

    def skip_tags(self) -> None:
        self.tags()

    def tags(self) -> dict[int, bytes]:
        """The tagged fields at the end of a struct; none where the encoding is not flexible."""
        if not self.flexible:
            return {}
        return {self.unsigned_varint(): self._take(self.unsigned_varint()) for _ in range(self.unsigned_varint())}

    def _take(self, length: int) -> bytes:
        start, self.position = self.position, self.position + length
        return self.data[start : self.position]


class Writer:
    """Puts fields one after another; every call gives the writer back.

    >>> Writer().int16(2).string("g").data()
    b'\\x00\\x02\\x00\\x01g'
    >>> Writer(flexible=True).string("g").tags().data()
    b'\\x02g\\x00'
    """

    def __init__(self, flexible: bool = False) -> None:
        self.flexible = flexible
        self._parts: list[bytes] = []

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

    def unsigned_varint(self, value: int) -> Self:
        while value > 0x7F:
            self._parts.append(bytes((value & 0x7F | 0x80,)))
            value >>= 7
        return self._put(bytes((value,)))

    def string(self, text: str | None) -> Self:
        """None is null."""
        data = None if text is None else text.encode()
        length = -1 if data is None else len(data)
        (self.unsigned_varint(length + 1) if self.flexible else self.int16(length))._put(data or b"")
        return self

    def binary(self, data: bytes) -> Self:
        return self.count(len(data))._put(data)

    def count(self, count: int) -> Self:
        """Of an array, before its rows; -1 is null."""
        return self.unsigned_varint(count + 1) if self.flexible else self.int32(count)

    def tags(self, fields: Mapping[int, bytes] | None = None) -> Self:
        """The end of a struct, with its tagged fields by number."""
        if self.flexible:
            self.unsigned_varint(len(fields or {}))
            for tag, data in sorted((fields or {}).items()):
                self.unsigned_varint(tag).unsigned_varint(len(data))._put(data)
        return self

    def _put(self, data: bytes) -> Self:
        self._parts.append(data)
        return self
