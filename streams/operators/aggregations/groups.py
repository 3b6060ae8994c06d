"""Slots for groups: a small integer for each (key, window start) that an aggregation keeps in memory.

States live in arrays or lists indexed by slot, so that a batch is folded by a few array operations. Slots of windows
that are let go are used again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from state.keys import time_prefix
from streams.arrays import Int64Array, Slots
from streams.kernels.grouping import group_rows
from streams.spans import CutSpans, Spans

_FIRST_CAPACITY = 1024
_UNKNOWN = 1 << 40
"""Above every slot: stands for the slot of a group that has none yet, plus its place in the batch."""

_RUNS_MAX = 32
"""Of records in the order of time few runs are of one window; with more of them pairs are sorted."""


class Groups:
    """Which slot holds which group, of windows that start `step_ms` apart.

    `dirty` marks slots changed since they were last written out, `timestamps` has the largest timestamp folded in.
    """

    def __init__(self, step_ms: int = 1) -> None:
        self._step_ms = step_ms
        self._windows: dict[int, dict[bytes, int]] = {}
        self._key_of: list[bytes] = [b""] * _FIRST_CAPACITY
        self._free: list[int] = []
        self._used = 0
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
    def keys_known(self) -> int:
        """How many keys are in memory, those included whose groups have gone."""
        return len(self)

    def size_bytes(self) -> int:
        """Memory they take with their states, estimated: entries of dicts, and an object for each key."""
        return 250 * len(self) + 150 * self.keys_known

    def locate(self, keys: Spans | Sequence[bytes], rows: Slots, starts: Int64Array) -> tuple[Slots, Slots]:
        """The slot of each pair of `keys[rows[i]]` and `starts[i]`, and the slots that are new: their state is yet to
        be filled in. `rows` ascend.
        """
        listed: Sequence[bytes] = keys.cut() if isinstance(keys, Spans) else keys  # type: ignore[assignment]
        if len(rows) <= len(listed):
            edges = np.flatnonzero(np.diff(starts)) + 1
            if len(edges) < _RUNS_MAX:
                straight = len(rows) == len(listed) and bool((rows == np.arange(len(rows))).all())
                chosen = listed if straight else [listed[row] for row in rows.tolist()]
                return self._locate_runs(chosen, starts, edges)
        return self._locate_pairs(listed, rows, starts)

    def _locate_pairs(self, keys: Sequence[bytes], rows: Slots, starts: Int64Array) -> tuple[Slots, Slots]:
        """Each pair is looked up once, however often it comes. The code of a key is the row where it comes first."""
        first_row: dict[bytes, int] = {}
        codes = np.fromiter(map(first_row.setdefault, keys, range(len(keys))), np.int64, len(keys))[rows]
        first, width = int(starts.min()), len(keys)
        index = (starts - first) // self._step_ms
        unique, inverse = group_rows(index * width + codes, (int(index.max()) + 1) * width)
        index, codes = np.divmod(unique, width)
        edges = np.flatnonzero(np.diff(index)) + 1
        found, fresh = self._locate_runs([keys[code] for code in codes.tolist()], index * self._step_ms + first, edges)
        return found[inverse], fresh

    def _locate_runs(self, keys: Sequence[bytes], starts: Int64Array, edges: Int64Array) -> tuple[Slots, Slots]:
        """Keys by runs of one window, which begin at the edges."""
        slots, fresh = np.empty(len(keys), np.intp), []
        for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(keys)], strict=True):
            run = keys if end - begin == len(keys) else keys[begin:end]
            slots[begin:end], new = self._locate_window(int(starts[begin]), run)
            fresh.append(new)
        return slots, np.concatenate(fresh)

    def _locate_window(self, start: int, keys: Sequence[bytes]) -> tuple[Slots, Slots]:
        window = self._windows.setdefault(start, {})
        # One look for each key: one that is not there gets its place in the batch, and a slot afterwards.
        places = range(_UNKNOWN, _UNKNOWN + len(keys))
        slots = np.fromiter(map(window.setdefault, keys, places), np.intp, len(keys))
        new = np.flatnonzero(slots == np.arange(_UNKNOWN, _UNKNOWN + len(keys)))
        if not len(new):
            return slots, new
        new_keys, given = [keys[row] for row in new.tolist()], self._take(len(new))
        window.update(zip(new_keys, given, strict=True))
        for slot, key in zip(given, new_keys, strict=True):
            self._key_of[slot] = key
        fresh = np.array(given, np.intp)
        self.starts[fresh], self.timestamps[fresh], self.dirty[fresh] = start, -1, False
        slot_at = np.zeros(len(keys), np.intp)
        slot_at[new] = fresh
        unknown = slots >= _UNKNOWN
        slots[unknown] = slot_at[slots[unknown] - _UNKNOWN]
        return slots, fresh

    def _take(self, count: int) -> list[int]:
        """Slots that nobody has."""
        given = [self._free.pop() for _ in range(min(count, len(self._free)))]
        more = count - len(given)
        while self._used + more > self.capacity:
            self._key_of += [b""] * self.capacity
            for name in ("starts", "timestamps", "dirty"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        given += range(self._used, self._used + more)
        self._used += more
        return given

    def touch(self, slots: Slots, rows: Slots, times: Int64Array) -> None:
        """Records `rows[i]` were folded into `slots[i]`: they are changed, and get the largest of their times."""
        self.dirty[slots] = True
        np.maximum.at(self.timestamps, slots, times[rows])

    def holds(self, start: int, key: bytes) -> bool:
        """Whether the group has a slot."""
        return key in self._windows.get(start, ())

    def key(self, slot: int) -> bytes:
        return self._key_of[slot]

    def keys(self, slots: Slots) -> list[bytes]:
        """The key of each slot."""
        return list(map(self._key_of.__getitem__, slots.tolist()))

    def key_spans(self, slots: Slots, *, with_starts: bool = False) -> Spans:
        """The key of each slot; `with_starts` as the store has it, the start of the window before it."""
        keys = self.keys(slots)
        if with_starts:
            starts = self.starts[slots].tolist()
            prefixes = {start: time_prefix(start) for start in set(starts)}
            keys = [prefixes[start] + key for start, key in zip(starts, keys, strict=True)]
        return CutSpans.of(keys)

    def of_start(self, start: int) -> Slots:
        """Slots of one window, in the order of their keys."""
        window = self._windows.get(start, {})
        return np.fromiter(map(window.__getitem__, sorted(window)), np.intp, len(window))

    def slots(self) -> Slots:
        """Of all groups."""
        return np.fromiter(chain.from_iterable(window.values() for window in self._windows.values()), np.intp)

    def dirty_slots(self) -> Slots:
        return np.flatnonzero(self.dirty[: self._used])

    def drop(self, start: int, keys: Iterable[bytes]) -> list[int]:
        """Forgets some groups of a window; gives their slots, which others may get from now on."""
        window = self._windows.get(start, {})
        dropped = [slot for slot in (window.pop(key, None) for key in keys) if slot is not None]
        self._let_go(dropped)
        return dropped

    def drop_starts(self, upto: int) -> None:
        """Forgets the groups of the windows up to that start."""
        for start in [start for start in self._windows if start <= upto]:
            self._let_go(self._windows.pop(start).values())

    def _let_go(self, slots: Iterable[int]) -> None:
        gone = list(slots)
        self.dirty[np.array(gone, np.intp)] = False
        for slot in gone:
            self._key_of[slot] = b""
        self._free += gone
