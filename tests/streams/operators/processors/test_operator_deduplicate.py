"""deduplicate: against the rule written down in a few lines, however records are cut and wherever it restarts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams.errors import TopologyError
from streams.testing.driver import Driver

WITHIN, GRACE = 10, 15

Row = tuple[str | None, int | None, int]


class Event(streams.Record):
    id: int | None


def app_of(by: Any = None, *, grace: str | None = f"{GRACE}ms", value_type: Any = int) -> streams.App:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=value_type).stream()
    stream.deduplicate(by, within=f"{WITHIN}ms", grace=grace, name="once").to("out")
    return app


def model(rows: list[Row], *, by_value: bool) -> tuple[list[Row], dict[str, int]]:
    let_through: list[tuple[Any, int]] = []
    kept, counts, observed = [], {"null_key": 0, "late": 0, "duplicate": 0}, -(10**9)
    for key, value, time in rows:
        if key is None or (by_value and value is None):
            counts["null_key"] += 1
            continue
        observed = max(observed, time)
        one = (key, value) if by_value else key
        if time < observed - GRACE:
            counts["late"] += 1
        elif any(one == other and abs(time - at) < WITHIN for other, at in let_through):
            counts["duplicate"] += 1
        else:
            let_through.append((one, time))
            kept.append((key, value, time))
    return kept, {reason: count for reason, count in counts.items() if count}


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None]), st.integers(0, 60)), max_size=25
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, st.booleans(), st.lists(st.integers(0, 24), max_size=4), st.integers(0, 25))
@example(
    [("a", 1, 20), ("a", 1, 11), ("a", 1, 10), ("a", 1, 30), ("a", 1, 29), ("a", 1, 15), ("a", 1, 14)], False, [], 3
)
def test_the_rule(rows: list[Row], by_value: bool, cuts: list[int], restart: int) -> None:
    by = (lambda value: value) if by_value else None
    found: list[Row] = []
    dropped: dict[str, int] = {}
    with Driver(app_of(by)) as driver:
        for part in (rows[:restart], rows[restart:]):
            driver.pipe_many("in", part, cuts=cuts)
            found += [(r.key, r.value, r.timestamp) for r in driver.read("out")]
            for (_, reason), count in driver.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + count
            driver.crash()
            driver.restart()
    assert (found, dropped) == model(rows, by_value=by_value)


def test_by_an_expression_and_with_the_grace_of_the_time_itself() -> None:
    with Driver(app_of(Event.id, grace=None, value_type=Event)) as driver:
        driver.pipe("in", [("a", Event(1), 5), ("a", Event(2), 6), ("a", Event(1), 7), ("b", Event(1), 30)])
        driver.pipe("in", [("c", Event(1), 20), ("c", Event(2), 19), ("c", Event(None), 30)])
        assert [(r.key, r.value.id, r.timestamp) for r in driver.read("out")] == [
            *[("a", 1, 5), ("a", 2, 6), ("b", 1, 30), ("c", 1, 20)]
        ]
        assert driver.dropped == {("once", "duplicate"): 1, ("once", "late"): 1, ("once", "null_key"): 1}


def test_what_cannot_be_told_apart_goes_to_the_policy() -> None:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    stream.deduplicate(lambda v: object() if v else 1, within="1s", name="once", on_error=streams.skip()).to("out")
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 5), ("a", 0, 6)])
        assert [r.value for r in driver.read("out")] == [0]
        assert driver.dropped == {("once", "skip"): 1}


def test_what_no_record_can_repeat_any_more_is_forgotten() -> None:
    with Driver(app_of()) as driver:
        for time in range(0, 10_000, 100):
            driver.pipe("in", key="a", value=1, timestamp=time)
        (task,) = driver._running.assembly.tasks  # type: ignore[union-attr]
        assert len(task.stores.window("once").starts()) <= 4


def test_a_changed_key_goes_through_a_repartition() -> None:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream().select_key(lambda v: str(v), key_type=str)
    stream.deduplicate(within="1s", name="once")
    assert any(topic.endswith("-repartition") for topic in app.plan().topics)


def test_two_of_one_name_and_a_time_of_nothing_are_refused() -> None:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str).stream()
    stream.deduplicate(within="1s")
    with pytest.raises(TopologyError, match="two stores are called 'in-deduplicate'"):
        stream.deduplicate(within="1s")
    with pytest.raises(
        TopologyError, match=r"deduplicate at .*test_operator_deduplicate.py.*: within= is 1 ms or more"
    ):
        stream.deduplicate(within=0, name="other")


def test_the_last_of_all_times_is_one_as_well() -> None:
    app = streams.App("last")
    app.topic("in", key_type=str, value_type=int).stream().deduplicate(within="1s").to("out")
    last = 2**63 - 1
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, last - 5_000), ("a", 2, last), ("a", 3, last)])
        assert [record.timestamp for record in driver.read("out")] == [last - 5_000, last]
