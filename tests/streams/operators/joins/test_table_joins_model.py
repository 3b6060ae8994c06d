"""Joins of tables against a few lines of plain Python, however records are cut, over several partitions, and with the
app killed in between.

The model says what a join is: a change tells the row that its key has now, if it has one or had one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams.testing import Driver

Change = tuple[str, str, int | None, int]
"""Side, key, value, timestamp."""
Row = tuple[str, Any, int]


class Value(streams.Record):
    n: int

    @property
    def refers_to(self) -> str | None:
        return None if self.n % 4 == 3 else "abc"[self.n % 4]


def shown(left: Value | None, right: Value | None) -> str | None:
    """No row where both are divided by three."""
    if left is not None and right is not None and left.n % 3 == right.n % 3 == 0:
        return None
    return f"{left and left.n}-{right and right.n}"


KINDS = {"join": (True, True), "left_join": (True, False), "outer_join": (False, False)}


class ByKey:
    def __init__(self, kind: str) -> None:
        self.needs = KINDS[kind]
        self.sides: dict[str, dict[str, tuple[Value, int]]] = {"left": {}, "right": {}}

    def row(self, left: Any, right: Any) -> str | None:
        there = left is not None or right is not None
        missing = (left is None and self.needs[0]) or (right is None and self.needs[1])
        return shown(left and left[0], right and right[0]) if there and not missing else None

    def change(self, side: str, key: str, value: Value | None, time: int) -> Iterator[Row]:
        def now() -> str | None:
            return self.row(self.sides["left"].get(key), self.sides["right"].get(key))

        before, table = now(), self.sides[side]
        table.pop(key, None)
        if value is not None:
            table[key] = (value, time)
        other = self.sides["right" if side == "left" else "left"].get(key)
        after = now()
        if before is not None or after is not None:
            yield key, after, max(time, other[1] if other else time)


class ByForeignKey:
    def __init__(self, kind: str) -> None:
        self.left_join = kind == "left_join"
        self.lefts: dict[str, Value] = {}
        self.rights: dict[str, tuple[Value, int]] = {}
        self.rows: dict[str, str] = {}

    def change(self, side: str, key: str, value: Value | None, time: int) -> Iterator[Row]:
        if side == "left":
            yield from self.of_left(key, value, time)
            return
        self.rights.pop(key, None)
        if value is not None:
            self.rights[key] = (value, time)
        for left in sorted(key_ for key_, there in self.lefts.items() if there.refers_to == key):
            yield from self.told(left, time)

    def of_left(self, key: str, value: Value | None, time: int) -> Iterator[Row]:
        old = self.lefts.pop(key, None)
        if value is not None:
            self.lefts[key] = value
        referred = value and value.refers_to
        if referred is None and not self.left_join:
            referred = old and old.refers_to  # who is told that the row is gone
        right = None if referred is None else self.rights.get(referred)
        yield from self.told(key, max(time, right[1] if right else time))

    def told(self, key: str, time: int) -> Iterator[Row]:
        left, before = self.lefts.get(key), self.rows.pop(key, None)
        right = self.rights.get(left.refers_to or "") if left else None
        after = shown(left, right and right[0]) if left and (right or self.left_join) else None
        if after is not None:
            self.rows[key] = after
        if before is not None or after is not None:
            yield key, after, time


def app_with(kind: str, foreign: bool, store: bool) -> streams.App:
    app = streams.App("shop")
    left, right = (app.topic(name, key_type=str, value_type=Value).table(name=name) for name in ("left", "right"))
    kept: dict[str, Any] = {"name": "joined", "value_type": str, "store": "rows" if store else None}
    if foreign:
        kept["foreign_key"] = lambda value: value.refers_to
    getattr(left, kind)(right, shown, **kept).to_stream().to("out")
    return app


def read(driver: Driver) -> list[Row]:
    return [(record.key, record.value, record.timestamp) for record in driver.read("out")]


def expected(model: Any, changes: list[Change]) -> list[Row]:
    value_of = {(n, time): None if n is None else Value(n) for _, _, n, time in changes}
    return [row for side, key, n, time in changes for row in model.change(side, key, value_of[n, time], time)]


def of_each_key(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def model_of(kind: str, foreign: bool) -> Any:
    return ByForeignKey(kind) if foreign else ByKey(kind)


change = st.tuples(
    st.sampled_from(["left", "left", "right"]),
    st.sampled_from("abc"),
    st.none() | st.integers(0, 11),
    st.integers(0, 50),
)
joins = pytest.mark.parametrize(
    ("kind", "foreign"),
    [("join", False), ("left_join", False), ("outer_join", False), ("join", True), ("left_join", True)],
)
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@joins
@quick
@given(st.lists(change, max_size=25), st.sets(st.integers(0, 25)), st.booleans())
@example([("left", "a", 1, 0), ("left", "a", None, 1), ("left", "a", 2, 2), ("right", "b", 5, 3)], {1, 2, 3}, False)
@example([("right", "b", 1, 9), ("left", "a", 1, 0), ("left", "a", 1, 1), ("left", "a", 2, 2)], set(), False)
def test_however_they_are_cut(kind: str, foreign: bool, changes: list[Change], cuts: set[int], store: bool) -> None:
    """Changes of one table that come together are one batch, but for the places where they are cut."""
    with Driver(app_with(kind, foreign, store)) as driver:
        for _, group in groupby(enumerate(changes), key=lambda one: (one[1][0], sum(cut <= one[0] for cut in cuts))):
            rows = [one for _, one in group]
            driver.pipe(rows[0][0], [(key, None if n is None else Value(n), time) for _, key, n, time in rows])
        assert read(driver) == expected(model_of(kind, foreign), changes)


@joins
@settings(quick, max_examples=15)
@given(st.lists(change, max_size=20))
def test_over_several_partitions(kind: str, foreign: bool, changes: list[Change]) -> None:
    counts = {"left": 4, "right": 3 if foreign else 4, "out": 2}
    with Driver(app_with(kind, foreign, False), partitions=counts) as driver:
        for side, key, n, time in changes:
            driver.pipe(side, key=key, value=None if n is None else Value(n), timestamp=time)
        assert of_each_key(read(driver)) == of_each_key(expected(model_of(kind, foreign), changes))


@joins
@settings(quick, max_examples=15)
@given(st.lists(change, max_size=20), st.sets(st.integers(0, 20), max_size=4))
def test_killed_in_between(kind: str, foreign: bool, changes: list[Change], kills: set[int]) -> None:
    """All that it needs is in its stores, and in the topics on the way."""
    with Driver(app_with(kind, foreign, False)) as driver:
        for at, (side, key, n, time) in enumerate(changes):
            if at in kills:
                driver.crash()
                driver.restart()
            driver.pipe(side, key=key, value=None if n is None else Value(n), timestamp=time)
        assert read(driver) == expected(model_of(kind, foreign), changes)


@joins
@pytest.mark.parametrize("step", ["commit: send outputs", "commit: end transaction", "commit: write stores"])
def test_killed_in_a_commit(kind: str, foreign: bool, step: str) -> None:
    changes = [
        ("left", "a", 1, 0),
        ("right", "b", 1, 1),
        ("right", "a", 5, 2),
        ("left", "a", 2, 3),
        ("left", "a", None, 4),
    ]
    for at in range(1, 8):
        with Driver(app_with(kind, foreign, False)) as driver:
            driver.crash(at=step, occurrence=at)
            for side, key, n, time in changes:
                driver.pipe(side, key=key, value=None if n is None else Value(n), timestamp=time)
                if driver.is_down:
                    driver.restart()
            assert read(driver) == expected(model_of(kind, foreign), changes), at


def chained(kind: str, foreign: bool) -> streams.App:
    """Joins behind joins, of tables that have no topic in common: they run a batch at a time."""
    app = streams.App("shop")
    left, right, third = (
        app.topic(name, key_type=str, value_type=Value).table() for name in ("left", "right", "third")
    )
    kept: dict[str, Any] = {"foreign_key": lambda value: value.refers_to} if foreign else {}
    joined = getattr(left, kind)(right, shown, name="joined", value_type=str, **kept)
    again = joined.left_join(
        third.filter(lambda value: value.n % 2 == 0), lambda row, value: f"{row}/{value}", name="again"
    )
    again.to_stream().to("out")
    joined.to_stream().to("between")
    assert {sub.row_reason for sub in app.plan().subtopologies} == {None}
    return app


three = st.tuples(
    st.sampled_from(["left", "right", "third"]),
    st.sampled_from("abc"),
    st.none() | st.integers(0, 11),
    st.integers(0, 50),
)


@joins
@settings(quick, max_examples=15)
@given(st.lists(three, max_size=25))
def test_a_batch_at_a_time_is_a_record_at_a_time(kind: str, foreign: bool, changes: list[Change]) -> None:
    found = []
    for together in (False, True):
        with Driver(chained(kind, foreign)) as driver:
            for _, group in groupby(enumerate(changes), key=lambda one: (one[1][0], not together and one[0])):
                rows = [one for _, one in group]
                driver.pipe(rows[0][0], [(key, None if n is None else Value(n), time) for _, key, n, time in rows])
            found.append([driver.read("between"), driver.read("out")])
    assert found[0] == found[1]
