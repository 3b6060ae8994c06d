"""Slots for groups: a small integer for each (key, window start) that an aggregation keeps in memory.

States live in arrays or lists indexed by slot, so that a batch is folded by a few array operations. Slots of windows
that are let go are used again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from state.keys import time_prefix
from streams.kernels.grouping import group_rows
from streams.spans import Spans

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
        self._windows: dict[int, dict[int, int]] = {}
        self._free: list[int] = []
        self._used = 0
        self.codes = np.zeros(_FIRST_CAPACITY, np.int64)
        self.starts = np.zeros(_FIRST_CAPACITY, np.int64)
        self.timestamps = np.zeros(_FIRST_CAPACITY, np.int64)
        self.dirty = np.zeros(_FIRST_CAPACITY, np.bool_)

    def __len__(self) -> int:
        return self._used - len(self._free)

    @property
    def capacity(self) -> int:
        """Slots there is room for; states are kept at least this long."""
        return len(self.dirty)

    @property
    def open_starts(self) -> list[int]:
        """Window starts that have groups in memory."""
        return list(self._windows)

    @property
    def key_codes(self) -> int:
        """How many keys have a code; only ever grows."""
        return len(self._key_of)

    def encode_spans(self, keys: Spans) -> Int64Array:
        """As `encode_keys`, of keys as they were fetched; none is null."""
        return self.encode_keys(keys.cut())  # type: ignore[arg-type]  # none is None

    def encode_keys(self, keys: Sequence[bytes]) -> Int64Array:
        """A dense code for each key."""
        code_of = self._code_of
        try:
            return np.fromiter(map(code_of.__getitem__, keys), np.int64, len(keys))
        except KeyError:
            new = [key for key in dict.fromkeys(keys) if key not in code_of]
            code_of.update(zip(new, range(len(self._key_of), len(self._key_of) + len(new)), strict=True))
            self._key_of += new
            return np.fromiter(map(code_of.__getitem__, keys), np.int64, len(keys))

    def locate(self, codes: Int64Array, rows: Slots, starts: Int64Array) -> tuple[Slots, Slots]:
        """The slot of each pair of `codes[rows[i]]` and `starts[i]`, and the slots that are new: their state is yet to
        be filled in.
        """
        codes = codes if len(rows) == len(codes) and bool((rows == np.arange(len(rows))).all()) else codes[rows]
        first, width = int(starts.min()), len(self._key_of)
        index = (starts - first) // self._step_ms
        unique, inverse = group_rows(index * width + codes, (int(index.max()) + 1) * width)
        offsets, unique_codes = np.divmod(unique, width)
        # Pairs come sorted by start, so each window is one piece of them.
        edges = np.flatnonzero(np.diff(offsets)) + 1
        slots: list[int] = []
        fresh: list[int] = []
        for piece in np.split(np.arange(len(unique)), edges):
            start = int(offsets[piece[0]]) * self._step_ms + first
            self._locate_window(start, unique_codes[piece[0] : piece[-1] + 1].tolist(), slots, fresh)
        return np.array(slots, np.intp)[inverse], np.array(fresh, np.intp)

    def _locate_window(self, start: int, codes: list[int], slots: list[int], fresh: list[int]) -> None:
        window = self._windows.setdefault(start, {})
        new = codes if not window else [code for code in codes if code not in window]
        if new:
            given = self._take(len(new))
            window.update(zip(new, given, strict=True))
            fresh += given
            at = np.array(given, np.intp)
            self.codes[at] = new
            self.starts[at] = start
            self.timestamps[at] = -1
            self.dirty[at] = False
        slots += map(window.__getitem__, codes)

    def _take(self, count: int) -> list[int]:
        """Slots that nobody has."""
        given = [self._free.pop() for _ in range(min(count, len(self._free)))]
        more = count - len(given)
        while self._used + more > self.capacity:
            for name in ("codes", "starts", "timestamps", "dirty"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        given += range(self._used, self._used + more)
        self._used += more
        return given

    def holds(self, start: int, key: bytes) -> bool:
        """Whether the group has a slot."""
        return self._code_of.get(key, -1) in self._windows.get(start, {})

    def key(self, slot: int) -> bytes:
        return self._key_of[int(self.codes[slot])]

    def keys(self, slots: Slots) -> list[bytes]:
        """The key of each slot."""
        key_of = self._key_of
        return [key_of[code] for code in self.codes[slots].tolist()]

    def key_spans(self, slots: Slots, *, with_starts: bool = False) -> Spans:
        """The key of each slot; `with_starts` as the store has it, the start of the window before it."""
        keys = self.keys(slots)
        if with_starts:
            starts = self.starts[slots].tolist()
            prefixes = {start: time_prefix(start) for start in set(starts)}
            keys = [prefixes[start] + key for start, key in zip(starts, keys, strict=True)]
        return Spans.of(keys)

    def of_start(self, start: int) -> Slots:
        """Slots of one window, in the order of their keys."""
        window = self._windows.get(start, {})
        by_key = sorted(window, key=self._key_of.__getitem__)
        return np.fromiter(map(window.__getitem__, by_key), np.intp, len(by_key))

    def slots(self) -> Slots:
        """Of all groups."""
        return np.fromiter(chain.from_iterable(window.values() for window in self._windows.values()), np.intp)

    def dirty_slots(self) -> Slots:
        return np.flatnonzero(self.dirty[: self._used])

    def drop(self, start: int, keys: Iterable[bytes]) -> list[int]:
        """Forgets some groups of a window; gives their slots, which others may get from now on."""
        dropped: list[int] = []
        window = self._windows.get(start, {})
        for key in keys:
            slot = window.pop(self._code_of.get(key, -1), None)
            if slot is not None:
                self.dirty[slot] = False
                dropped.append(slot)
        self._free += dropped
        return dropped

    def drop_starts(self, upto: int) -> None:
        """Forgets the groups of the windows up to that start."""
        for start in [start for start in self._windows if start <= upto]:
            slots = list(self._windows.pop(start).values())
            self.dirty[np.array(slots, np.intp)] = False
            self._free += slots
