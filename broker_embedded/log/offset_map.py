"""Which offset the newest record of each key has, as far as memory goes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Final

import numpy as np

from broker_embedded.records.varint import Int64Array

# Of a dict's entry, an int and the head of a bytes object.
_ENTRY_BYTES: Final = 33 + 32 + 104


class OffsetMap:
    """Keys to offsets, the keys as they are: no two are ever taken for one another.

    `is_full` once it takes about `max_bytes` (Kafka: log.cleaner.dedupe.buffer.size); what is added stays whole.

    >>> newest = OffsetMap(1 << 20)
    >>> newest.add([b"AA", None, b"AA"], [0, 1, 2])
    >>> newest.find([b"AA", b"UA", None]).tolist(), len(newest)
    ([2, -1, -1], 1)
    """

    __slots__ = ("_key_bytes", "_keys_seen", "_max_bytes", "_offsets")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._offsets: dict[bytes | None, int] = {}
        self._key_bytes = self._keys_seen = 0

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, keys: Sequence[bytes | None], offsets: Sequence[int]) -> None:
        """Records in the order of their offsets; those without a key are no news."""
        self._offsets.update(zip(keys, offsets, strict=True))
        self._offsets.pop(None, None)
        self._keys_seen += len(keys)
        self._key_bytes += sum([len(key) for key in keys if key])

    def find(self, keys: Sequence[bytes | None]) -> Int64Array:
        """The offset of each key's newest record, int64[n]; -1 for a key that is not here."""
        return np.fromiter(map(self._offsets.get, keys, repeat(-1)), np.int64, len(keys))

    @property
    def is_full(self) -> bool:
        key_bytes = self._key_bytes / self._keys_seen if self._keys_seen else 0
        return len(self._offsets) * (_ENTRY_BYTES + key_bytes) >= self._max_bytes
