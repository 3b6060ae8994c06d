"""Aggregations against the rules in plain Python: random rows, cut, committed, crashed and put aside at random places.

The model takes one record at a time and knows nothing of slots, batches or stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams import agg
from streams.operators.aggregations import kept_groups
from streams.windows import Windowed
from tests.streams.operators.aggregations.window_histories import Out, Row, run

pytestmark = pytest.mark.usefixtures("twin")


@dataclass
class Model:
    """What section 4 and 5 of the rules say, for one operator."""

    size: int | None = None
    step: int = 1
    grace: int = 0
    emit: str = "update"
    time: int = -(2**60)
    bound: int = 2**60
    closed: int = -(2**60)
    states: dict[tuple[Any, int], list[Any]] = field(default_factory=dict)
    times: dict[tuple[Any, int], int] = field(default_factory=dict)
    changed: dict[tuple[Any, int], None] = field(default_factory=dict)
    late: int = 0

    def take(self, key: Any, value: Any, time: int) -> list[Out]:
        self.time = max(self.time, time)
        out = []
        for start in self.starts(time):
            if start <= self.closed_start():
                self.late += 1
                continue
            group = key, start
            self.states.setdefault(group, []).append(value)
            self.times[group] = max(self.times.get(group, 0), time)
            self.changed[group] = None
            if self.emit == "update":
                out.append(self.result(group))
        return out + self.close()

    def starts(self, time: int) -> list[int]:
        if self.size is None:
            return [0]
        return [start for start in range(0, time + 1, self.step) if time < start + self.size]

    def closed_start(self) -> int:
        """Windows that start there or before take nothing more. Closed stays closed, even if the bound goes back."""
        if self.size is None:
            return -(2**60)
        self.closed = max(self.closed, min(self.time, self.bound) - self.size - self.grace)
        return self.closed

    def close(self) -> list[Out]:
        to = self.closed_start()
        done = sorted((start, str(key), key) for key, start in self.states if start <= to)
        out = [self.result((key, start)) for start, _, key in done]
        if self.size is not None:
            for start, _, key in done:
                del self.states[key, start]
        return out if self.emit == "close" else []

    def commit(self) -> list[Out]:
        groups, self.changed = list(self.changed), {}
        if self.emit != "commit":
            return []
        return [self.result(group) for group in groups]

    def result(self, group: tuple[Any, int]) -> Out:
        key, start = group
        values = self.kept.setdefault(group, []) if group not in self.states else self.states[group]
        self.kept[group] = list(values)
        return (key if self.size is None else Windowed(key, start, start + self.size), tuple(values), self.times[group])

    kept: dict[tuple[Any, int], list[Any]] = field(default_factory=dict)


def named(values: Sequence[int]) -> Any:
    return [len(values), sum(values), sum(values) / len(values), min(values), max(values), values[0], values[-1]]


def shown(row: Any) -> Any:
    return [row.n, row.total, row.mean, row.low, row.high, row.first, row.last]


FOLDS: dict[str, tuple[Callable[[Any], Any], Callable[[Sequence[int]], Any], Callable[[Any], Any]]] = {
    "count": (lambda g: g.count(name="t"), len, lambda value: value),
    "reduce": (lambda g: g.reduce(lambda old, new: old * 3 + new, name="t"), lambda values: chain(values), int),
    "function": (
        lambda g: g.aggregate(list, lambda total, value: [*total, value], name="t"),
        list,
        lambda value: value,
    ),
    "changes in place": (
        lambda g: g.aggregate([], lambda key, total, value: total.append(value) or total, name="t"),
        list,
        lambda value: value,
    ),
    "named": (
        lambda g: g.aggregate(
            n=agg.count(),
            total=agg.sum(lambda v: v),
            mean=agg.mean(lambda v: v),
            low=agg.min(lambda v: v),
            high=agg.max(lambda v: v),
            first=agg.first(lambda v: v),
            last=agg.last(lambda v: v),
            name="t",
        ),
        named,
        shown,
    ),
}


def chain(values: Sequence[int]) -> int:
    total = values[0]
    for value in values[1:]:
        total = total * 3 + value
    return total


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], list[tuple[int, str]]]:
    """Rows, and what happens behind some of them: (number of rows before it, cut, commit or crash)."""
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from([None, 1, 2, 5]), st.integers(0, 60)),
            max_size=30,
        )
    )
    events = st.tuples(st.integers(0, len(rows)), st.sampled_from(["cut", "commit", "crash", "stop"]))
    return rows, sorted(draw(st.lists(events, max_size=8)))


WINDOWS = [None, (10, 10, 0), (10, 10, 7), (12, 5, 0), (12, 4, 9), (7, 3, 3)]


def grouped(stream: Any, window: tuple[int, int, int] | None) -> Any:
    by_key = stream.group_by_key()
    if window is None:
        return by_key
    size, step, grace = (part / 1000 for part in window)
    made = streams.TumblingWindow(size, grace) if size == step else streams.HoppingWindow(size, step, grace)
    return by_key.windowed_by(made)


def expected(model: Model, rows: list[Row], events: list[tuple[int, str]], fold: Callable[[Any], Any]) -> list[Out]:
    out: list[Out] = []
    commits = [*(at for at, event in events if event in ("commit", "stop")), len(rows)]
    for at in range(len(rows) + 1):
        for _ in range(commits.count(at)):
            out += model.commit()
        if at < len(rows) and rows[at][0] is not None and rows[at][1] is not None:
            out += model.take(*rows[at])
    return [(key, fold(values), time) for key, values, time in out]


@pytest.mark.parametrize("in_memory", [500_000, 1], ids=["all in memory", "put aside"])
@pytest.mark.parametrize("name", FOLDS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), window=st.sampled_from(WINDOWS), emit=st.sampled_from(["update", "commit", "close"]))
@example(history=([("a", 1, 0), ("a", 1, 30)], [(1, "stop")]), window=(10, 10, 0), emit="close")
@example(
    history=([("b", 1, 0), ("a", 2, 5), ("a", 1, 30)], [(1, "commit"), (2, "crash")]), window=(10, 10, 0), emit="close"
)
def test_cuts_commits_and_crashes_change_nothing(
    bench: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    in_memory: int,
    history: tuple[list[Row], list[tuple[int, str]]],
    window: tuple[int, int, int] | None,
    emit: str,
) -> None:
    monkeypatch.setattr(kept_groups, "GROUPS_IN_MEMORY_MAX", in_memory)
    if window is None and emit == "close":
        emit = "commit"
    build, fold, read = FOLDS[name]
    rows, events = history
    made = bench(lambda s: build(grouped(s, window)).emit(emit))
    size, step, grace = window or (None, 1, 0)
    model = Model(size, step, grace, emit)
    assert run(made, rows, list(events), read) == expected(model, rows, events, fold)
    if not any(event == "crash" for _, event in events):
        nulls = sum(row[0] is None for row in rows), sum(row[0] is not None and row[1] is None for row in rows)
        counted = {"null_key": nulls[0], "null_value": nulls[1], "late": model.late}
        assert made.counts == {reason: n for reason, n in counted.items() if n}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from("ab"), st.just(1), st.integers(0, 60)),
            st.integers(0, 60),  # the bound of time
            st.sampled_from(["commit", "stop"]),
        ),
        max_size=25,
    ),
    emit=st.sampled_from(["update", "commit", "close"]),
)
@example(steps=[0, ("a", 1, 0), ("a", 1, 40), 40, "commit", 0, ("a", 1, 5), "commit"], emit="commit")
@example(steps=[0, ("a", 1, 0), ("a", 1, 40), 40, 0, ("a", 1, 5), 40, "commit"], emit="close")
def test_time_is_held_back_and_closed_stays_closed(bench: Callable[..., Any], steps: list[Any], emit: str) -> None:
    """The bound goes on as writers do; it goes back when one that was idle has data again."""
    made = bench(lambda s: s.group_by_key().windowed_by(streams.TumblingWindow(0.01, 0.003)).count(name="t").emit(emit))
    model = Model(10, 10, 3, emit)
    found: list[Any] = []
    wanted: list[Out] = []
    made.context.time_bound = model.bound = 2**60
    for step in [*steps, "commit"]:
        if isinstance(step, int):
            before, model.bound = model.bound, step
            made.time_bound = made.context.time_bound = step
            if step > before:
                found += made.advance(step)
                wanted += model.close()
        elif isinstance(step, str):
            found += made.commit()
            wanted += model.commit()
            if step == "stop":
                made.restart()
        else:
            found += made.send(step)
            wanted += model.take(*step)
    assert [(row.key, row.value, row.timestamp) for row in found] == [(k, len(values), t) for k, values, t in wanted]
