"""The windows that an aggregation keeps in memory, key by key: which a record meets, which are closed, which are gone.

A window has a time, by which it goes: its start, or a session's end. Windows close, and go, in the order of `order_of`,
which begins with that time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Any, Final

UNLOADED: Final = object()
"""Stands for a state that only the store has."""

_DEAD_MIN = 1_000
"""So few windows without a value may wait among the others."""


class Held:
    """A key's value in one window. `live`: it has a value. `stored`: so it stands in the store. `shown` is what was
    emitted of it, None if nothing was.
    """

    __slots__ = ("end", "key", "live", "queued", "shown", "start", "state", "stored", "time", "timestamp")

    def __init__(self, key: bytes, start: int, end: int, time: int) -> None:
        self.key = key
        self.start = start
        self.end = end
        self.time = time
        self.state: Any = None
        self.timestamp = -1
        self.live = self.stored = self.queued = False
        self.shown: Any = None


Order = tuple[Any, ...]
_time = attrgetter("time")


def by_start(held: Held) -> Order:
    """Windows by start, then by key."""
    return held.start, held.key


def by_end(held: Held) -> Order:
    """Sessions by end, then by start, then by key."""
    return held.end, held.start, held.key


class HeldWindows:
    """Windows by key; `pop_closed` gives them as they close, `let_go` forgets them when nobody can meet them any more.

    >>> windows = HeldWindows(by_start)
    >>> windows.add(Held(b"a", 0, 10, time=0))
    >>> [held.start for held in windows.between(b"a", 0, 5)]
    [0]
    >>> [held.start for held in windows.pop_closed(before=1)], windows.let_go(before=1), windows.between(b"a", 0, 5)
    ([0], None, [])
    """

    def __init__(self, order_of: Callable[[Held], Order]) -> None:
        self._order_of = order_of
        self._of_key: dict[bytes, list[Held]] = {}
        self._open: list[tuple[Order, int, Held]] = []
        self._closed: deque[Held] = deque()
        self._size = self._count = self._dead = 0

    def __len__(self) -> int:
        return self._size

    def between(self, key: bytes, low: int, high: int) -> list[Held]:
        """The windows of a key whose time is in [low, high], earliest first."""
        held = self._of_key.get(key)
        if not held or held[-1].time < low:
            return []
        if len(held) == 1 or held[-2].time < low:  # mostly the latest is met, or none
            return held[-1:] if held[-1].time <= high else []
        at = bisect_left(held, low, key=_time)
        return [one for one in held[at:] if one.time <= high]

    def add(self, held: Held, *, closed: bool = False) -> None:
        """`closed`: it was so before it is added, later than those added as closed so far."""
        held.live = True
        self._size += 1
        others = self._of_key.setdefault(held.key, [])
        if not others or others[-1].time <= held.time:
            others.append(held)
        else:
            insort(others, held, key=_time)
        if closed:
            self._closed.append(held)
        elif held.queued:
            self._dead -= 1
        else:
            held.queued = True
            self._count += 1
            heappush(self._open, (self._order_of(held), self._count, held))

    def remove(self, held: Held) -> None:
        """The window has no value any more."""
        held.live = False
        self._unlink(held)
        self._dead += held.queued
        if self._dead > max(_DEAD_MIN, len(self._open) // 2):
            self._sweep()

    def grow(self, held: Held, time: int) -> None:
        """The latest window of a key, which is open, goes by a later time from now on."""
        held.time = time

    def pop_closed(self, before: int) -> Iterator[Held]:
        """The windows with a value whose time is before that, in their order; each comes once."""
        while self._open and self._open[0][0][0] < before:
            order, _, held = heappop(self._open)
            if held.live and held.time != order[0]:  # it has grown
                self._count += 1
                heappush(self._open, (self._order_of(held), self._count, held))
                continue
            held.queued = False
            if held.live:
                self._closed.append(held)
                yield held
            else:
                self._dead -= 1

    def let_go(self, before: int) -> None:
        """Forgets closed windows whose time is before that."""
        while self._closed and self._closed[0].time < before:
            self._unlink(self._closed.popleft())

    def all(self) -> Iterator[Held]:
        for held in self._of_key.values():
            yield from held

    def _sweep(self) -> None:
        """A session that grows leaves one without a value behind at each record: they do not wait for its close."""
        for _, _, held in self._open:
            held.queued = held.live
        self._open = [entry for entry in self._open if entry[2].live]
        heapify(self._open)
        self._dead = 0

    def _unlink(self, held: Held) -> None:
        of_key = self._of_key.get(held.key, [])
        if of_key == [held]:
            del self._of_key[held.key]
            self._size -= 1
            return
        for at in range(bisect_left(of_key, held.time, key=_time), len(of_key)):
            if of_key[at] is held:
                del of_key[at]
                self._size -= 1
                break
        if not of_key:
            self._of_key.pop(held.key, None)
