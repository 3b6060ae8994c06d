"""Records into the bytes of a batch (Kafka's DefaultRecord).

A record is: length, attributes (a zero byte), timestamp delta, offset delta, key length, key, value length, value,
number of headers, headers. Every number is a zigzag varint; a null key or value has the length -1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TypeAlias

import numpy as np

from broker_embedded.records.batch_header import (
    BATCH_OVERHEAD_BYTES,
    CONTROL,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    TRANSACTIONAL,
    write_header,
)
from broker_embedded.records.columns import NO_HEADERS, encode_columns
from broker_embedded.records.compression import CODECS, compress
from broker_embedded.records.varint import Int64Array, VarintError, encode_varint

Header: TypeAlias = tuple[str, bytes | None]

CONTROL_KEY = struct.Struct(">hh")  # version, type
_CONTROL_VALUE = struct.Struct(">hi")  # version, coordinator epoch
CONTROL_ABORT, CONTROL_COMMIT = 0, 1

_NULL = encode_varint(-1)
_NO_ATTRIBUTES = b"\x00"

# Measured: below, a loop beats some sixty numpy calls.
_FEW_RECORDS = 80


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
    is_control: bool = False,
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
    deltas = None
    if offsets is not None:
        base_offset = int(offsets[0])
        deltas = _offset_deltas(offsets, count)
    try:
        batch, base_timestamp, max_timestamp = _encode_records(keys, values, timestamps, deltas, headers)
    except TypeError:
        _check_types(keys, values)
        raise
    return seal(
        batch,
        count,
        base_timestamp,
        max_timestamp,
        codec=codec,
        level=level,
        base_offset=base_offset,
        last_offset_delta=None if deltas is None else int(deltas[-1]),
        attributes=(TRANSACTIONAL if is_transactional else 0) | (CONTROL if is_control else 0),
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
    )


def seal(
    batch: bytearray,
    count: int,
    base_timestamp: int,
    max_timestamp: int,
    *,
    codec: str = "none",
    level: int | None = None,
    base_offset: int = 0,
    last_offset_delta: int | None = None,
    attributes: int = 0,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
) -> bytearray:
    """The batch of `count` records, plain behind room for a header (`BATCH_OVERHEAD_BYTES`), with its records
    compressed and its header written; for who encodes records in a way of their own.

    Raises ValueError when the codec is unknown.

    >>> whole = encode([b"AA"], [b"1"], [1000])
    >>> seal(bytearray(61) + whole[61:], 1, 1000, 1000) == whole
    True
    """
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")
    if codec != "none":
        batch[BATCH_OVERHEAD_BYTES:] = compress(codec, memoryview(batch)[BATCH_OVERHEAD_BYTES:], level)
    write_header(
        batch,
        attributes=CODECS.index(codec) | attributes,
        base_offset=base_offset,
        last_offset_delta=count - 1 if last_offset_delta is None else last_offset_delta,
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
    deltas: Int64Array | None,
    headers: Sequence[Sequence[Header]] | None,
) -> tuple[bytearray, int, int]:
    """The batch with its header still blank, and the first and the largest timestamp."""
    tails = None if headers is None else [_encode_headers(entries) for entries in headers]
    if len(values) >= _FEW_RECORDS:
        column: Int64Array = np.asarray(timestamps, np.int64)
        try:
            return encode_columns(keys, values, column, deltas, tails), int(column[0]), int(column.max())
        except VarintError:
            # Numbers too large for a row of a matrix; the loop takes any.
            pass
    times = timestamps.tolist() if isinstance(timestamps, np.ndarray) else timestamps
    offset_deltas = range(len(values)) if deltas is None else deltas.tolist()
    return _one_by_one(keys, values, times, offset_deltas, tails), times[0], max(times)


def _encode_headers(entries: Sequence[Header]) -> bytes:
    if not entries:
        return NO_HEADERS
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
    columns = zip(keys, values, times, deltas, tails or repeat(NO_HEADERS), strict=False)
    for key, value, time, delta, tail in columns:
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
    return encode(
        [CONTROL_KEY.pack(0, CONTROL_COMMIT if commit else CONTROL_ABORT)],
        [_CONTROL_VALUE.pack(0, coordinator_epoch)],
        [timestamp],
        base_offset=base_offset,
        is_transactional=True,
        is_control=True,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
    )
