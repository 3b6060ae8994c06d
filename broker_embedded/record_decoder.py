"""The bytes of a batch's records into columns (Kafka's DefaultRecord): the inverse of `record_encoder.py`.

Where a record begins depends on the length of the one before, so that much is sequential; the numbers in it are then
read a column at a time for all records. Few records are faster one by one.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from broker_embedded.batch_header import BatchHeader, CorruptBatchError, describe
from broker_embedded.varint import (
    WORD_PADDING,
    Int64Array,
    UInt64Array,
    VarintError,
    column_bits,
    column_words,
    read_column,
    read_varint,
    words,
    zigzag,
)

# Measured: below, a loop beats some fifty numpy calls.
_FEW_RECORDS = 28
# Batches whose offsets are compared to a table of counting; it takes 32 bytes a number.
_SMALLEST_COUNTING, _LARGEST_COUNTING = 2**7, 2**15
# Where guessing does not pay: large records, binary ones.
_GUESS_RECORD_BYTES = 512
_GUESS_ZEROS_PER_RECORD = 8
_SAMPLE_BYTES = 4096
_FIRST = np.zeros(1, np.int64)
# Length, attributes, timestamp, offset, two null lengths, no headers: one byte each.
_SMALLEST_RECORD_BYTES = 7


class Columns(NamedTuple):
    """What is in a batch's records: int64[n] each. Positions count from the buffer's first byte; null begins at -1."""

    offset_delta: Int64Array
    timestamp_delta: Int64Array
    key_start: Int64Array
    key_stop: Int64Array
    value_start: Int64Array
    value_stop: Int64Array
    header_start: Int64Array | None  # None when no record has headers
    header_stop: Int64Array | None


def read_records(buffer: bytes, header: BatchHeader) -> Columns:
    """The columns of the unpacked records in `buffer`, which ends in `varint.WORD_PADDING`.

    Raises CorruptBatchError when they are not as many as the header says, one behind the other to the end, with
    ascending offset deltas up to the header's last one. Headers are looked at no further than their number.
    """
    size = len(buffer) - len(WORD_PADDING)
    if header.count * _SMALLEST_RECORD_BYTES > size:
        raise CorruptBatchError(f"{describe(header)}: {header.count} records (bytes 57-60) cannot be in {size} bytes")
    # What the columns cannot make sense of, the loop can, or it says what is wrong and where.
    columns = _by_columns(buffer, header) if header.count > _FEW_RECORDS else None
    return _one_by_one(buffer, header) if columns is None else columns


def _by_columns(buffer: bytes, header: BatchHeader) -> Columns | None:
    view = words(buffer)
    try:
        bounds = _find_bounds(buffer, view, header.count)
        if bounds is None:
            return None
        start, stop = bounds
        timestamp, position = read_column(view, start + 1)
        offset, position = _read_offsets(view, position, header)
        key_length, key_start = read_column(view, position)
        key_stop = key_start + np.maximum(key_length, 0)
        value_length, value_start = read_column(view, key_stop)
        value_stop = value_start + np.maximum(value_length, 0)
        complete = value_stop + 1 == stop
        has_headers = np.count_nonzero(np.frombuffer(buffer, np.uint8)[value_stop]) > 0
        if has_headers:
            number, position = read_column(view, value_stop)
            complete = (number >= 0) & (position <= stop) & ((number == 0) == (position == stop))
    except (VarintError, IndexError):
        return None
    if np.count_nonzero(complete) < header.count:
        return None
    key = _null(key_length, key_start, key_stop)
    value = _null(value_length, value_start, value_stop)
    return Columns(
        offset,
        timestamp,
        *key,
        *value,
        *((value_stop, stop) if has_headers else (None, None)),
    )


def _null(length: Int64Array, start: Int64Array, stop: Int64Array) -> tuple[Int64Array, Int64Array]:
    null = length < 0
    if not np.count_nonzero(null):
        return start, stop
    return np.where(null, -1, start), np.where(null, -1, stop)


def _read_offsets(view: UInt64Array, position: Int64Array, header: BatchHeader) -> tuple[Int64Array, Int64Array]:
    """As `read_column`. Raises VarintError when the deltas do not ascend from 0 or more to the header's last one."""
    count = header.count
    if count <= _LARGEST_COUNTING and header.last_offset_delta >= count - 1:
        # Without compaction they are 0, 1, 2 ..., and that is sooner seen than read.
        number, word, mask, size = _counting(max(count - 1, _SMALLEST_COUNTING).bit_length())
        if not np.count_nonzero((view[position] ^ word[:count]) & mask[:count]):
            return number[:count], position + size[:count]
    offset, position = read_column(view, position)
    if offset[0] < 0 or offset[-1] > header.last_offset_delta or np.count_nonzero(offset[1:] <= offset[:-1]):
        raise VarintError("offset deltas do not ascend")
    return offset, position


