"""Joins of two streams on the whole engine: repartitions, several partitions, crashes, time behind a repartition."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from streams.errors import TopologyError
from streams.testing import Driver

Record = tuple[int, str | None, int, int]
"""Side, key, value, timestamp."""


def pair(left: Any, right: Any) -> list[Any]:
    return [left, right]


def shop(way: str, *, moved: bool = False, window: streams.JoinWindow | None = None) -> streams.App:
    """`left` and `right` joined into `out`; with `moved` the key is in the value, and both go through a repartition."""
    app = streams.App("shop")
    sides = [app.topic(name, key_type=str).stream() for name in ("left", "right")]
    if moved:
        sides = [
            side.select_key(lambda v: v[0], key_type=str, name=f"key-{at}").map_values(
                lambda v: v[1], name=f"value-{at}"
            )
            for at, side in enumerate(sides)
        ]
    joined = getattr(sides[0], way)(sides[1], pair, within=window or streams.JoinWindow(0.01), name="j")
    joined.to("out")
    return app


def pipe(driver: Any, records: list[Record], *, moved: bool = False) -> None:
    for number, (side, key, value, time) in enumerate(records):
        row = (f"n{number}", [key, value]) if moved else (key, value)
        driver.pipe(("left", "right")[side], key=row[0], value=row[1], timestamp=time)


def read(driver: Any) -> list[Any]:
    return [(record.key, record.value, record.timestamp) for record in driver.read("out")]


RECORDS: list[Record] = [
    (0, "a", 1, 0),
    (1, "a", 2, 5),
    (0, None, 3, 6),
    (1, "b", 4, 7),
    (0, "c", 5, 8),
    (1, "a", 6, 60),
]
EXPECTED: dict[str, list[Any]] = {
    "join": [("a", [1, 2], 5)],
    "left_join": [("a", [1, 2], 5), (None, [3, None], 6), ("c", [5, None], 8)],
    "outer_join": [("a", [1, 2], 5), (None, [3, None], 6), ("b", [None, 4], 7), ("c", [5, None], 8)],
}


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("way", EXPECTED)
def test_with_and_without_a_repartition(way: str, moved: bool) -> None:
    with Driver(shop(way, moved=moved)) as driver:
        pipe(driver, RECORDS, moved=moved)
        assert read(driver) == EXPECTED[way]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(EXPECTED)),
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from("abcdef"), st.integers(0, 9), st.integers(0, 3)), max_size=30
    ),
    st.sets(st.integers(0, 30)),
)
def test_partitions_repartitions_and_crashes_show_in_no_result(way: str, steps: list[Any], crashes: set[int]) -> None:
    """In order of time, and one at a time: over several partitions nothing else is the same."""
    time, records = 0, []
    for side, key, value, more in steps:
        time += more
        records.append((side, key, value, time))
    ends = [(0, f"end{n}", 0, time + 100) for n in range(20)]
    found = []
    for partitions, moved in ((1, False), (1, True), (4, False), (4, True)):
        with Driver(shop(way, moved=moved), partitions=partitions) as driver:
            for at, record in enumerate([*records, *ends]):
                if at in crashes:
                    driver.crash()
                    driver.restart()
                pipe(driver, [record], moved=moved)
            driver.advance(wall="1m")
            rows = read(driver)
        found.append(rows if partitions == 1 else sorted(rows, key=str))
    ones, fours = found[:2], found[2:]
    assert ones[0] == ones[1]
    plain = [row for row in ones[0] if not str(row[0]).startswith("end")]
    for rows in fours:
        assert [row for row in rows if not str(row[0]).startswith("end")] == sorted(plain, key=str)


def test_topics_of_different_counts_are_told_with_their_lines() -> None:
    app = shop("join")
    with (
        pytest.raises(TopologyError, match=r"left has 2 \(.*py:\d+\), right has 3 \(.*py:\d+\)"),
        Driver(app, partitions={"left": 2, "right": 3}) as driver,
    ):
        pipe(driver, RECORDS)


def test_one_whose_key_was_changed_goes_where_the_other_side_is() -> None:
    app = streams.App("shop")
    left = app.topic("left", key_type=str).stream().select_key(lambda v: v[0], key_type=str)
    right = app.topic("right", key_type=str).stream()
    left.join(right, lambda left, right: [left[1], right], within=streams.JoinWindow(1), name="j").to("out")
    with Driver(app, partitions={"left": 1, "right": 5, "out": 1}) as driver:
        for number, key in enumerate("abcdefgh"):
            driver.pipe("right", key=key, value=number, timestamp=number)
            driver.pipe("left", key=None, value=[key, number], timestamp=number)
        driver.advance(wall="1m")
        assert read(driver) == [(key, [number, number], number) for number, key in enumerate("abcdefgh")]
