"""Slots for groups: a small integer for each (key, window start) that an aggregation keeps in memory.

States live in arrays or lists indexed by slot, so that a batch is folded by a few array operations. Slots of windows
that are closed, and of groups that were written out and are not needed, are used again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streams.kernels.grouping import group_rows

Int64Array = npt.NDArray[np.int64]
Slots = npt.NDArray[np.intp]

_FIRST_CAPACITY = 1024


class Groups:
    """Which slot holds which group, of windows that start `step_ms` apart.

    `dirty` marks slots changed since they were last written out, `timestamps` has the largest timestamp folded in.
    """

    def __init__(self, step_ms: int = 1) -> None:
        self._step_ms = step_ms
        self._code_of: dict[bytes, int] = {}
        self._key_of: list[bytes] = []
        self._slot_of: dict[tuple[int, int], int] = {}
        self._by_start: dict[int, list[int]] = defaultdict(list)
        self._free: list[int] = []
        self._used = 0
        self.codes = np.zeros(_FIRST_CAPACITY, np.int64)
        self.starts = np.zeros(_FIRST_CAPACITY, np.int64)
        self.timestamps = np.zeros(_FIRST_CAPACITY, np.int64)
        self.dirty = np.zeros(_FIRST_CAPACITY, np.bool_)

    def __len__(self) -> int:
        return len(self._slot_of)

    @property
    def capacity(self) -> int:
        """Slots there is room for; states are kept at least this long."""
        return len(self.dirty)

    @property
    def open_starts(self) -> list[int]:
        """Window starts that have groups in memory, ascending."""
        return sorted(self._by_start)

    def encode_keys(self, keys: Sequence[bytes]) -> Int64Array:
        """A dense code for each key."""
        code_of = self._code_of
        try:
            return np.fromiter(map(code_of.__getitem__, keys), np.int64, len(keys))
        except KeyError:
            for key in keys:
                if key not in code_of:
                    code_of[key] = len(self._key_of)
                    self._key_of.append(key)
            return np.fromiter(map(code_of.__getitem__, keys), np.int64, len(keys))

    def locate(self, codes: Int64Array, starts: Int64Array) -> tuple[Slots, Slots]:
        """The slot of each (key code, start) pair, and the slots that are new: their state is yet to be filled in."""
        first, width = int(starts.min()), len(self._key_of)
        index = (starts - first) // self._step_ms
        unique, inverse = group_rows(index * width + codes, (int(index.max()) + 1) * width)
        pairs = list(zip((unique // width * self._step_ms + first).tolist(), (unique % width).tolist(), strict=True))
        slots = [self._slot_of.get(pair, -1) for pair in pairs]
        fresh = [self._assign(pairs, slots, row) for row, slot in enumerate(slots) if slot < 0]
        return np.array(slots, np.intp)[inverse], np.array(fresh, np.intp)

    def _assign(self, pairs: list[tuple[int, int]], slots: list[int], row: int) -> int:
        slot = self._free.pop() if self._free else self._grow()
        start, code = pairs[row]
        self._slot_of[start, code] = slots[row] = slot
        self._by_start[start].append(slot)
        self.codes[slot] = code
        self.starts[slot] = start
        self.timestamps[slot] = -1
        self.dirty[slot] = False
        return slot

    def _grow(self) -> int:
        if self._used == self.capacity:
            for name in ("codes", "starts", "timestamps", "dirty"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        self._used += 1
        return self._used - 1

    def key(self, slot: int) -> bytes:
        return self._key_of[int(self.codes[slot])]

    def keys(self, slots: Slots) -> list[bytes]:
        """The key of each slot."""
        key_of = self._key_of
        return [key_of[code] for code in self.codes[slots].tolist()]

    def holds(self, start: int, key: bytes) -> bool:
        """Whether the group has a slot."""
        return (start, self._code_of.get(key, -1)) in self._slot_of

    def of_start(self, start: int) -> list[int]:
        """Slots of one window, in no order."""
        return self._by_start.get(start, [])

    def dirty_slots(self) -> Slots:
        return np.flatnonzero(self.dirty[: self._used])

    def drop_start(self, start: int) -> None:
        """Forgets a window's groups."""
        for slot in self._by_start.pop(start, ()):
            del self._slot_of[start, int(self.codes[slot])]
            self.dirty[slot] = False
            self._free.append(slot)

    @property
    def key_codes(self) -> int:
        """How many keys have a code; only ever grows."""
        return len(self._key_of)
