"""What one side of a stream-stream join remembers: its records by key and time, for as long as they may be met.

They live in memory, sorted by time within a key, so that a probe is a cut out of a list. A commit writes what is new to
the side's window store under `time + number + key`, the value with whether it waits: expiry is one range, and a restart
reads everything back in order. A record that came and went between two commits is never written. Of more records than
memory is to hold, and behind a restart, the values are read from the store when they are needed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import Any

from state.keys import split_window_key, time_prefix
from state.task_stores import TaskStores
from streams.errors import DecodeError, EncodeError
from streams.graph.definitions import StoreDef
from streams.operators.base import NO_TIME, PIECE_ROWS
from streams.operators.stored import StoredForm

VALUES_IN_MEMORY_MAX = 500_000
"""Beyond so many records of a side, the values of those that are written are put aside after a commit."""

NO, YES, LATE = 0, 1, 2
"""Whether a record waits: has met none yet, and is to leave alone if it never does; LATE: its window had passed when it
came."""

_NUMBER = Struct(">Q")
_ASIDE: Any = object()
"""Stands for a value that is in the store only."""


class Kept:
    """A record of one side. `number` is its place in the order in which they came, `waiting` is NO, YES or LATE."""

    __slots__ = ("gone", "key", "number", "stored", "time", "value", "waiting")

    def __init__(self, key: bytes, time: int, number: int, value: Any, waiting: int) -> None:
        self.key = key
        self.time = time
        self.number = number
        self.value = value
        self.waiting = waiting
        self.gone = False
        self.stored = False


_NOTHING: tuple[list[int], list[Kept]] = ([], [])


class JoinSide:
    """The records of one side. They wait for others up to `ahead_ms` later than themselves, plus grace; `keep_ms` is
    how far stream time may go beyond a record before nothing can meet it any more.
    """

    def __init__(self, store: StoreDef, stores: TaskStores, line: str, *, ahead_ms: int, keep_ms: int) -> None:
        self.ahead_ms = ahead_ms
        self.keep_ms = keep_ms
        self.time = NO_TIME
        """The largest timestamp of this side's records."""
        self.number = 0
        self._name = store.name
        self._stores = stores
        self._form = StoredForm(store)
        self._line = line
        self.by_key: dict[bytes, tuple[list[int], list[Kept]]] = {}
        """For each key its records by time, those of one time as they came: the times, and the records."""
        self._stretch_ms = max(1, keep_ms // 8)
        self._keys_of: defaultdict[int, list[bytes]] = defaultdict(list)
        """Keys of the records in a stretch of time, so that letting them go looks at none but these."""
        self._changed: list[Kept] = []
        self._expired_to = NO_TIME
        self._let_go_to = NO_TIME
        self._some_aside = False
        self._looked_through = 0
        """The number up to which records were counted, to see whether there are too many."""

    def add(self, key: bytes, time: int, value: Any, waiting: int) -> Kept:
        """Remembers a record, behind those of its time."""
        kept = Kept(key, time, self.number, value, waiting)
        self.number += 1
        self._changed.append(kept)
        self._place(kept, key, time)
        return kept

    def _place(self, kept: Kept, key: bytes, time: int) -> None:
        found = self.by_key.get(key)
        if found is None:
            self.by_key[key] = [time], [kept]
        else:
            times, records = found
            if times[-1] <= time:
                times.append(time)
                records.append(kept)
            else:
                at = bisect_right(times, time)
                times.insert(at, time)
                records.insert(at, kept)
        self._keys_of[time // self._stretch_ms].append(key)

    def met(self, kept: Kept) -> None:
        """A waiting record has met one: it will not leave alone."""
        kept.waiting = NO
        self._changed.append(kept)

    def drop(self, kept: Kept) -> None:
        """A waiting record leaves alone: nothing meets it any more."""
        kept.waiting, kept.gone = NO, True
        if kept.stored:
            self._changed.append(kept)
        times, records = self.by_key.get(kept.key, _NOTHING)
        at = bisect_left(times, kept.time)
        while at < len(records) and times[at] == kept.time:
            if records[at] is kept:
                del times[at], records[at]
                break
            at += 1
        if not times:
            self.by_key.pop(kept.key, None)

    def let_go(self, before: int) -> None:
        """Forgets records that are earlier than `before`, some at once."""
        over = before // self._stretch_ms
        if over <= self._let_go_to:
            return
        self._let_go_to = over
        for stretch in [stretch for stretch in self._keys_of if stretch < over]:
            for key in self._keys_of.pop(stretch):
                times, records = self.by_key.get(key, _NOTHING)
                if times and times[0] < before:
                    count = bisect_left(times, before)
                    del times[:count], records[:count]
                    if not times:
                        del self.by_key[key]

    def values(self, records: list[Kept]) -> list[Any]:
        """The values of records."""
        if self._some_aside:
            aside = [kept for kept in records if kept.value is _ASIDE]
            found = self._stores.get_many(self._name, list(map(_entry, aside))) if aside else []
            for kept, stored in zip(aside, found, strict=True):
                assert stored is not None, f"store {self._name} has lost a record of {kept.time}"
                kept.value = self._decode(stored[0][1:])
        return [kept.value for kept in records]

    # -- commit and restart

    def save(self, before: int) -> Iterator[None]:
        """Writes what changed, some at a step; records earlier than `before` go from the store."""
        if before > self._expired_to:
            self._expired_to = before
            self._stores.window(self._name).expire(before)
        changed, self._changed = iter(dict.fromkeys(self._changed)), []
        while piece := list(islice(changed, PIECE_ROWS)):
            self._write([kept for kept in piece if kept.time >= before and (kept.stored or not kept.gone)])
            yield
        if self.number - self._looked_through > VALUES_IN_MEMORY_MAX:
            self._put_aside()

    def _put_aside(self) -> None:
        records = [kept for _, records in self.by_key.values() for kept in records if kept.value is not _ASIDE]
        self._looked_through = self.number - len(records)
        if len(records) > VALUES_IN_MEMORY_MAX:
            self._looked_through, self._some_aside = self.number, True
            for kept in records:
                if kept.stored:
                    kept.value = _ASIDE

    def _write(self, records: list[Kept]) -> None:
        self.values([kept for kept in records if not kept.gone])
        values = [None if kept.gone else bytes([kept.waiting]) + self._encode(kept) for kept in records]
        times = [max(0, kept.time) for kept in records]
        self._stores.put_many(self._name, list(map(_entry, records)), values, times)
        for kept in records:
            kept.stored = True

    def _encode(self, kept: Kept) -> bytes:
        try:
            return self._form.encode(kept.value)
        except Exception as error:
            raise EncodeError(
                f"store {self._name!r} does not take {type(kept.value).__name__} {repr(kept.value)[:200]}: {error}. A "
                "join keeps its records until they have met: give it values that MessagePack takes, or value_type=",
                line=self._line,
            ) from error

    def load(self, time: int, number: int) -> list[Kept]:
        """Everything as it was at the last commit; returns the records that wait."""
        self.time, self.number, self._some_aside = time, number, True
        found: list[Kept] = []
        with self._stores.window(self._name).inner.scan() as rows:
            for store_key, payload, _ in rows:
                at, rest = split_window_key(store_key)
                kept = Kept(rest[8:], at, _NUMBER.unpack_from(rest)[0], _ASIDE, payload[0])
                kept.stored = True
                self._place(kept, kept.key, kept.time)
                found.append(kept)
        return [kept for kept in found if kept.waiting]

    def _decode(self, payload: bytes) -> Any:
        try:
            return self._form.decode(payload)
        except Exception as error:
            raise DecodeError(
                f"store {self._name!r} holds {payload[:100]!r}, which is no value of this join: {error}. If its type "
                f"was changed, change it back, or empty the store: `streams reset APP --store {self._name}`.",
                line=self._line,
            ) from error


def _entry(kept: Kept) -> bytes:
    """The store key of a record."""
    return time_prefix(kept.time) + _NUMBER.pack(kept.number) + kept.key
