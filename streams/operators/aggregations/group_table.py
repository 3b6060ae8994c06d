"""The compiled twin of `Groups`: slots for groups, without a Python object a key or a group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from streams.arrays import Int64Array, Slots
from streams.kernels.compiled import group_slots, window_pairs
from streams.kernels.compiled.key_table import KeyTable
from streams.operators.aggregations.groups import Groups
from streams.spans import Spans

_FIRST_CAPACITY = 1024


class GroupTable:
    """As `Groups`."""

    def __init__(self, capacity: int = _FIRST_CAPACITY) -> None:
        self._keys = KeyTable()
        self._places = _places(capacity)
        self._free = np.arange(capacity, dtype=np.int64)[::-1].copy()
        self._free_slots = capacity
        self._starts: set[int] = set()
        self.codes = np.full(capacity, group_slots.EMPTY, np.int64)
        self.starts = np.zeros(capacity, np.int64)
        self.timestamps = np.zeros(capacity, np.int64)
        self.dirty = np.zeros(capacity, np.bool_)

    @classmethod
    def of(cls, groups: Groups) -> GroupTable:
        """The same groups in the same slots."""
        made = cls(groups.capacity)
        slots = groups.slots()
        made.codes[slots] = made._encode(groups.keys(slots))
        made.starts, made.timestamps, made.dirty = groups.starts, groups.timestamps, groups.dirty
        made._starts = set(groups.open_starts)
        free = np.flatnonzero(made.codes == group_slots.EMPTY)[::-1]
        made._free[: len(free)] = free
        made._free_slots = len(free)
        group_slots.place_all(slots, len(slots), *made._table, made.codes, made.starts)
        return made

    def __len__(self) -> int:
        return self.capacity - self._free_slots

    @property
    def capacity(self) -> int:
        return len(self.codes)

    @property
    def open_starts(self) -> list[int]:
        return list(self._starts)

    @property
    def keys_known(self) -> int:
        return len(self._keys)

    def size_bytes(self) -> int:
        """Memory they take with their states, estimated: arrays, with room for as many more."""
        return 120 * len(self) + 60 * self.keys_known

    def locate(self, keys: Spans | Sequence[bytes], rows: Slots, starts: Int64Array) -> tuple[Slots, Slots]:
        codes = self._encode(keys)
        rows, starts = np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(starts, np.int64)
        slots, fresh = np.empty(len(rows), np.intp), np.empty(len(rows), np.intp)
        counts, done = np.array([self._free_slots, 0]), 0
        while True:
            table = *self._table, self.codes, self.starts, self._free
            done = group_slots.locate(codes, rows, starts, done, len(rows), *table, counts, slots, fresh)
            self._free_slots = int(counts[0])
            if done == len(rows):
                break
            self._grow()
            counts[0] = self._free_slots
        fresh = fresh[: counts[1]]
        if len(fresh):
            self.timestamps[fresh] = -1
            self.dirty[fresh] = False
            self._opened(self.starts[fresh])
        return slots, fresh

    def _opened(self, starts: Int64Array) -> None:
        """There are groups of windows with these starts. Most follow one of the same."""
        self._starts.update(starts[np.flatnonzero(np.diff(starts))].tolist())
        self._starts.add(int(starts[-1]))

    def touch(self, slots: Slots, rows: Slots, times: Int64Array) -> None:
        window_pairs.touch(slots, rows, len(rows), np.ascontiguousarray(times), self.timestamps, self.dirty)

    def holds(self, start: int, key: bytes) -> bool:
        return self._find(start, [key])[0] != group_slots.EMPTY

    def key(self, slot: int) -> bytes:
        return self._keys.key(int(self.codes[slot]))

    def keys(self, slots: Slots) -> list[bytes]:
        return self.key_spans(slots).cut()  # type: ignore[return-value]  # none is null

    def key_spans(self, slots: Slots, *, with_starts: bool = False) -> Spans:
        codes, bounds = self.codes[slots], self._keys.bounds
        stops = np.empty(len(slots), np.int64)
        size = int((bounds[codes + 1] - bounds[codes]).sum()) + 8 * with_starts * len(slots)
        keys = np.empty(size, np.uint8)
        group_slots.write_keys(
            slots, len(slots), self.codes, self.starts, self._keys.arena, bounds, with_starts, keys, stops
        )
        return Spans.between(keys.tobytes(), stops)

    def of_start(self, start: int) -> Slots:
        return self._sorted(np.flatnonzero((self.starts == start) & (self.codes != group_slots.EMPTY)))

    def slots(self) -> Slots:
        return np.flatnonzero(self.codes != group_slots.EMPTY)

    def dirty_slots(self) -> Slots:
        return self._sorted(np.flatnonzero(self.dirty))

    def drop(self, start: int, keys: Iterable[bytes]) -> list[int]:
        slots = [slot for slot in self._find(start, list(dict.fromkeys(keys))) if slot != group_slots.EMPTY]
        self._drop(np.array(slots, np.intp))
        return slots

    def drop_starts(self, upto: int) -> None:
        if any(start <= upto for start in self._starts):
            self._drop(np.flatnonzero((self.starts <= upto) & (self.codes != group_slots.EMPTY)))
            self._starts = {start for start in self._starts if start > upto}

    def _encode(self, keys: Spans | Sequence[bytes]) -> Int64Array:
        """A code for each key."""
        return self._keys.encode(keys if isinstance(keys, Spans) else Spans.of(keys))

    def _find(self, start: int, keys: Sequence[bytes]) -> list[int]:
        """The slots of keys in a window; a key that is not known gets a code."""
        return [group_slots.find(code, start, *self._table) for code in self._encode(keys).tolist()]

    def _drop(self, slots: Slots) -> None:
        self.dirty[slots] = False
        table = *self._table, self.codes, self.starts
        self._free_slots = group_slots.remove(slots, len(slots), *table, self._free, self._free_slots)

    def _sorted(self, slots: Slots) -> Slots:
        """By start, then by key."""
        words, other, counts = np.empty((2, len(slots)), np.uint64), np.empty_like(slots), np.empty(8 * 256, np.int64)
        table = self.codes, self.starts, self._keys.arena, self._keys.bounds
        group_slots.sort(slots, len(slots), words[0], other, words[1], counts, *table)
        return slots

    def _grow(self) -> None:
        """Twice as many slots, where none is free."""
        capacity = self.capacity
        slots = self.slots()
        self._free = np.concatenate([np.arange(2 * capacity - 1, capacity - 1, -1), np.empty(capacity, np.int64)])
        self._free_slots = capacity
        self.codes = np.concatenate([self.codes, np.full(capacity, group_slots.EMPTY, np.int64)])
        for name in ("starts", "timestamps", "dirty"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        self._places = _places(self.capacity)
        group_slots.place_all(slots, len(slots), *self._table, self.codes, self.starts)

    @property
    def _table(self) -> tuple[Int64Array, int]:
        return self._places, len(self._places) // group_slots.WIDTH - 1


def _places(capacity: int) -> Int64Array:
    """An empty table for so many slots, half full then."""
    return np.full(2 * capacity * group_slots.WIDTH, group_slots.EMPTY, np.int64)
