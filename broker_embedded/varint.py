"""Zigzag varints, in which Kafka's records hold every number (ByteUtils): one at a time, and whole columns at a time.

A column is read from words: the eight bytes from a position on, as one little-endian number, are fetched for all
positions at once, and bits are then moved in all of them together. This is several times the speed of bytes in a loop.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Int64Array: TypeAlias = NDArray[np.int64]
UInt64Array: TypeAlias = NDArray[np.uint64]

WORD_PADDING = b"\x00" * 8  # must follow the last byte of a buffer that is read as words

_LONGEST_BYTES = 10  # 64 bits in groups of 7


def constant(value: int) -> UInt64Array:
    """An operand for columns: as an array without dimensions it costs half of what a Python number does."""
    return np.array(value, np.uint64)


_ONE, _TWO, _FOUR, _EIGHT = (constant(bits) for bits in (1, 2, 4, 8))
_GROUP = constant(0x7F)
_MORE = constant(0x80)
_MORE_TWICE = constant(0x8080)
_MORE_EVERYWHERE = constant(0x8080808080808080)
_SECOND_GROUP = constant(0x3F80)
_EVEN_BYTES, _ODD_BYTES = constant(0x007F007F007F007F), constant(0x7F007F007F007F00)
_EVEN_PAIRS, _ODD_PAIRS = constant(0x00003FFF00003FFF), constant(0x3FFF00003FFF0000)
_LOW_HALF, _HIGH_HALF = constant(0x000000000FFFFFFF), constant(0x0FFFFFFF00000000)


class VarintError(ValueError):
    """A varint that does not end, or is wider than the reader takes."""


def encode_varint(value: int) -> bytes:
    """The varint of a signed 64-bit number; a larger one wraps around, as Java's would.

    >>> encode_varint(-1), encode_varint(64)
    (b'\\x01', b'\\x80\\x01')
    """
    raw = (value << 1) ^ (value >> 63)
    if raw < 0x80:
        return _ONE_BYTE[raw]
    if raw >> 64:
        return encode_varint((value + 2**63) % 2**64 - 2**63)
    out = bytearray()
    while raw > 0x7F:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    out.append(raw)
    return bytes(out)


_ONE_BYTE = [bytes((raw,)) for raw in range(0x80)]


def read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and the position after it. Raises VarintError when it does not end.

    >>> read_varint(b"\\x80\\x01", 0)
    (64, 2)
    """
    try:
        low = buffer[position]
        if low < 0x80:
            return (low >> 1) ^ -(low & 1), position + 1
        high = buffer[position + 1]
        if high < 0x80:
            return (low >> 1 & 0x3F | high << 6) ^ -(low & 1), position + 2
        raw = low & 0x7F | (high & 0x7F) << 7
        for index in range(2, _LONGEST_BYTES):
            byte = buffer[position + index]
            raw |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                raw &= 0xFFFFFFFFFFFFFFFF
                return (raw >> 1) ^ -(raw & 1), position + index + 1
    except IndexError as error:
        raise VarintError(f"the varint at byte {position} is cut short") from error
    raise VarintError(f"the varint at byte {position} is longer than {_LONGEST_BYTES} bytes")


def words(buffer: bytes) -> UInt64Array:
    """The eight bytes from each position on as one number, without a copy; short by the padding at the end."""
    return np.ndarray((len(buffer) - len(WORD_PADDING) + 1,), "<u8", buffer, strides=(1,))


def read_column(words: UInt64Array, positions: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The numbers at `positions` (int64[n], n > 0), and the positions after them.

    Raises VarintError when one is wider than 7 bytes, IndexError when one begins outside the buffer.

    >>> read_column(words(b"\\x04\\x80\\x01" + WORD_PADDING), np.array([0, 1]))
    (array([ 2, 64]), array([1, 3]))
    """
    raw = words[positions]
    if not np.count_nonzero(raw & _MORE):
        return _unzigzag(raw & _GROUP), positions + 1
    if np.count_nonzero((raw & _MORE_TWICE) == _MORE) == len(raw):
        return _unzigzag(raw & _GROUP | raw >> _ONE & _SECOND_GROUP), positions + 2
    last = ~raw & _MORE_EVERYWHERE
    ours = last ^ (last - _ONE)  # all bits up to the end of the first byte that is not continued
    raw &= ours
    widths = np.bitwise_count(ours) >> 3
    widest = widths.max()
    if widest <= 2:
        raw = raw & _GROUP | raw >> _ONE & _SECOND_GROUP
    elif widest < 8:
        # Squeeze out every eighth bit: pairs of bytes, then pairs of pairs, then the halves.
        raw = raw & _EVEN_BYTES | (raw & _ODD_BYTES) >> _ONE
        raw = raw & _EVEN_PAIRS | (raw & _ODD_PAIRS) >> _TWO
        raw = raw & _LOW_HALF | (raw & _HIGH_HALF) >> _FOUR
    else:
        raise VarintError("a varint of the column is wider than 7 bytes")
    return _unzigzag(raw), positions + widths


def _unzigzag(raw: UInt64Array) -> Int64Array:
    return (raw >> _ONE ^ -(raw & _ONE)).view(np.int64)


def zigzag(numbers: Int64Array) -> UInt64Array:
    """The numbers with their sign moved to the lowest bit, as the functions below take them."""
    return (numbers << 1 ^ numbers >> 63).view(np.uint64)


def column_bits(raw: UInt64Array) -> UInt64Array:
    """How many bits each of `raw` (zigzagged, n > 0) takes as a varint: 8, 16 ...; without dimensions if all the same.

    >>> column_bits(zigzag(np.array([1, 64]))), column_bits(zigzag(np.array([1, 2])))
    (array([ 8, 16], dtype=uint64), array(8, dtype=uint64))
    """
    narrowest, widest = _bytes(int(raw.min())), _bytes(int(raw.max()))
    bits = constant(8 * narrowest)
    for size in range(narrowest, widest):
        bits = bits + (raw >= constant(1 << 7 * size)) * _EIGHT
    return bits


def _bytes(raw: int) -> int:
    return (raw.bit_length() + 6) // 7 or 1


def column_words(raw: UInt64Array, bits: UInt64Array) -> UInt64Array:
    """The varints of `raw` (zigzagged), of `bits` each, as little-endian words.

    Raises VarintError when one is wider than 7 bytes.
    """
    widest = bits.max()
    if widest == 8:
        return raw
    if widest > 56:
        raise VarintError("a varint of the column is wider than 7 bytes")
    # What `read_column` does, backwards: halves apart, then pairs of pairs, then pairs.
    if widest > 32:
        raw = raw & _LOW_HALF | raw << _FOUR & _HIGH_HALF
    if widest > 16:
        raw = raw & _EVEN_PAIRS | raw << _TWO & _ODD_PAIRS
    raw = raw & _EVEN_BYTES | raw << _ONE & _ODD_BYTES
    return raw | _MORE_EVERYWHERE & ((_ONE << bits - _EIGHT) - _ONE)
