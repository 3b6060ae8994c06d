"""Joins of two streams against their rule in plain Python: random records of both sides, ties, late ones, cut,
committed and crashed at random places.

The model takes one record at a time and looks at all that ever came. With `kafka` it is Kafka Streams instead, with
what we do otherwise: `tests/interop` asks Kafka itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams.graph.definitions import TopicDef
from streams.operators import join_side
from streams.topic import Topic

Record = tuple[int, Any, Any, int]
"""Side, key, value, timestamp."""

Out = tuple[Any, Any, int]
"""Key, (left, right), timestamp."""

NEVER = 2**60


@dataclass
class Model:
    """What the docstring of the operator says."""

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


WAYS = {"join": (False, False), "left_join": (True, False), "outer_join": (True, True)}


def joining(way: str, window: streams.JoinWindow) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        class Declared:
            builder = stream._builder

        topic = stream._builder.graph.add_topic(TopicDef(name="others", key_type=str, value_type=int))
        return getattr(stream, way)(Topic(Declared(), topic).stream(), lambda left, right: (left, right), within=window)  # type: ignore[arg-type]

    return build


records = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["a", "b", None]),
        st.one_of(st.integers(0, 99), st.none()),
        st.integers(0, 40),
    ),
    max_size=30,
)
bounds = st.tuples(st.integers(-6, 12), st.integers(-6, 12)).filter(lambda both: sum(both) >= 0)
steps = st.lists(st.sampled_from(["go", "commit", "crash", "hold"]), min_size=1)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(WAYS)), bounds, st.integers(0, 6), records, st.lists(st.integers(1, 6)), steps)
@example("left_join", (10, 10), 0, [(0, str(t), 1, t) for t in (0, 5, 9, 11, 16, 19, 20)], [1], ["go"])
@example("join", (0, 5), 0, [(0, "a", 1, 0), (0, "b", 2, 5), (1, "a", 3, 5)], [3], ["go"])
def test_against_the_rule(
    bench: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    reach: tuple[int, int],
    grace: int,
    rows: list[Record],
    cuts: list[int],
    steps: Sequence[str],
) -> None:
    before, after = reach
    monkeypatch.setattr(join_side, "VALUES_IN_MEMORY_MAX", 3)
    window = streams.JoinWindow(before=before / 1000, after=after / 1000, grace=grace / 1000)
    made = bench(joining(way, window))
    model = Model(before, after, grace, WAYS[way])
    sizes, todo = iter([*cuts, *[4] * len(rows)]), list(steps)
    while rows:
        piece = rows[: _one_side(rows, next(sizes))]
        rows = rows[len(piece) :]
        step = todo.pop(0) if todo else "go"
        if step == "crash":
            made.commit()
            _send(made, piece)
            made.restart()
        assert _send(made, piece) == [out for row in piece for out in model.take(*row)]
        if step == "commit":
            made.commit()
        elif step == "hold":
            bound = model.observed - 3 if model.bound == NEVER else NEVER
            assert [row[:3] for row in made.advance(bound)] == model.advance(bound)


def _one_side(rows: list[Record], size: int) -> int:
    """How many of the first rows, `size` at most, are of one side."""
    return next((at for at, row in enumerate(rows[:size]) if row[0] != rows[0][0]), min(size, len(rows)))


def _send(made: Any, piece: list[Record]) -> list[Out]:
    batch = made.batch([row[1:] for row in piece])
    return [row[:3] for row in made.all_of(made.operator.take(piece[0][0], batch))]
