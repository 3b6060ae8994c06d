"""Which partition of an internal topic holds a group or a transactional id."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def partition_for(name: str, partition_count: int) -> int:
    """The magnitude of Java's `String.hashCode`, modulo the partitions (Kafka: GroupCoordinator.partitionFor).

    >>> partition_for("my-group", 50)
    12
    """
    code = 0
    for unit in _utf16(name):
        code = (31 * code + unit) & 0xFFFFFFFF
    signed = code - (1 << 32) if code >> 31 else code
    return 0 if signed == -(1 << 31) else abs(signed) % partition_count


def _utf16(name: str) -> list[int]:
    data = name.encode("utf-16-be")
    return [data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)]