@cache
def _counting(length_bits: int) -> tuple[Int64Array, UInt64Array, UInt64Array, Int64Array]:
    """The numbers from 0 to before 2 ** `length_bits`: themselves, as varints, the bits those take, and the bytes."""
    number = np.arange(1 << length_bits)
    number.flags.writeable = False  # parts of it are given out
    raw = zigzag(number)
    bits = column_bits(raw)
    mask = (np.uint64(1) << bits) - np.uint64(1)
    return number, column_words(raw, bits), mask, (bits >> np.uint64(3)).view(np.int64)


def _find_bounds(buffer: bytes, view: UInt64Array, count: int) -> tuple[Int64Array, Int64Array] | None:
    """Where each record starts, after its length, and stops; None when the lengths are not a chain from end to end."""
    for find in (_guess_begins, _walk):
        begin = find(buffer, view, count)
        if begin is not None:
            length, start = read_column(view, begin)
            stop = start + length
            if stop[-1] == len(buffer) - len(WORD_PADDING) and np.count_nonzero(stop[:-1] == begin[1:]) == count - 1:
                return start, stop
    return None


def _guess_begins(buffer: bytes, view: UInt64Array, count: int) -> Int64Array | None:
    """Where records begin, if zeros tell: a record without headers ends in one, and one follows the next length.

    Three times as fast as walking when values are text. Binary ones full of zeros are left to walking.
    """
    end = len(buffer) - len(WORD_PADDING)
    sample = min(end, _SAMPLE_BYTES)
    if end > _GUESS_RECORD_BYTES * count or buffer.count(0, 0, sample) * end > _GUESS_ZEROS_PER_RECORD * count * sample:
        return None
    zeros = np.flatnonzero(np.frombuffer(buffer, np.uint8, end) == 0)
    between = zeros[1:] - zeros[:-1]
    begin = zeros[:-1][(between > 1) & (between <= 4)] + 1
    if len(begin) > count - 1:
        # Too many: a true one's record stops where another begins.
        length, start = read_column(view, begin)
        begins = np.zeros(end + 1, np.bool_)
        begins[begin] = begins[end] = True
        begin = begin[begins[np.clip(start + length, 0, end)]]
    return np.concatenate((_FIRST, begin)) if len(begin) == count - 1 else None


def _walk(buffer: bytes, view: UInt64Array, count: int) -> Int64Array:
    """Where records begin, from length to length."""
    position = 0
    begin = []
    for _ in range(count):
        begin.append(position)
        low = buffer[position]
        if low < 0x80:
            position += 1 + (low >> 1)
        elif buffer[position + 1] < 0x80:
            position += 2 + ((low & 0x7F | buffer[position + 1] << 7) >> 1)
        else:
            length, position = read_varint(buffer, position)
            position += length
    return np.array(begin)


def _one_by_one(buffer: bytes, header: BatchHeader) -> Columns:
    """The same without numpy: for few records, and to say which record is wrong and how."""
    end = len(buffer) - len(WORD_PADDING)
    rows: list[tuple[int, ...]] = []
    position = lowest = 0
    has_headers = False
    try:
        for _ in range(header.count):
            row = _read_record(buffer, position, end)
            if not lowest <= row[0] <= header.last_offset_delta:
                raise VarintError(f"its offset delta {row[0]} is not in {lowest} to {header.last_offset_delta}")
            rows.append(row)
            lowest = row[0] + 1
            position = row[7]
            has_headers = has_headers or position - row[6] > 1
    except VarintError as error:
        raise CorruptBatchError(
            f"{describe(header)}: record {len(rows)} at byte {position} of the unpacked records: {error}"
        ) from error
    if position != end:
        raise CorruptBatchError(f"{describe(header)}: {header.count} records take {position} bytes, here are {end}")
    columns = np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, 8).T)
    return Columns(*columns[:6], *(columns[6:] if has_headers else (None, None)))


def _read_record(buffer: bytes, position: int, end: int) -> tuple[int, ...]:
    """The fields of `Columns` for one record."""
    length, start = read_varint(buffer, position)
    stop = start + length
    if not start < stop <= end:
        raise VarintError(f"its length {length} is not within the {end} bytes")
    timestamp, position = read_varint(buffer, start + 1)
    offset, position = read_varint(buffer, position)
    key_length, key_start = read_varint(buffer, position)
    key_stop = key_start + key_length if key_length > 0 else key_start
    if key_stop >= stop:
        raise VarintError(f"its key, {key_length} bytes at byte {key_start}, runs past its end at byte {stop}")
    value_length, value_start = read_varint(buffer, key_stop)
    value_stop = value_start + value_length if value_length > 0 else value_start
    if value_stop >= stop:
        raise VarintError(f"its value, {value_length} bytes at byte {value_start}, runs past its end at byte {stop}")
    header_count, position = read_varint(buffer, value_stop)
    if header_count < 0 or position > stop or (header_count == 0) != (position == stop):
        raise VarintError(f"it has {header_count} headers after byte {value_stop} and ends at byte {stop}")
    return (
        offset,
        timestamp,
        *((key_start, key_stop) if key_length >= 0 else (-1, -1)),
        *((value_start, value_stop) if value_length >= 0 else (-1, -1)),
        value_stop,
        stop,
    )
