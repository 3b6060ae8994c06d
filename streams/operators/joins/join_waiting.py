"""The records of a stream-stream join that have met none yet, and when those whose time is over leave.

They leave when a record moves stream time on, in the order of time, right before left, key. Which records cause a look
at all is Kafka Streams' rule (`KStreamKStreamJoin.emitNonJoinedOuterRecords`), since it shows in the order of results:
the earliest time that may be waiting, plus what the side of the record at hand waits, has to be over; and after a look
the record at which it ended stands for the earliest. So one may leave later than it could, never sooner.

Records that come when their window has passed, and their grace has not, Kafka does not make wait. Here they do, beside
the others: each leaves with the first look after its time, and has no part in when the others do.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import merge

from streams.operators.joins.join_side import LATE, JoinSide, Kept

NEVER = 2**62

Entry = tuple[int, bytes, int, Kept]
"""Time, key and number of a waiting record, by which they leave; and the record."""

Entries = tuple[list[Entry], list[Entry]]
"""Of the left and the right side."""


class Waiting:
    """Waiting records of both sides, `sides` being left and right; `earliest` is the time Kafka calls `minTime`."""

    def __init__(self, sides: tuple[JoinSide, JoinSide], grace_ms: int) -> None:
        self._sides = sides
        self._grace_ms = grace_ms
        self._entries: Entries = ([], [])
        self._late: Entries = ([], [])
        self._late_end = NEVER
        self.earliest = NEVER

    def add(self, side: int, kept: Kept) -> None:
        """This one has met none."""
        if kept.waiting == LATE:
            insort(self._late[side], (kept.time, kept.key, kept.number, kept))
            self._late_end = min(self._late_end, kept.time + self._sides[side].ahead_ms + self._grace_ms)
        else:
            insort(self._entries[side], (kept.time, kept.key, kept.number, kept))
            self.earliest = min(self.earliest, kept.time)

    def oldest(self, side: int) -> int:
        """The time of the first that waits on a side."""
        return min((group[side][0][0] for group in (self._entries, self._late) if _trimmed(group[side])), default=NEVER)

    def due(self, ahead_ms: int) -> int:
        """The stream time beyond which a record of a side that waits `ahead_ms` causes a look."""
        return min(self.earliest + ahead_ms + self._grace_ms, self._late_end)

    def leave(self, now: int, ahead_ms: int) -> list[tuple[int, Kept]]:
        """(side, record) of those whose time is over at `now`, in their order; they wait no more."""
        over: list[tuple[int, int, bytes, int, Kept]] = []
        if self.earliest + ahead_ms + self._grace_ms < now:
            over = self._over(self._entries, now)
            self.earliest = self._looked_to(over)
        if self._late_end < now:
            over = sorted([*over, *self._over(self._late, now)])
            firsts = ((side, entries[0][0]) for side, entries in enumerate(self._late) if entries)
            ends = (time + self._sides[side].ahead_ms + self._grace_ms for side, time in firsts)
            self._late_end = min(ends, default=NEVER)
        return [(1 - rank, kept) for _, rank, _, _, kept in over]

    def _over(self, group: Entries, now: int) -> list[tuple[int, int, bytes, int, Kept]]:
        found: list[tuple[int, int, bytes, int, Kept]] = []
        for side, entries in enumerate(group):
            count = bisect_left(entries, (now - self._sides[side].ahead_ms - self._grace_ms,))
            for time, key, number, kept in entries[:count]:
                if kept.waiting:
                    self._sides[side].drop(kept)
                    found.append((time, 1 - side, key, number, kept))
            del entries[:count]
        return sorted(found)

    def _looked_to(self, over: list[tuple[int, int, bytes, int, Kept]]) -> int:
        """The time at which Kafka's look ends: behind the first of each side that still waits, or with the last of
        all.
        """
        left, right = map(_trimmed, self._entries)
        if not (left and right):
            last = [entries[-1][0] for entries in (left, right, over) if entries]
            return max(last, default=NEVER)
        ends = max((left[0][0], 1), (right[0][0], 0))
        places = merge(_places(right, 0), _places(left, 1))
        for place in places:
            if place == ends:
                break
        return next(places, ends)[0]


def _places(entries: list[Entry], rank: int) -> Iterator[tuple[int, int]]:
    return ((entry[0], rank) for entry in entries if entry[3].waiting)


def _trimmed(entries: list[Entry]) -> list[Entry]:
    """Without those at both ends that wait no more."""
    count = 0
    while count < len(entries) and not entries[count][3].waiting:
        count += 1
    del entries[:count]
    while entries and not entries[-1][3].waiting:
        entries.pop()
    return entries
