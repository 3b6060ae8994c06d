"""What time a record is of: the rule of its topic."""

from __future__ import annotations

from typing import Any

import pytest

import streams
from broker_embedded import records
from streams.errors import DecodeError, TopologyError, UserCodeError
from streams.processing import SourceRecord
from streams.testing.driver import Driver
from streams.transport.contract import TopicPartition

ROWS = [("a", 1, -1), ("a", 2, 50), ("a", 3, -1), ("a", 4, 20), ("a", 5, -7)]


def app_of(rule: Any, **more: Any) -> streams.App:
    app = streams.App("shop", **more)
    numbers = app.topic("in", key_type=str, value_type=int, timestamp=rule)
    numbers.stream().to(app.topic("out", key_type=str, value_type=int))
    return app


def run(rule: Any, rows: list[Any] = ROWS, **more: Any) -> tuple[list[tuple[int, int]], dict[Any, int]]:
    """The same however the records are cut: (value, timestamp), and what was left out."""
    found = []
    for cuts in ((), (1, 2, 3, 4), (2,)):
        with Driver(app_of(rule, **more)) as driver:
            driver.advance("1s")
            driver.pipe_many("in", rows, cuts=cuts)
            found.append(([(r.value, r.timestamp) for r in driver.read("out")], driver.dropped))
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize("rule", [None, "fail"])
def test_a_time_before_1970_goes_to_the_error_policy(rule: Any) -> None:
    with pytest.raises(DecodeError, match=r"in-0 @ 0: its timestamp is -1.*timestamp=\"skip\"") as told:
        run(rule)
    assert "test_extraction.py" in str(told.value)
    assert run(rule, on_error=streams.skip()) == ([(2, 50), (4, 20)], {("in-source", "skip"): 3})


@pytest.mark.parametrize("values", [b"?15", b"?1?5", b"1?5?", b"??55", b"1?5?5?1"])
def test_what_does_not_decode_has_its_turn_before_a_wrong_time_behind_it(values: bytes) -> None:
    """`?` is no number, and 5 stands for a time before 1970."""
    rows = [bytes([value]) for value in values]
    with Driver(app_of("fail", on_error="dead-letter")) as driver:
        times = [-1 if row == b"5" else 0 for row in rows]
        driver.log.append(TopicPartition("in", 0), records.encode([b"a"] * len(rows), rows, times))
        driver.pipe_many("in")
        offsets = [int(dict(letter.headers)["error.offset"] or b"") for letter in driver.read("shop-dead-letter")]
    assert offsets == [at for at, row in enumerate(rows) if row != b"1"]


def test_left_out_and_counted() -> None:
    assert run("skip") == ([(2, 50), (4, 20)], {("in-source", "negative_timestamp"): 3})


def test_the_time_of_the_partition() -> None:
    with pytest.raises(DecodeError, match="its timestamp is -1"):
        run("partition_time")
    assert run("partition_time", ROWS[1:]) == ([(2, 50), (3, 50), (4, 20), (5, 50)], {})


def test_the_clock_on_the_wall() -> None:
    assert run("wall") == ([(value, 1_000) for value in range(1, 6)], {})


def test_a_function_of_the_users() -> None:
    seen: list[Any] = []

    def rule(record: SourceRecord, partition_time: int | None) -> int:
        seen.append((record.offset, record.topic, record.partition, partition_time))
        return -1 if record.value == 3 else record.value * 10

    assert run(rule) == ([(1, 10), (2, 20), (4, 40), (5, 50)], {("in-source", "negative_timestamp"): 1})
    assert seen[:5] == [(n, "in", 0, time) for n, time in enumerate([None, 10, 20, 20, 40])]


def test_what_a_function_does_wrong_goes_to_the_policy_with_its_line() -> None:
    with pytest.raises(UserCodeError, match=r"in-0 @ 0: ZeroDivisionError.*test_extraction.py"):
        run(lambda record, time: 1 // (record.value - 1))
    with pytest.raises(UserCodeError, match="a timestamp is a whole number of milliseconds, not 'now'"):
        run(lambda record, time: "now")
    with Driver(app_of(lambda record, time: 1 // (record.value - 1), on_error=streams.dead_letter())) as driver:
        driver.pipe("in", ROWS[:1])
        headers = dict(driver.read("shop-dead-letter")[0].headers)
    assert (headers["error.type"], headers["error.offset"]) == (b"ZeroDivisionError", b"0")


def test_the_time_of_the_partition_is_kept_over_a_restart() -> None:
    with Driver(app_of("partition_time")) as driver:
        driver.pipe("in", ROWS[1:])
        driver.crash()
        driver.restart()
        driver.pipe("in", key="a", value=6, timestamp=-1)
        assert [(r.value, r.timestamp) for r in driver.read("out")][-1] == (6, 50)


def test_a_rule_that_is_none_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"topic 'in' at .*test_extraction.py.* timestamp='walls' is none of fail"):
        app_of("walls")


def test_an_app_that_began_at_the_end_of_a_topic_knows_where_that_was() -> None:
    app = streams.App("shop")
    app.topic("in", key_type=str, value_type=int, start="end").stream().to("out")
    with Driver(app) as driver:
        driver.crash()
        driver.pipe("in", key="a", value=1)
        driver.restart()
        driver.pipe("in", key="a", value=2)
        driver.restart()
        driver.pipe("in", key="a", value=3)
        assert [record.value for record in driver.read("out")] == [1, 2, 3]
