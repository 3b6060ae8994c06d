"""Many records into bytes, a column at a time.

All numbers before a key, and all before a value, are made at once as rows of a matrix, which numpy turns into bytes
objects far faster than Python can; one join then puts them between keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from broker_embedded.records.batch_header import BATCH_OVERHEAD_BYTES
from broker_embedded.records.varint import (
    Int64Array,
    UInt64Array,
    VarintError,
    column_bits,
    column_words,
    constant,
    counting,
    zigzag,
)

NO_HEADERS = b"\x00"
_ZERO, _ONE, _THREE, _SIXTY_FOUR = (constant(number) for number in (0, 1, 3, 64))


def encode_columns(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    times: Int64Array,
    deltas: Int64Array | None,
    tails: list[bytes] | None,
) -> bytearray:
    """A batch with its header still blank. `times` are milliseconds; `deltas` the offset deltas, unless they count from
    0; `tails` each record's headers as bytes, unless none has any.

    Raises VarintError for numbers too large for the matrix, TypeError when a key or value is neither bytes nor None.
    """
    count = len(values)
    key_parts, key_bytes, key_length = _lengths(keys)
    value_parts, value_bytes, value_length = _lengths(values)
    time = _varints(zigzag(times - times[0]))
    offset = _offset_varints(count) if deltas is None else _varints(zigzag(deltas))
    key, value = _varints(key_length), _varints(value_length)
    # As long as no record has headers, the zero that says so is put in front of the next record.
    lead = 1 if tails is None else 0
    tail_bytes = _ONE if tails is None else np.fromiter(map(len, tails), np.uint64, count)
    size = (time.bits + offset.bits + key.bits + value.bits >> _THREE) + key_bytes + value_bytes + tail_bytes + _ONE
    numbers = [_varints(size << _ONE), time, offset, key]
    columns: list[Sequence[bytes]]
    if key_parts is None:
        columns = [_heads(count, [*numbers, value], lead)]
    else:
        columns = [_heads(count, numbers, lead), key_parts, _lone(count, value)]
    columns += [column for column in (value_parts, tails) if column is not None]
    return _join(columns, NO_HEADERS if tails is None else b"")


class _Varints(NamedTuple):
    """A column of varints, as words and how many bits each takes. Without dimensions where they are all the same."""

    word: UInt64Array
    bits: UInt64Array


def _varints(raw: UInt64Array) -> _Varints:
    bits = column_bits(raw)
    return _Varints(column_words(raw, bits), bits)


def _offset_varints(count: int) -> _Varints:
    numbers = counting(count)
    return _Varints(numbers.varint, numbers.bits.astype(np.uint64))


def _join(columns: list[Sequence[bytes]], end: bytes) -> bytearray:
    parts = [end] * (len(columns) * len(columns[0]) + 1)
    for index, column in enumerate(columns):
        parts[index : -1 : len(columns)] = column
    return bytearray().join(parts)


def _lengths(fields: Sequence[bytes | None]) -> tuple[Sequence[bytes] | None, UInt64Array, UInt64Array]:
    """A column's parts to join, if any; how many bytes they have; and the lengths to write, zigzagged.

    numpy strips zeros at the end of bytes, and so the length of an empty field: the field stands in as that zero.
    """
    count = len(fields)
    if fields[0] is None and fields.count(None) == count:
        return None, _ZERO, _ONE
    try:
        lengths = _measure(fields)  # type: ignore[arg-type]  # if one is None
    except TypeError:
        lengths = np.fromiter([-1 if field is None else len(field) for field in fields], np.int64, count)
    if np.count_nonzero(lengths > 0) == count:
        return fields, lengths.view(np.uint64), (lengths << 1).view(np.uint64)  # type: ignore[return-value]
    parts = [b"" if field is None else field or b"\x00" for field in fields]
    return parts, np.maximum(lengths, 0).view(np.uint64), zigzag(lengths)


def _measure(fields: Sequence[bytes]) -> Int64Array:
    try:
        # Up to 255 each, by way of bytes: a third faster.
        return np.frombuffer(bytearray(map(len, fields)), np.uint8).astype(np.int64)
    except ValueError:
        return np.fromiter(map(len, fields), np.int64, len(fields))


def _heads(count: int, numbers: list[_Varints], lead: int) -> list[bytes]:
    """What stands before each key: `lead` zeros, the length, a zero for attributes, the other numbers."""
    low = numbers[0].word << constant(8 * lead)
    high: UInt64Array = _ZERO
    end = numbers[0].bits + constant(8 * lead + 8)
    for word, bits in numbers[1:]:
        low = low | word << end
        following = end + bits
        if following.max() > 64:
            # A shift by 64 or more, or by less than nothing, leaves zero.
            spilled: UInt64Array = word >> _SIXTY_FOUR - end | word << end - _SIXTY_FOUR
            high = high | spilled
        end = following
    if end.max() > 128:
        raise VarintError("the numbers of a record are larger than two words")
    rows = np.empty((count, 2), "<u8")
    rows[:, 0] = low
    rows[:, 1] = high
    heads: list[bytes] = rows.view("S16").ravel().tolist()
    # Only the first has an offset delta of zero, where numpy may strip more than the length of an empty field.
    first_bytes = int(end.flat[0]) // 8 - (numbers[-1].word.flat[0] == 0)
    heads[0] = bytes(BATCH_OVERHEAD_BYTES) + rows[0].tobytes()[lead:first_bytes]
    return heads


def _lone(count: int, number: _Varints) -> list[bytes]:
    """A number by itself: what stands before each value."""
    words = np.empty(count, "<u8")
    words[:] = number.word
    lone: list[bytes] = words.view("S8").tolist()
    return lone
