"""table.suppress: what is held back, and when it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import SessionWindow, TumblingWindow, Windowed, policies
from streams.errors import BufferFullError
from streams.graph.old_values import request_old
from streams.testing import Driver
from streams.topic import Topic


def table(stream: Any) -> Any:
    class Declared:
        builder = stream._builder

    return Topic(Declared(), stream._builder.graph.topics["numbers"]).table(name="latest")  # type: ignore[arg-type]


def held(*, old: bool = False, **options: Any) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        made = table(stream).suppress(name="held", **options)
        if old:
            request_old(made.node)

    return build


def final(**options: Any) -> Callable[[Any], Any]:
    """Sums of 10 ms that wait 5 ms for late records; of more than nine nothing is left."""

    def build(stream: Any) -> Any:
        windows = stream.group_by_key().windowed_by(TumblingWindow(0.01, grace=0.005))
        sums = windows.reduce(lambda all_, one: None if all_ + one > 9 else all_ + one, name="n").emit("update")
        sums.suppress(until="close", name="held", **options)

    return build


def send(made: Any, rows: list[tuple[Any, ...]], size: int) -> list[tuple[Any, Any, Any, int]]:
    return [row for at in range(0, len(rows), size) for row in made.changes(*rows[at : at + size])]


@pytest.mark.parametrize("size", [1, 2, 9])
def test_the_first_change_of_a_key_says_how_long_it_waits(bench: Callable[..., Any], size: int) -> None:
    made = bench(held(until=0.01, old=True))
    rows = [("a", 1, 100), ("b", 2, 104), ("a", 3, 108), ("a", 4, 103), ("c", 5, 110), ("d", None, 114), ("c", 6, 124)]
    assert send(made, rows, size) == [
        *[("a", 4, None, 103), ("b", 2, None, 104), ("c", 6, None, 124), ("d", None, None, 114)],
    ]
    assert send(made, [("a", 7, 130), ("a", 8, 131), ("b", 0, 150)], size) == [("a", 8, 4, 131)]


@pytest.mark.parametrize("decoded", [False, True])
def test_keys_of_one_time_leave_in_their_order_with_their_headers(bench: Callable[..., Any], decoded: bool) -> None:
    made = bench(held(until=0.01), decoded=decoded)
    assert made.changes(("b", 1, 5, [("h", b"1")]), ("c", 2, 5), ("a", 3, 5), ("a", 4, 7, [("h", b"2")])) == []
    batch = made.batch([("x", 0, 15)])
    for name in ("latest-table", "held"):
        batch = made.operators[name].process(batch)
    assert (batch.keys, batch.values, batch.headers) == (["a", "b", "c"], [4, 1, 2], [[("h", b"2")], [("h", b"1")], []])


@pytest.mark.parametrize("size", [1, 4])
def test_a_full_buffer_emits_the_oldest(bench: Callable[..., Any], size: int) -> None:
    made = bench(held(until=1, max_records=2))
    rows = [("a", 1, 20), ("b", 2, 10), ("a", 3, 30), ("c", 4, 25), ("d", 5, 5), ("c", 6, 40)]
    assert send(made, rows, size) == [("b", 2, None, 10), ("d", 5, None, 5)]


def test_of_nothing_to_hold_everything_leaves_at_once(bench: Callable[..., Any]) -> None:
    every: list[dict[str, Any]] = [{"until": 0}, {"until": 1, "max_records": 0}, {"until": 1, "max_bytes": 0}]
    for options in every:
        made = bench(held(**options))
        assert made.changes(("a", 1, 5), ("a", 2, 6), ("b", 1, 4))[:2] == [("a", 1, None, 5), ("a", 2, None, 6)]


def test_bytes_are_those_of_keys_values_and_headers(bench: Callable[..., Any]) -> None:
    made = bench(held(until=1, max_bytes=10), value_type=str)
    assert made.changes(("a", "1234", 5), ("b", "1234", 6)) == []
    assert made.changes(("b", "12345", 7)) == [("a", "1234", None, 5)]
    assert made.changes(("c", "1", 8, [("h", b"")])) == []
    assert made.changes(("c", "123", 8, [("h", b"")])) == [("b", "12345", None, 7)]


def test_a_full_buffer_may_stop_the_app(bench: Callable[..., Any]) -> None:
    made = bench(held(until=1, max_records=1, max_bytes=100, when_full="stop"), policy=policies.skip())
    made.changes(("a", 1), ("a", 2))
    message = r"held \(.*\) holds back 2 records of at most 1 and \d+ bytes of at most 100.*max_records=.*\"emit\""
    with pytest.raises(BufferFullError, match=message):
        made.changes(("b", 1))


@pytest.mark.parametrize("size", [1, 3, 20])
def test_of_a_window_only_the_end_is_told(bench: Callable[..., Any], size: int) -> None:
    made = bench(final())
    one = [("a", 1, 3), ("b", 2, 4), ("a", 3, 5), ("c", 9, 2), ("c", 9, 14), ("b", 4, 9)]
    # What is 10 late is still taken, and makes c too much.
    found = send(made, [*one, ("x", 1, 14), ("c", 1, 1)], size)
    assert found == []
    assert send(made, [("x", 1, 15)], size) == [
        *[(Windowed("a", 0, 10), 4, None, 5), (Windowed("b", 0, 10), 6, None, 9)],
    ]


def test_a_row_that_is_gone_by_then_is_not_told(bench: Callable[..., Any]) -> None:
    made = bench(final())
    assert made.changes(("a", 1, 3), ("a", 9, 4), ("b", 1, 5), ("x", 1, 20)) == [(Windowed("b", 0, 10), 1, None, 5)]


def test_time_that_is_held_back_holds_back(bench: Callable[..., Any]) -> None:
    made = bench(held(until=0.01))
    made.context.time_bound = 12
    assert made.changes(("a", 1, 5), ("b", 1, 30)) == []
    assert [row[:3] for row in made.advance(15)] == [("a", 1, 5)]
    assert [row[:3] for row in made.advance(40)] == []


@pytest.mark.parametrize("build", [held(until=0.01, old=True), final()])
def test_the_buffer_is_there_after_a_restart(bench: Callable[..., Any], build: Any) -> None:
    rows = [("a", 1, 3), ("b", 2, 4), ("a", 3, 8, [("h", b"1")]), ("c", 2, 7)]
    whole, cut = bench(build), bench(build)
    expected = send(whole, [*rows, ("x", 1, 30)], 9)
    send(cut, rows[:3], 9)
    cut.commit()
    cut.changes(("z", 1, 3))
    cut.restart()
    send(cut, rows[3:], 9)
    assert send(cut, [("x", 1, 30)], 9) == expected
    cut.commit()
    cut.restart()
    assert (
        [key for key, _, _, _ in send(cut, [("y", 1, 90)], 9)] == [expected[0][0].__class__("x", 30, 40)]
        if isinstance(expected[0][0], Windowed)
        else ["x"]
    )


def test_time_goes_on_after_a_restart(bench: Callable[..., Any]) -> None:
    made = bench(held(until=0.01))
    made.changes(("a", 1, 100))
    made.commit()
    made.restart()
    assert made.changes(("b", 1, 95), ("c", 1, 88)) == [("c", 1, None, 88)]


def test_a_session_may_grow_for_its_gap(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> Any:
        sessions = stream.group_by_key().windowed_by(SessionWindow(0.01, grace=0.005))
        sessions.count(name="n").emit("update").suppress(until="close", name="held")

    made = bench(build)
    assert made.changes(("a", 1, 3), ("x", 1, 17), ("a", 1, 13)) == []
    assert made.changes(("x", 1, 27)) == []
    assert made.changes(("x", 1, 28)) == [(Windowed("a", 3, 13), 2, None, 13)]


def test_what_has_left_is_deleted_in_the_changelog(bench: Callable[..., Any]) -> None:
    made = bench(held(until=0.01))
    made.changes(("a", 1, 3), ("b", 2, 4))
    made.commit()
    made.changes(("x", 1, 13))
    made.commit()
    found = [(key, payload is not None) for store, key, payload, _ in made.changelog if store == "held"]
    assert found == [(b"a", True), (b"b", True), (b"a", False), (b"x", True)]


def test_a_lookup_sees_what_left_last(bench: Callable[..., Any]) -> None:
    made = bench(held(until=0.01, old=True))
    made.changes(("a", 1, 3), ("b", 2, 4), ("x", 1, 13), ("a", 5, 14), ("a", 6, 15), ("c", 1, 15))
    assert made.operator.lookup(["a", "b", "c", None]) == [(1, -1), (2, 4), None, None]
    made.changes(("x", 1, 30))
    assert made.operator.lookup(["a"]) == [(6, 15)]


# -- with a grouped table behind, which takes back what it was given


@pytest.mark.parametrize("crash", [False, True])
def test_what_is_taken_back_is_what_left_before(crash: bool) -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=int).table(name="orders").suppress(until="10ms")
    groups = orders.group_by(lambda key, value: ("all", value), key_type=str, value_type=int)
    groups.reduce(lambda all_, one: all_ + one, lambda all_, one: all_ - one, name="sum")
    with Driver(app) as driver:
        for place, row in enumerate(
            [("a", 1, 0), ("b", 1, 10), ("a", 2, 11), ("a", 5, 12), ("b", 3, 30), ("x", 0, 50)]
        ):
            driver.pipe("orders", [row])
            if crash and place in (1, 3):
                driver.crash()
                driver.restart()
        assert driver.table("sum").get("all") == 5 + 3


def test_windows_that_have_been_a_stream() -> None:
    app = streams.App("shop")
    stream = app.topic("orders", key_type=str, value_type=int).stream()
    counts = stream.group_by_key().windowed_by(TumblingWindow("10ms")).count(name="counts").to_stream()
    counts.to_table(name="latest", store="latest").suppress(until="close").to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("orders", [("b", 1, 0), ("a", 1, 3), ("b", 1, 2)])
        driver.crash()
        driver.restart()
        driver.pipe("orders", [("x", 1, 10)])
        assert [record[:3] for record in driver.read("out")] == [
            *[(Windowed("a", 0, 10), 1, 3), (Windowed("b", 0, 10), 2, 2)],
        ]


@pytest.mark.parametrize("until", ["close", "1s"])
def test_a_window_may_begin_before_1970(until: str) -> None:
    """The first month of it does, east of Greenwich."""
    app = streams.App("months")
    visits = app.topic("in", key_type=str, value_type=int).stream().group_by_key()
    months = visits.windowed_by(streams.CalendarWindow("month", tz="Europe/Berlin")).count(name="months")
    months.suppress(until=until, name="held").to_stream().map(lambda w, n: (w.key, [w.start, n])).to("out")
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 0), ("a", 1, 900)])
        driver.crash()
        driver.restart()
        driver.pipe("in", [("b", 1, 32 * 86_400_000)])
        assert [(record.key, record.value) for record in driver.read("out")] == [("a", [-3_600_000, 2])]


def test_of_windows_that_end_together_the_shorter_of_keys_that_begin_alike_is_first() -> None:
    """Kafka Streams' `WindowKeySchema` and `SessionKeySchema`: the key, then the end, then the start."""
    app = streams.App("shop")
    sessions = app.topic("in", key_type=str, value_type=int).stream().group_by_key().windowed_by(SessionWindow(0.004))
    sessions.count(name="n").suppress(until=0.006, name="held").to_stream(lambda k, v: f"{k.key}-{k.end}").to("out")
    with Driver(app) as driver:
        driver.pipe("in", [("ab", 1, 5), ("a", 1, 5), ("", 1, 5), ("z", 1, 50)])
        assert [record.key for record in driver.read("out")] == ["-5", "a-5", "ab-5"]
