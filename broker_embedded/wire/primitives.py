"""Values of the wire that are no fixed number of bytes: text, bytes, varints, tags (Kafka's protocol guide, KIP-482).

Readers take a frame and a position and give a value and the position behind it; writers append pieces of bytes. `None`
is null. A length is looked at before anything is made of it: what a frame says can't take more memory than the frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from uuid import UUID

from broker_embedded.wire.messages import Buffer

Frame = bytes | bytearray
Write = Callable[[Buffer], None]

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_VARINT_BITS = 35  # of a 32-bit number: five groups of seven
_ZERO = bytes(16)


class MalformedError(ValueError):
    """A frame that is not what its key and version say; the message names the fault and the byte."""


class EncodeError(ValueError):
    """A message with something that its version can't say: a fault of whoever made it, not of the other end."""


def unpack_int16(frame: Frame, at: int) -> int:
    value: int = _INT16.unpack_from(frame, at)[0]
    return value


def unpack_int32(frame: Frame, at: int) -> int:
    value: int = _INT32.unpack_from(frame, at)[0]
    return value


def read_varint(frame: Frame, at: int) -> tuple[int, int]:
    """An unsigned number of up to 32 bits, seven bits a byte.

    >>> read_varint(bytes([0xAC, 0x02]), 0)
    (300, 2)
    """
    value = shift = 0
    while shift < _VARINT_BITS:
        byte = frame[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise MalformedError(f"byte {at}: a varint of more than five bytes")


def varint(value: int) -> bytes:
    """
    >>> varint(300).hex()
    'ac02'
    """
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes([value]) for value in range(0x80)]


def _end(frame: Frame, at: int, length: int) -> int:
    end = at + length
    if length < 0 or end > len(frame):
        raise MalformedError(f"byte {at}: a length of {length} in a frame of {len(frame)} bytes")
    return end


def read_string(frame: Frame, at: int) -> tuple[str | None, int]:
    length = unpack_int16(frame, at)
    at += 2
    if length == -1:
        return None, at
    end = _end(frame, at, length)
    return frame[at:end].decode(), end


def read_compact_string(frame: Frame, at: int) -> tuple[str | None, int]:
    length, at = read_varint(frame, at)
    if length == 0:
        return None, at
    end = _end(frame, at, length - 1)
    return frame[at:end].decode(), end


def read_bytes(frame: Frame, at: int) -> tuple[bytes | None, int]:
    view, at = read_records(frame, at)
    return None if view is None else bytes(view), at


def read_compact_bytes(frame: Frame, at: int) -> tuple[bytes | None, int]:
    view, at = read_compact_records(frame, at)
    return None if view is None else bytes(view), at


def read_records(frame: Frame, at: int) -> tuple[memoryview | None, int]:
    """Bytes as a view of the frame: nothing is copied."""
    length = unpack_int32(frame, at)
    at += 4
    if length == -1:
        return None, at
    end = _end(frame, at, length)
    return memoryview(frame)[at:end], end


def read_compact_records(frame: Frame, at: int) -> tuple[memoryview | None, int]:
    length, at = read_varint(frame, at)
    if length == 0:
        return None, at
    end = _end(frame, at, length - 1)
    return memoryview(frame)[at:end], end


def read_uuid(frame: Frame, at: int) -> tuple[UUID | None, int]:
    """The id of sixteen zero bytes is nobody's: None."""
    end = _end(frame, at, 16)
    found = bytes(frame[at:end])
    return None if found == _ZERO else UUID(bytes=found), end


def read_count(frame: Frame, at: int) -> tuple[int, int]:
    """Of an array; -1 is null. No element is smaller than a byte, so a larger count than bytes left is a lie."""
    return _checked_count(frame, at + 4, unpack_int32(frame, at))


def read_compact_count(frame: Frame, at: int) -> tuple[int, int]:
    count, at = read_varint(frame, at)
    return _checked_count(frame, at, count - 1)


def _checked_count(frame: Frame, at: int, count: int) -> tuple[int, int]:
    if not -1 <= count <= len(frame) - at:
        raise MalformedError(f"byte {at}: an array of {count} elements in a frame of {len(frame)} bytes")
    return count, at


def read_is_present(frame: Frame, at: int) -> tuple[bool, int]:
    """Whether a row that may be null is there: a byte, negative for null."""
    return frame[at] < 0x80, at + 1


def skip_tags(frame: Frame, at: int) -> int:
    count, at = read_varint(frame, at)
    for _ in range(count):
        _, at = read_varint(frame, at)
        size, at = read_varint(frame, at)
        at = _end(frame, at, size)
    return at


def read_tag(frame: Frame, at: int) -> tuple[int, int, int]:
    """A tag, where its value begins, and where it ends."""
    tag, at = read_varint(frame, at)
    size, at = read_varint(frame, at)
    return tag, at, _end(frame, at, size)


def write_string(write: Write, value: str | None) -> None:
    if value is None:
        write(b"\xff\xff")
        return
    data = value.encode()
    write(_INT16.pack(len(data)))
    write(data)


def write_compact_string(write: Write, value: str | None) -> None:
    if value is None:
        write(b"\0")
        return
    data = value.encode()
    write(varint(len(data) + 1))
    write(data)


def write_bytes(write: Write, value: Buffer | None) -> None:
    write_records(write, value)


def write_compact_bytes(write: Write, value: Buffer | None) -> None:
    write_compact_records(write, value)


def write_records(write: Write, value: Buffer | list[memoryview] | None) -> None:
    """Record batches in one piece or several, none of them copied."""
    _write_pieces(write, value, lambda size: _INT32.pack(size))


def write_compact_records(write: Write, value: Buffer | list[memoryview] | None) -> None:
    _write_pieces(write, value, lambda size: varint(size + 1))


def _write_pieces(write: Write, value: Buffer | list[memoryview] | None, length: Callable[[int], bytes]) -> None:
    if value is None:
        write(length(-1))
    elif isinstance(value, list):
        write(length(sum(map(len, value))))
        for piece in value:
            write(piece)
    else:
        write(length(len(value)))
        write(value)


def write_uuid(write: Write, value: UUID | None) -> None:
    write(_ZERO if value is None else value.bytes)


def write_count(write: Write, count: int) -> None:
    write(_INT32.pack(count))


def write_compact_count(write: Write, count: int) -> None:
    write(varint(count + 1))


def write_tags(write: Write, tags: list[tuple[int, bytes]]) -> None:
    """Tagged fields, which are in the order of their numbers."""
    write(varint(len(tags)))
    for tag, value in tags:
        write(varint(tag))
        write(varint(len(value)))
        write(value)
