"""The rule of joins of two streams in plain Python, as the docstring of the operator says it; with `kafka` that of
Kafka Streams, where theirs is another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

Out = tuple[Any, Any, int]
"""Key, (left, right), timestamp."""

WAYS = {"join": (False, False), "left_join": (True, False), "outer_join": (True, True)}
"""Which sides keep what meets none."""

NEVER = 2**60


@dataclass
class Model:
    """One join in one task. Times in ms; `alone` is an entry of WAYS."""

    before: int
    after: int
    grace: int
    alone: tuple[bool, bool]
    kafka: bool = False
    bound: int = NEVER
    observed: int = -NEVER
    now: int = -NEVER
    earliest: int = NEVER
    side_times: list[int] = field(default_factory=lambda: [-NEVER, -NEVER])
    kept: list[Any] = field(default_factory=list)

    def take(self, side: int, key: Any, value: Any, time: int) -> list[Out]:
        self.observed = max(self.observed, time)
        self.now = max(self.now, min(self.observed, self.bound))
        if value is None:
            if self.kafka and key is not None:  # its stores in memory look at the time of these, those on disk do not
                self.side_times[side] = max(self.side_times[side], time)
            return []
        if key is None and not self.alone[side]:
            return []
        if key is None:
            return [self.single(side, key, value, time)]
        out = self.leave(side) if time >= self.now else []
        met = sorted((one for one in self.kept if self.meets(side, key, time, one)), key=lambda one: one.time)
        for one in met:
            one.waits = False
            pair = (value, one.value) if side == 0 else (one.value, value)
            out.append((key, pair, max(time, one.time)))
        waits = self.alone[side] and not met
        late = time + self.ahead(side) < self.now
        over = late and (self.kafka or time + self.ahead(side) + self.grace < self.now)
        if waits and over:
            out.append(self.single(side, key, value, time))
        self.kept.append(
            SimpleNamespace(
                side=side, key=key, value=value, time=time, waits=waits and not over, late=late, gone=waits and over
            )
        )
        if waits and not late:
            self.earliest = min(self.earliest, time)
        self.side_times[side] = max(self.side_times[side], time)
        return out

    def ahead(self, side: int) -> int:
        """How much later than itself a record of a side may be met."""
        return self.before if side else self.after

    def end(self, one: Any) -> int:
        return int(one.time + self.ahead(one.side) + self.grace)

    def meets(self, side: int, key: Any, time: int, one: Any) -> bool:
        left, right = (one.time, time) if side else (time, one.time)
        if one.side == side or one.key != key or not left - self.before <= right <= left + self.after:
            return False
        size = self.before + self.after + self.grace
        if self.kafka:
            return bool(one.time > self.side_times[one.side] - size)
        at_the_edge = self.side_times[one.side] >= self.now and one.time + size == self.now
        if one.gone or (at_the_edge and min(self.before, self.after) >= 0):
            return False
        return max(self.end(one), time + self.ahead(side) + self.grace) >= self.now

    def leave(self, side: int | None) -> list[Out]:
        """Those that have met none and whose time is over; as Kafka looks for them when a record causes it."""
        waiting = sorted((one for one in self.kept if one.waits), key=lambda one: (one.time, -one.side, one.key))
        over = [one for one in waiting if one.late and self.end(one) < self.now]
        if side is None or self.earliest + self.ahead(side) + self.grace < self.now:
            self.earliest, still = NEVER, set()
            for one in (one for one in waiting if not one.late):
                self.earliest = one.time
                if still == {0, 1}:
                    break
                if self.end(one) < self.now:
                    over.append(one)
                else:
                    still.add(one.side)
        for one in over:
            one.waits, one.gone = False, True
        over.sort(key=waiting.index)
        return [self.single(one.side, one.key, one.value, one.time) for one in over]

    def single(self, side: int, key: Any, value: Any, time: int) -> Out:
        return key, (None, value) if side else (value, None), time

    def advance(self, bound: int) -> list[Out]:
        self.bound = bound
        self.now = max(self.now, min(self.observed, bound))
        return self.leave(None)
