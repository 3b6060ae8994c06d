"""Who is to be called when: the schedules of a task's processors, in stream time and on the wall.

The rules are those of Kafka Streams (`PunctuationQueue`, `PunctuationSchedule`, `StreamTask.schedule`). Stream time
counts from 0, so a first call comes with the first record; on the wall the first comes an interval after it was asked
for. Calls that were missed become one, and the next is due at the next multiple of the interval. What is due at one
time is called in the order of Java's `PriorityQueue`, which for equal times is not the order of asking.

Unlike theirs, schedules are state: a restart goes on where they stood.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

from streams.arrays import Int64Array
from streams.durations import format_ms
from streams.errors import ConfigError

Kind = Literal["stream", "wall"]
Callback = Callable[[int], Any]


class Schedule:
    """A call that comes again and again; `cancel()` ends it."""

    __slots__ = ("callback", "cancelled", "interval_ms", "kind", "name", "next_ms", "step")

    def __init__(self, step: str, kind: Kind, name: str, interval_ms: int, next_ms: int, callback: Callback) -> None:
        self.step = step
        self.kind: Kind = kind
        self.name = name
        self.interval_ms = interval_ms
        self.next_ms = next_ms
        self.callback = callback
        self.cancelled = False

    def __repr__(self) -> str:
        return f"<Schedule {self.name}: next at {self.next_ms}>"

    def cancel(self) -> None:
        """No further calls."""
        self.cancelled = True

    def move(self, now_ms: int) -> None:
        """To the next time after `now_ms`.

        >>> schedule = Schedule("step", "stream", "tick", 10, 0, print)
        >>> schedule.move(0); schedule.next_ms
        10
        >>> schedule.move(47); schedule.next_ms
        50
        """
        missed = max(0, (now_ms - self.next_ms) // self.interval_ms)
        self.next_ms += (missed + 1) * self.interval_ms


class Queue:
    """Schedules by their next time; those of equal times as Java's `PriorityQueue` has them."""

    def __init__(self) -> None:
        self.heap: list[Schedule] = []

    def __bool__(self) -> bool:
        return bool(self.heap)

    def offer(self, schedule: Schedule) -> None:
        heap, at = self.heap, len(self.heap)
        heap.append(schedule)
        while at and schedule.next_ms < heap[parent := (at - 1) // 2].next_ms:
            heap[at], at = heap[parent], parent
        heap[at] = schedule

    def poll(self) -> Schedule:
        heap = self.heap
        first, last = heap[0], heap.pop()
        if not heap:
            return first
        at, half = 0, len(heap) // 2
        while at < half:
            child = 2 * at + 1
            if child + 1 < len(heap) and heap[child].next_ms > heap[child + 1].next_ms:
                child += 1
            if last.next_ms <= heap[child].next_ms:
                break
            heap[at], at = heap[child], child
        heap[at] = last
        return first


class Punctuations:
    """The schedules of one task."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.queues: dict[Kind, Queue] = {kind: Queue() for kind in get_args(Kind)}
        self._saved: dict[tuple[str, str, str], int | None] = {}
        """Next times as they were saved, of schedules not asked for again yet; None: cancelled."""
        self._known: dict[tuple[str, str, str], Schedule] = {}
        self._order: list[tuple[str, str, str]] = []
        self._opening: list[Schedule] | None = []
        self._times: list[int] = []
        self._row = 0

    def schedule(
        self,
        step: str,
        kind: Kind,
        interval_ms: int,
        callback: Callback,
        *,
        name: str | None = None,
        start_ms: int | None = None,
        stream_time: int = 0,
    ) -> Schedule:
        """Asks for calls; the first at `start_ms`, or at the first time after now that is a whole number of intervals
        behind it.
        """
        named = self._named(step, kind, name, interval_ms, callback)
        made = Schedule(step, kind, named, interval_ms, 0, callback)
        now = self._now_ms() if kind == "wall" else stream_time
        if start_ms is not None:
            made.next_ms = start_ms
            if start_ms < now:
                made.move(now)
        elif kind == "wall":
            made.next_ms = now + interval_ms
        key = step, kind, named
        self._known[key] = made
        if key in self._saved:
            self._go_on(made, self._saved.pop(key))
        if self._opening is not None:
            self._opening.append(made)
        elif not made.cancelled:
            self.queues[kind].offer(made)
        return made

    def _named(self, step: str, kind: Kind, name: str | None, interval_ms: int, callback: Callback) -> str:
        def taken(candidate: str) -> bool:
            found = self._known.get((step, kind, candidate))
            return found is not None and not (found.cancelled and self._opening is None)

        if name is not None:
            if taken(name):
                raise ConfigError(f"{step}: two schedules are called {name!r}; give one of them another name=")
            return name
        derived = f"{getattr(callback, '__name__', type(callback).__name__)} every {format_ms(interval_ms)}"
        candidates = (derived if n == 1 else f"{derived} ({n})" for n in range(1, 1_000_000))
        return next(candidate for candidate in candidates if not taken(candidate))

    def _go_on(self, made: Schedule, saved: int | None) -> None:
        if saved is None:
            made.cancelled = True
        else:
            made.next_ms = saved

    def due(self, kind: Kind, now_ms: int) -> Iterator[Schedule]:
        """Those to be called at `now_ms`, one after the other: each is called before the next is asked for."""
        queue = self.queues[kind]
        while queue and queue.heap[0].next_ms <= now_ms:
            schedule = queue.poll()
            if schedule.cancelled:
                continue
            yield schedule
            if not schedule.cancelled:
                schedule.move(now_ms)
                queue.offer(schedule)

    def begin(self, times: Int64Array) -> None:
        """Records come in: stream time at each of them."""
        self._times, self._row = times.tolist(), 0

    def through(self, stop: int) -> Iterator[tuple[Schedule, int]]:
        """What those records make due that come before the one at place `stop`, each with its time; what was given
        before is not given again.
        """
        queue = self.queues["stream"]
        while queue and self._row < stop:
            self._row = bisect_left(self._times, queue.heap[0].next_ms, self._row, stop)
            if self._row == stop:
                return
            time = self._times[self._row]
            yield from ((schedule, time) for schedule in self.due("stream", time))
            self._row += 1
        self._row = max(self._row, stop)

    @property
    def next_wall_ms(self) -> int | None:
        """When the clock on the wall next makes a call due; None if never."""
        heap = self.queues["wall"].heap
        return min((schedule.next_ms for schedule in heap if not schedule.cancelled), default=None)

    # -- over a restart

    def dump(self) -> list[tuple[str, str, str, int | None]]:
        """For `Clocks`: (step, kind, name, next time), in the queues' order; cancelled ones have None."""
        queued = [s for queue in self.queues.values() for s in queue.heap if not s.cancelled]
        cancelled = [key for key, schedule in self._known.items() if schedule.cancelled]
        return [
            *((s.step, s.kind, s.name, s.next_ms) for s in queued),
            *((*key, None) for key in cancelled),
            *((*key, time) for key, time in self._saved.items()),
        ]

    def load(self, dumped: list[tuple[str, str, str, int | None]] | None) -> None:
        """What `dump` gave, before the processors ask for their schedules again."""
        self._saved = {(step, kind, name): time for step, kind, name, time in dumped or []}
        self._order = list(self._saved)

    def opened(self) -> None:
        """All processors have begun. Their schedules take the places they had."""
        made, self._opening = self._opening or [], None
        place = {key: at for at, key in enumerate(self._order)}
        made.sort(key=lambda s: place.get((s.step, s.kind, s.name), len(place)))
        for schedule in made:
            if not schedule.cancelled:
                self.queues[schedule.kind].offer(schedule)
