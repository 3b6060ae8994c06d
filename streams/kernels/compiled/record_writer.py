"""Records into the bytes of a batch (Kafka's DefaultRecord) from spans; `broker_embedded.records.encode` is the
reference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from broker_embedded.records import BATCH_OVERHEAD_BYTES
from streams.kernels.compiled.native import inner, native
from streams.spans import Spans

_NUMBERS_BYTES_MAX = 5 + 1 + 10 + 5 + 5 + 5 + 1
"""Length, attributes, timestamp delta, offset delta, key and value length, number of headers."""


@inner
def _zigzag(number):  # type: ignore[no-untyped-def]
    return np.uint64(number << 1) ^ np.uint64(number >> 63)


@inner
def _size(number):  # type: ignore[no-untyped-def]
    """How many bytes the varint has."""
    rest = _zigzag(number)
    size = 1
    while rest >= np.uint64(128):
        rest >>= np.uint64(7)
        size += 1
    return size


@inner
def _varint(out, at, number):  # type: ignore[no-untyped-def]
    rest = _zigzag(number)
    while rest >= np.uint64(128):
        out[at] = np.uint8(rest & np.uint64(127)) | np.uint8(128)
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@inner
def _field(out, at, buffer, start, stop):  # type: ignore[no-untyped-def]
    """A key or value behind its length, which is -1 for null."""
    if start < 0:
        return _varint(out, at, np.int64(-1))
    at = _varint(out, at, stop - start)
    for place in range(start, stop):
        out[at + place - start] = buffer[place]
    return at + stop - start


@native(
    keys="bytes",
    key_starts="int64s",
    key_stops="int64s",
    values="bytes",
    value_starts="int64s",
    value_stops="int64s",
    timestamps="int64s",
    rows="count",
    base_timestamp="count",
    first_delta="count",
    out="bytes",
    at="count",
)
def _encode(  # type: ignore[no-untyped-def]
    keys,
    key_starts,
    key_stops,
    values,
    value_starts,
    value_stops,
    timestamps,
    rows,
    base_timestamp,
    first_delta,
    out,
    at,
):
    """Writes the records to `out` from `at` on; where they end."""
    for row in range(rows):
        key_bytes = key_stops[row] - key_starts[row] if key_starts[row] >= 0 else np.int64(-1)
        value_bytes = value_stops[row] - value_starts[row] if value_starts[row] >= 0 else np.int64(-1)
        time, delta = timestamps[row] - base_timestamp, first_delta + row
        numbers = 2 + _size(time) + _size(delta) + _size(key_bytes) + _size(value_bytes)
        at = _varint(out, at, numbers + max(key_bytes, 0) + max(value_bytes, 0))
        out[at] = 0
        at = _varint(out, at + 1, time)
        at = _varint(out, at, delta)
        at = _field(out, at, keys, key_starts[row], key_stops[row])
        at = _field(out, at, values, value_starts[row], value_stops[row])
        out[at] = 0
        at += 1
    return at


def encode_records(pieces: Sequence[tuple[Spans, Spans, npt.NDArray[np.int64]]], base_timestamp: int) -> bytearray:
    """A batch with its header still blank: keys, values and timestamps (ms) of records, one piece behind the other.

    >>> one = Spans(b"AA", np.array([0]), np.array([2]))
    >>> bytes(encode_records([(one, one, np.array([1000]))], 1000))[61:]
    b'\\x14\\x00\\x00\\x00\\x04AA\\x04AA\\x00'
    """
    bound = BATCH_OVERHEAD_BYTES + sum(
        len(times) * _NUMBERS_BYTES_MAX + int((keys.stops - keys.starts).sum() + (values.stops - values.starts).sum())
        for keys, values, times in pieces
    )
    out = np.empty(bound, np.uint8)
    out[:BATCH_OVERHEAD_BYTES] = 0
    at, delta = BATCH_OVERHEAD_BYTES, 0
    for keys, values, times in pieces:
        at = _encode(
            *keys.arrays(), *values.arrays(), np.ascontiguousarray(times), len(times), base_timestamp, delta, out, at
        )
        delta += len(times)
    return bytearray(out[:at].data)
