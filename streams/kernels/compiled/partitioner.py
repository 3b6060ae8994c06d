"""The partitions of keys that are spans."""

from __future__ import annotations

import numpy as np

from streams.arrays import Int64Array
from streams.kernels.compiled.native import inner, native
from streams.spans import Spans

_M, _SEED, _POSITIVE = np.uint32(0x5BD1E995), np.uint32(0x9747B28C), np.uint32(0x7FFFFFFF)


@inner
def _murmur2(buffer, start, stop):  # type: ignore[no-untyped-def]
    """Kafka's, as `streams.partitioner.murmur2`, unsigned."""
    hashed = _SEED ^ np.uint32(stop - start)
    at = start
    while at + 4 <= stop:
        word = np.uint32(buffer[at]) | np.uint32(buffer[at + 1]) << np.uint32(8)
        word = np.uint32(word | np.uint32(buffer[at + 2]) << np.uint32(16))
        word = np.uint32(np.uint32(word | np.uint32(buffer[at + 3]) << np.uint32(24)) * _M)
        word = np.uint32(np.uint32(word ^ (word >> np.uint32(24))) * _M)
        hashed = np.uint32(np.uint32(hashed * _M) ^ word)
        at += 4
    if at < stop:
        word = np.uint32(0)
        for place in range(stop - 1, at - 1, -1):
            word = np.uint32(np.uint32(word << np.uint32(8)) | np.uint32(buffer[place]))
        hashed = np.uint32(np.uint32(hashed ^ word) * _M)
    hashed = np.uint32(np.uint32(hashed ^ (hashed >> np.uint32(13))) * _M)
    return np.uint32(hashed ^ (hashed >> np.uint32(15)))


@native(buffer="bytes", starts="int64s", stops="int64s", rows="count", partitions="count", chosen="int64s")
def _choose(buffer, starts, stops, rows, partitions, chosen):  # type: ignore[no-untyped-def]
    for row in range(rows):
        if starts[row] < 0:
            chosen[row] = -1
        else:
            chosen[row] = np.int64(_murmur2(buffer, starts[row], stops[row]) & _POSITIVE) % partitions
    return 0


def partitions_of(keys: Spans, partitions: int) -> Int64Array:
    """`streams.partitioner.partition_for` of each key, -1 for null.

    >>> partitions_of(Spans(b"AAUA", np.array([0, -1, 2]), np.array([2, -1, 4])), 4).tolist()
    [1, -1, 2]
    """
    chosen = np.empty(len(keys.starts), np.int64)
    _choose(*keys.arrays(), len(chosen), partitions, chosen)
    return chosen
