"""The bytes of records into columns (Kafka's DefaultRecord): the inverse of `encoder.py`.

Where a record begins depends on the length of the one before, so that much is sequential; the numbers in it are then
read a column at a time, for the records of several batches at once. Few records are faster one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from broker_embedded.records.batch_header import BatchHeader, CorruptBatchError, describe
from broker_embedded.records.varint import (
    WORD_PADDING,
    Counting,
    Cursor,
    Int64Array,
    UInt64Array,
    VarintError,
    counting,
    read_varint,
    words,
)

# Measured: below, a loop beats some seventy numpy calls.
_FEW_RECORDS = 32
# Where guessing does not pay: large records, binary ones.
_GUESS_RECORD_BYTES = 512
_GUESS_ZEROS_PER_RECORD = 8
_SAMPLE_BYTES = 4096
_FIRST = np.zeros(1, np.int64)
# Length, attributes, timestamp, offset, two null lengths, no headers: one byte each.
_SMALLEST_RECORD_BYTES = 7


class Area(NamedTuple):
    """The unpacked records of a batch, in a buffer from byte `start` to before `stop`."""

    header: BatchHeader
    start: int
    stop: int


class Columns(NamedTuple):
    """What is in records: int64[n] each. Positions count from the buffer's first byte; null begins and ends at -1."""

    offset: Int64Array
    timestamp: Int64Array
    key_start: Int64Array
    key_stop: Int64Array
    value_start: Int64Array
    value_stop: Int64Array
    header_start: Int64Array | None  # None when no record has headers
    header_stop: Int64Array | None


Reader = Callable[[bytes, Sequence[Area]], Columns]
"""Does what `read_records` does."""


def read_records(buffer: bytes, areas: Sequence[Area]) -> Columns:
    """The columns of the records in `areas`, which fill `buffer` one behind the other up to its `varint.WORD_PADDING`.

    Raises CorruptBatchError when a batch's records are not as many as its header says, one behind the other to the end,
    with ascending offset deltas up to the header's last one. Headers are looked at no further than their number.
    """
    for header, start, stop in areas:
        size = stop - start
        if header.count * _SMALLEST_RECORD_BYTES > size or (size and not header.count):
            raise CorruptBatchError(
                f"{describe(header)}: {header.count} records (bytes 57-60) cannot be in {size} bytes"
            )
    # What the columns cannot make sense of, the loop can, or it says what is wrong and where.
    many = sum(area.header.count for area in areas) > _FEW_RECORDS
    columns = _by_columns(buffer, [area for area in areas if area.header.count]) if many else None
    return _one_by_one(buffer, areas) if columns is None else columns


def _by_columns(buffer: bytes, areas: Sequence[Area]) -> Columns | None:
    try:
        bounds = _find_bounds(buffer, words(buffer), areas)
        if bounds is None:
            return None
        cursor, stop = bounds
        cursor.skip_byte()
        timestamp, offset = cursor.read(), _read_offsets(cursor, areas)
        key, value = _read_field(cursor), _read_field(cursor)
        end = cursor.position
        has_headers = np.count_nonzero(np.frombuffer(buffer, np.uint8)[end]) > 0
        if has_headers:
            number = cursor.read()
            complete = (number >= 0) & (cursor.position <= stop) & ((number == 0) == (cursor.position == stop))
        else:
            complete = end + 1 == stop
    except (VarintError, IndexError):
        return None
    if np.count_nonzero(complete) < len(stop):
        return None
    return Columns(*_add_bases(offset, timestamp, areas), *key, *value, *((end, stop) if has_headers else (None, None)))


def _read_field(cursor: Cursor) -> tuple[Int64Array, Int64Array]:
    """Where keys, or values, start and stop. The cursor goes behind them."""
    length = cursor.read()
    start = cursor.position
    null = length < 0
    if not np.count_nonzero(null):
        stop = start + length
        cursor.jump(stop)
        return start, stop
    stop = start + np.maximum(length, 0)
    cursor.jump(stop)
    return np.where(null, -1, start), np.where(null, -1, stop)


def _read_offsets(cursor: Cursor, areas: Sequence[Area]) -> Int64Array:
    """Offset deltas. Raises VarintError when a batch's do not ascend from 0 or more to its header's last one."""
    counts = [area.header.count for area in areas]
    largest = [area.header.last_offset_delta for area in areas]
    if all(last >= count - 1 for last, count in zip(largest, counts, strict=True)):
        # Without compaction they are 0, 1, 2 ..., and that is sooner seen than read.
        expected = _counting(counts)
        if cursor.passes(expected):
            return expected.number
    delta = cursor.read()
    last = np.cumsum(counts) - 1
    falls = delta[1:] <= delta[:-1]
    falls[last[:-1]] = False
    first = np.concatenate((_FIRST, last[:-1] + 1))
    if np.count_nonzero(falls) or np.count_nonzero((delta[first] < 0) | (delta[last] > largest)):
        raise VarintError("offset deltas do not ascend")
    return delta


