"""From a key to its partition, as Kafka's clients do it: murmur2 over the bytes of the key (`Utils.murmur2` in Kafka).

Null keys are spread by whoever writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF

KEYS_REMEMBERED_MAX = 50_000
"""Keys asked one by one whose hash is remembered: murmur2 in Python costs 3 µs, a look-up 0.1."""

_TOGETHER_MIN = 16
"""Keys of one length from which arrays win: they cost 10 µs a length and 0.05 µs a key, less than to remember it."""


def murmur2(key: bytes) -> int:
    """Kafka's 32-bit murmur2, signed as in Java.

    >>> murmur2(b"21"), murmur2(b"foobar")
    (-973932308, -790332482)
    """
    hash_ = (_SEED ^ len(key)) & _MASK
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        hash_ = (hash_ * _M & _MASK) ^ k
    if whole < len(key):
        hash_ = (hash_ ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    hash_ = (hash_ ^ hash_ >> 13) * _M & _MASK
    hash_ ^= hash_ >> 15
    return hash_ - (1 << 32) if hash_ >> 31 else hash_


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of `key` among `partitions`, as Kafka's default partitioner.

    >>> partition_for(b"AA", 4)
    1
    """
    return (_remembered_murmur2(key) & 0x7FFFFFFF) % partitions


_remembered_murmur2 = lru_cache(KEYS_REMEMBERED_MAX)(murmur2)


def partitions_for(keys: Sequence[bytes], partitions: int) -> npt.NDArray[np.int64]:
    """`partition_for` of every key, int64; keys of one length are hashed together.

    >>> partitions_for([b"AA", b"UA", b"AA"], 4).tolist()
    [1, 2, 1]
    """
    import numpy as np

    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    distinct = np.unique(lengths).tolist()
    if len(keys) < _TOGETHER_MIN * len(distinct):
        return np.fromiter((partition_for(key, partitions) for key in keys), np.int64, len(keys))
    if len(distinct) == 1:
        return _murmur2_many(b"".join(keys), len(keys), distinct[0]) % partitions
    hashes = np.empty(len(keys), np.int64)
    for length in distinct:
        rows = np.flatnonzero(lengths == length)
        hashes[rows] = _murmur2_many(b"".join([keys[row] for row in rows.tolist()]), len(rows), length)
    return hashes % partitions


def _murmur2_many(joined: bytes, count: int, length: int) -> npt.NDArray[np.int64]:
    """murmur2 without its sign bit, of `count` keys of `length` bytes each that stand one after the other."""
    import numpy as np

    m = np.uint32(_M)
    whole = length & ~3
    padded = np.zeros((count, whole + 4), np.uint8)
    padded[:, :length] = np.frombuffer(joined, np.uint8).reshape(count, length)
    words = padded.view("<u4").astype(np.uint32, copy=False)
    hashes = np.full(count, (_SEED ^ length) & _MASK, np.uint32)
    for at in range(whole // 4):
        k = words[:, at] * m
        k = (k ^ (k >> np.uint32(24))) * m
        hashes = (hashes * m) ^ k
    if whole < length:
        hashes = (hashes ^ words[:, -1]) * m
    hashes = (hashes ^ (hashes >> np.uint32(13))) * m
    hashes ^= hashes >> np.uint32(15)
    return (hashes & np.uint32(0x7FFFFFFF)).astype(np.int64)
