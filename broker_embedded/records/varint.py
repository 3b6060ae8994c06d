"""Zigzag varints, in which Kafka's records hold every number (ByteUtils): one at a time, and whole columns at a time.

A column is read from words: the eight bytes from a position on, as one little-endian number, are fetched for all
positions at once, and bits are then moved in all of them together. This is several times the speed of bytes in a loop.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int64Array: TypeAlias = NDArray[np.int64]
UInt64Array: TypeAlias = NDArray[np.uint64]

WORD_PADDING = b"\x00" * 8  # must follow the last byte of a buffer that is read as words

_LONGEST_BYTES = 10  # 64 bits in groups of 7
_SMALLEST_COUNTING, _LARGEST_COUNTING = 2**7, 2**15  # of those that are kept, at 25 bytes a number


def constant(value: int) -> UInt64Array:
    """An operand for columns: as an array without dimensions it costs half of what a Python number does."""
    return np.array(value, np.uint64)


_ONE, _TWO, _FOUR, _EIGHT = (constant(bits) for bits in (1, 2, 4, 8))
_GROUP = constant(0x7F)
_MORE = constant(0x80)
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


class Cursor:
    """Reads numbers that stand one behind the other, at many places at once: a column of them with every `read`.

    Eight bytes of each place are fetched at a time. That costs as much as all the rest, and they often hold several
    numbers.

    >>> cursor = Cursor(words(b"\\x04\\x80\\x01\\x06\\x02" + WORD_PADDING), np.array([0, 3]))
    >>> cursor.read(), cursor.read(), cursor.position
    (array([2, 3]), array([64,  1]), array([3, 5]))
    """

    __slots__ = ("_bits", "_bits_left", "_origin", "_word", "_words")

    def __init__(self, words: UInt64Array, position: Int64Array) -> None:
        self._words = words
        self.jump(position)

    @property
    def position(self) -> Int64Array:
        """Where in the buffer of `words` the next numbers begin, int64[n]."""
        return self._origin if self._word is None else self._origin + (self._bits >> 3)

    def jump(self, position: Int64Array) -> None:
        """Goes on reading at other places, n > 0."""
        self._origin = position
        self._word: UInt64Array | None = None
        self._bits: Any = 0  # of the word that are read, at each place
        self._bits_left = 0  # where they are fewest

    def skip_byte(self) -> None:
        self._bits = self._bits + 8
        self._bits_left -= 8

    def read(self) -> Int64Array:
        """The next numbers. Raises VarintError when one is wider than 7 bytes, IndexError when outside the buffer."""
        number, bits, widest = _first(self._rest(8))
        if widest > self._bits_left:
            number, bits, widest = _first(self._rest(widest))
        self._bits = self._bits + bits
        self._bits_left -= widest
        return number

    def passes(self, expected: Counting) -> bool:
        """Whether the next numbers are those expected; then it goes behind them."""
        widest = int(expected.bits.max())
        if np.count_nonzero((self._rest(widest) ^ expected.varint) & expected.mask):
            return False
        self._bits = self._bits + expected.bits
        self._bits_left -= widest
        return True

    def _rest(self, bits: int) -> UInt64Array:
        """What is not read of the words; they are fetched anew if that is less than `bits`."""
        if self._word is None or bits > self._bits_left:
            self._origin = self.position
            self._word = self._words[self._origin]
            self._bits, self._bits_left = 0, 64
            return self._word
        rest: UInt64Array = self._word >> self._bits
        return rest


def _first(raw: UInt64Array) -> tuple[Int64Array, Any, int]:
    """The number that each word begins with; how many bits it takes (uint8[n], or an int for all), at most how many."""
    if not np.count_nonzero(raw & _MORE):
        return _unzigzag(raw & _GROUP), 8, 8
    last = ~raw & _MORE_EVERYWHERE
    ours = last ^ (last - _ONE)  # all bits up to the end of the first byte that is not continued
    raw = raw & ours
    bits = np.bitwise_count(ours)
    widest = int(bits.max())
    if widest <= 16:
        raw = raw & _GROUP | raw >> _ONE & _SECOND_GROUP
    elif widest < 64:
        # Squeeze out every eighth bit: pairs of bytes, then pairs of pairs, then the halves.
        raw = raw & _EVEN_BYTES | (raw & _ODD_BYTES) >> _ONE
        raw = raw & _EVEN_PAIRS | (raw & _ODD_PAIRS) >> _TWO
        raw = raw & _LOW_HALF | (raw & _HIGH_HALF) >> _FOUR
    else:
        raise VarintError("a varint of the column is wider than 7 bytes")
    return _unzigzag(raw), bits, widest


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
    # What `Cursor` does, backwards: halves apart, then pairs of pairs, then pairs.
    if widest > 32:
        raw = raw & _LOW_HALF | raw << _FOUR & _HIGH_HALF
    if widest > 16:
        raw = raw & _EVEN_PAIRS | raw << _TWO & _ODD_PAIRS
    raw = raw & _EVEN_BYTES | raw << _ONE & _ODD_BYTES
    return raw | _MORE_EVERYWHERE & ((_ONE << bits - _EIGHT) - _ONE)


class Counting(NamedTuple):
    """0, 1, 2 ...: the numbers, their varints (`column_words`), ones for the bits those take, and how many they are."""

    number: Int64Array
    varint: UInt64Array
    mask: UInt64Array
    bits: NDArray[np.uint8]


def counting(count: int) -> Counting:
    """The numbers from 0 to before `count`: the offsets of most batches. Not to be written to.

    >>> counting(3).number, counting(3).varint
    (array([0, 1, 2]), array([0, 2, 4], dtype=uint64))
    """
    if count > _LARGEST_COUNTING:
        return _count_to(count)
    number, varint, mask, bits = _keep_counting(max(count, _SMALLEST_COUNTING).bit_length())
    return Counting(number[:count], varint[:count], mask[:count], bits[:count])


@cache
def _keep_counting(length_bits: int) -> Counting:
    return _count_to(1 << length_bits)


def _count_to(count: int) -> Counting:
    number = np.arange(count)
    raw = zigzag(number)
    bits = np.broadcast_to(column_bits(raw), count)
    return Counting(number, column_words(raw, bits), (_ONE << bits) - _ONE, bits.astype(np.uint8))
