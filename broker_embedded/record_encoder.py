"""Records into the bytes of a batch (Kafka's DefaultRecord), a column at a time.

A record is: length, attributes (one zero byte), timestamp delta, offset delta, key length, key, value length, value,
number of headers, headers; every number a zigzag varint, a null key or value the length -1.

Keys and values are joined once, with zeros between them where the numbers belong, and the numbers are then written
over the zeros, each column for all records at once. Few records are faster one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TypeAlias

import numpy as np

from broker_embedded.batch_header import (
    BATCH_OVERHEAD_BYTES,
    CONTROL,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    TRANSACTIONAL,
    write_header,
)
from broker_embedded.compression import CODECS, compress
from broker_embedded.varint import Int64Array, encode_varint, widths, write_column, zigzag

Header: TypeAlias = tuple[str, bytes | None]

CONTROL_KEY = struct.Struct(">hh")  # version, type
_CONTROL_VALUE = struct.Struct(">hi")  # version, coordinator epoch
CONTROL_ABORT, CONTROL_COMMIT = 0, 1

_NULL = encode_varint(-1)
_NO_ATTRIBUTES = _NO_HEADERS = b"\x00"
# Gaps by size; the widest is a batch header and six numbers.
_ZEROS = np.array([bytes(size) for size in range(128)], object)
_WRAPS = 2**63

# Measured: below, a loop beats some sixty numpy calls.
_FEW_RECORDS = 90


def encode(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int] | Int64Array,
    headers: Sequence[Sequence[Header]] | None = None,
    *,
    codec: str = "none",
    level: int | None = None,
    base_offset: int = 0,
    is_transactional: bool = False,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    offsets: Sequence[int] | Int64Array | None = None,
) -> bytearray:
    """One whole batch of at least one record, sealed.

    `timestamps` are milliseconds. `headers` has a list per record. `offsets` are absolute and ascending, for a
    compacted rewrite; without them they count from `base_offset`.

    Raises ValueError when the columns differ in length, are empty or offsets do not ascend, or the codec is unknown;
    TypeError when a key or value is neither bytes nor None.

    >>> batch = encode([b"AA", None], [b"1", b"2"], [1700000000000, 1700000000005])
    >>> len(batch)
    79
    """
    count = len(values)
    if not count or not len(keys) == len(timestamps) == count or (headers is not None and len(headers) != count):
        raise ValueError(
            f"a batch takes as many keys ({len(keys)}) and timestamps ({len(timestamps)}) as values ({count})"
            f"{'' if headers is None else f' and headers ({len(headers)})'}, and at least one"
        )
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")
    deltas: Sequence[int] | Int64Array = range(count)
    if offsets is not None:
        base_offset = int(offsets[0])
        deltas = _offset_deltas(offsets, count)
    try:
        batch, base_timestamp, max_timestamp = _encode_records(keys, values, timestamps, deltas, headers)
    except TypeError:
        _check_types(keys, values)
        raise
    if codec != "none":
        batch[BATCH_OVERHEAD_BYTES:] = compress(codec, memoryview(batch)[BATCH_OVERHEAD_BYTES:], level)
    write_header(
        batch,
        attributes=CODECS.index(codec) | (TRANSACTIONAL if is_transactional else 0),
        base_offset=base_offset,
        last_offset_delta=int(deltas[-1]),
        base_timestamp=base_timestamp,
        max_timestamp=max_timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        count=count,
    )
    return batch


def _offset_deltas(offsets: Sequence[int] | Int64Array, count: int) -> Int64Array:
    column: Int64Array = np.asarray(offsets, np.int64)
    if len(column) != count or np.count_nonzero(column[1:] <= column[:-1]):
        raise ValueError(f"{len(column)} offsets for {count} records; there must be one for each, ascending")
    return column - int(column[0])


def _check_types(keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
    for name, column in (("key", keys), ("value", values)):
        for index, field in enumerate(column):
            if not (field is None or isinstance(field, bytes | bytearray | memoryview)):
                raise TypeError(f"{name} of record {index} is {type(field).__name__} {field!r}; bytes or None expected")


def _encode_records(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int] | Int64Array,
    deltas: Sequence[int] | Int64Array,
    headers: Sequence[Sequence[Header]] | None,
) -> tuple[bytearray, int, int]:
    """The batch with its header still blank, and the first and largest timestamp."""
    tails = None if headers is None else [_encode_headers(entries) for entries in headers]
    if len(values) < _FEW_RECORDS:
        times = timestamps.tolist() if isinstance(timestamps, np.ndarray) else timestamps
        earliest, latest = min(times), max(times)
        # Deltas wrap around at 64 bits, as Java's do; the columns' arithmetic does that by itself.
        if latest - earliest < _WRAPS:
            return _one_by_one(keys, values, times, deltas, tails), times[0], latest
    column = np.asarray(timestamps, np.int64)
    return _by_columns(keys, values, column, np.asarray(deltas, np.int64), tails), int(column[0]), int(column.max())


def _encode_headers(entries: Sequence[Header]) -> bytes:
    parts = [encode_varint(len(entries))]
    for name, value in entries:
        parts += (_encode_field(name.encode()), _encode_field(value))
    return b"".join(parts)


def _encode_field(field: bytes | None) -> bytes:
    return _NULL if field is None else encode_varint(len(field)) + field


def _one_by_one(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    times: Sequence[int],
    deltas: Iterable[int],
    tails: list[bytes] | None,
) -> bytearray:
    base = times[0]
    parts = [bytes(BATCH_OVERHEAD_BYTES)]
    for key, value, time, delta, tail in zip(keys, values, times, deltas, tails or repeat(_NO_HEADERS), strict=False):
        body = b"".join(
            (
                _NO_ATTRIBUTES,
                encode_varint(time - base),
                encode_varint(delta),
                _NULL if key is None else encode_varint(len(key)),
                key or b"",
                _NULL if value is None else encode_varint(len(value)),
                value or b"",
                tail,
            )
        )
        parts += (encode_varint(len(body)), body)
    return bytearray().join(parts)


def _by_columns(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    times: Int64Array,
    deltas: Int64Array,
    tails: list[bytes] | None,
) -> bytearray:
    key_parts, key_length, key_bytes = _lengths(keys)
    value_parts, value_length, value_bytes = _lengths(values)
    numbers = [zigzag(times - times[0]), zigzag(deltas), zigzag(key_length), zigzag(value_length)]
    sizes = [widths(column) for column in numbers]
    # As long as no record has headers, the zero that says so is the first byte of the gap before the next record.
    tail_bytes = 1 if tails is None else np.fromiter(map(len, tails), np.int64, len(tails))
    before_key = sizes[0] + sizes[1] + sizes[2] + 1
    length = before_key + key_bytes + sizes[3] + value_bytes + tail_bytes
    length_number = zigzag(length)
    length_size = widths(length_number)
    start = np.cumsum(length_size + length)
    start += BATCH_OVERHEAD_BYTES - (length_size + length)

    gap = length_size + before_key + (1 if tails is None else 0)
    gap[0] += BATCH_OVERHEAD_BYTES - (1 if tails is None else 0)
    batch = bytearray().join(_interleave(gap, key_parts, sizes[3], value_parts, tails))
    output = np.frombuffer(batch, np.uint8)
    write_column(output, start, length_number, length_size)
    position = start + length_size + 1
    for column, size in zip(numbers[:3], sizes[:3], strict=True):
        write_column(output, position, column, size)
        position = position + size
    write_column(output, position + key_bytes, numbers[3], sizes[3])
    return batch


def _lengths(fields: Sequence[bytes | None]) -> tuple[Sequence[bytes] | None, Int64Array, Int64Array]:
    """What to join (None if all are null), the lengths to write (-1 for null), and the lengths in bytes."""
    count = len(fields)
    if fields[0] is None and fields.count(None) == count:
        return None, np.full(count, -1), np.zeros(count, np.int64)
    try:
        lengths = np.fromiter(map(len, fields), np.int64, count)  # type: ignore[arg-type]
    except TypeError:
        lengths = np.fromiter([-1 if field is None else len(field) for field in fields], np.int64, count)
        return [b"" if field is None else field for field in fields], lengths, np.maximum(lengths, 0)
    return fields, lengths, lengths  # type: ignore[return-value]


def _interleave(
    gap: Int64Array,
    keys: Sequence[bytes] | None,
    value_gap: Int64Array,
    values: Sequence[bytes] | None,
    tails: list[bytes] | None,
) -> list[bytes]:
    if keys is None:
        columns: list[Sequence[bytes]] = [_zeros(gap + value_gap)]
    else:
        columns = [_zeros(gap), keys, _zeros(value_gap)]
    columns += [column for column in (values, tails) if column is not None]
    parts = [b""] * (len(columns) * len(gap))
    for index, column in enumerate(columns):
        parts[index :: len(columns)] = column
    if tails is None:
        parts.append(_NO_HEADERS)
    return parts


def _zeros(sizes: Int64Array) -> list[bytes]:
    return _ZEROS[sizes].tolist()  # type: ignore[no-any-return]


def encode_control(
    *,
    commit: bool,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int = 0,
    timestamp: int,
    base_offset: int = 0,
) -> bytearray:
    """The marker that ends a transaction (Kafka's EndTransactionMarker): a control batch of one record."""
    key, value = (
        CONTROL_KEY.pack(0, CONTROL_COMMIT if commit else CONTROL_ABORT),
        _CONTROL_VALUE.pack(0, coordinator_epoch),
    )
    batch = _one_by_one([key], [value], [timestamp], [0], None)
    write_header(
        batch,
        attributes=TRANSACTIONAL | CONTROL,
        base_offset=base_offset,
        last_offset_delta=0,
        base_timestamp=timestamp,
        max_timestamp=timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=NO_SEQUENCE,
        count=1,
    )
    return batch