def _counting(counts: Sequence[int]) -> Counting:
    """For each batch, the numbers from 0 on."""
    parts = [counting(count) for count in counts]
    return parts[0] if len(parts) == 1 else Counting(*map(np.concatenate, zip(*parts, strict=True)))


def _add_bases(offset: Int64Array, timestamp: Int64Array, areas: Sequence[Area]) -> tuple[Int64Array, Int64Array]:
    """The deltas, as offsets and timestamps. With LogAppendTime a batch's records all have its largest (KIP-32)."""
    offset = offset + _of_each(areas, [area.header.base_offset for area in areas])
    timestamp = timestamp + _of_each(areas, [area.header.base_timestamp for area in areas])
    is_appended = [area.header.is_log_append_time for area in areas]
    if True in is_appended:
        largest = _of_each(areas, [area.header.max_timestamp for area in areas])
        timestamp = np.where(_of_each(areas, is_appended), largest, timestamp)
    return offset, timestamp


def _of_each(areas: Sequence[Area], numbers: Sequence[int]) -> Int64Array | int:
    """A number of each batch, once for each of its records; of a single batch just once."""
    if len(areas) == 1:
        return numbers[0]
    return np.repeat(np.array(numbers, np.int64), [area.header.count for area in areas])


def _find_bounds(buffer: bytes, view: UInt64Array, areas: Sequence[Area]) -> tuple[Cursor, Int64Array] | None:
    """Each record from behind its length, and where it stops; None when the lengths are not a chain from end to end.

    Batches make one chain, and where a batch ends a record does.
    """
    counts = [area.header.count for area in areas]
    count = sum(counts)
    for find in (_guess_begins, _walk):
        begin = find(buffer, view, count)
        if begin is None:
            continue
        cursor = Cursor(view, begin)
        stop = cursor.read() + cursor.position
        is_chain = np.count_nonzero(stop[:-1] == begin[1:]) == count - 1
        if is_chain and all(stop[row - 1] == area.stop for row, area in zip(accumulate(counts), areas, strict=True)):
            return cursor, stop
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
    begin = zeros[np.flatnonzero((between > 1) & (between <= 4))] + 1
    if len(begin) > count - 1:
        # Too many: a true one's record stops where another begins.
        cursor = Cursor(view, begin)
        stop = cursor.read() + cursor.position
        begins = np.zeros(end + 1, np.bool_)
        begins[begin] = begins[end] = True
        begin = begin[begins[np.clip(stop, 0, end)]]
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


def _one_by_one(buffer: bytes, areas: Sequence[Area]) -> Columns:
    """The same without numpy: for few records, and to say which record is wrong and how."""
    rows = [row for area in areas for row in _read_area(buffer, area)]
    offset, timestamp, *positions = np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, 8).T)
    if len(areas) > 1:
        starts = _of_each(areas, [area.start for area in areas])
        positions = [np.where(column < 0, column, column + starts) for column in positions]
    *fields, header_start, header_stop = positions
    has_headers = any(row[7] - row[6] > 1 for row in rows)
    return Columns(
        *_add_bases(offset, timestamp, areas), *fields, *((header_start, header_stop) if has_headers else (None, None))
    )


def _read_area(buffer: bytes, area: Area) -> Iterator[tuple[int, ...]]:
    """The fields of `Columns` for each record, with deltas, and positions from the area's start on."""
    header, start, stop = area
    octets = buffer[start:stop] + WORD_PADDING
    end = stop - start
    position = lowest = 0
    for number in range(header.count):
        try:
            row = _read_record(octets, position, end)
            if not lowest <= row[0] <= header.last_offset_delta:
                raise VarintError(f"its offset delta {row[0]} is not in {lowest} to {header.last_offset_delta}")
        except VarintError as error:
            raise CorruptBatchError(
                f"{describe(header)}: record {number} at byte {position} of the unpacked records: {error}"
            ) from error
        yield row
        lowest = row[0] + 1
        position = row[7]
    if position != end:
        raise CorruptBatchError(f"{describe(header)}: {header.count} records take {position} bytes, here are {end}")


def _read_record(buffer: bytes, position: int, end: int) -> tuple[int, ...]:
    """One row of `_read_area`."""
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
