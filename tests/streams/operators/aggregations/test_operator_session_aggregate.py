"""Sessions: the rules one by one, and any history against a model. Expectations are those of Kafka Streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams import agg
from streams.errors import TopologyError
from streams.operators.aggregations import held_windows, row_aggregates
from streams.windows import Windowed
from tests.streams.operators.aggregations.window_histories import Model, Out, Row, expected, histories, run

SECOND = 1_000


def sessions(gap: float = 10, grace: float = 0) -> Callable[[Any], Any]:
    return lambda stream: stream.group_by_key().windowed_by(streams.SessionWindow(gap, grace))


def texts(grouped: Any, **options: Any) -> Any:
    """Who met whom, in which order."""
    return grouped.aggregate(
        "", lambda text, value: f"{text}{value}", merge=lambda one, two: f"({one}{two})", name="t", **options
    )


def seen(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [(row.key.key, row.key.start, row.key.end, row.value, row.timestamp) for row in rows]


def test_a_record_within_the_gap_makes_the_session_longer(check: Callable[..., None]) -> None:
    check(
        lambda s: texts(sessions()(s)).emit("update"),
        [("a", 1, 0), ("b", 2, 10_000), ("a", 3, 10_000), ("a", 4, 5_000), ("a", 5, 20_001)],
        [
            (Windowed("a", 0, 0), "1", 0),
            (Windowed("b", 10_000, 10_000), "2", 10_000),
            # b has moved the store's time on to the end of a's gap: what is [gap + grace] old is not met any more
            (Windowed("a", 10_000, 10_000), "3", 10_000),
            (Windowed("a", 10_000, 10_000), None, 10_000),
            (Windowed("a", 5_000, 10_000), "(3)4", 10_000),
            (Windowed("a", 20_001, 20_001), "5", 20_001),
        ],
    )


def test_swallowed_sessions_leave_as_nulls_first(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: texts(sessions(10, 100)(s)).emit("update"))
    made.send(("a", 1, 0), ("a", 2, 20_000))
    assert seen(made.send(("a", 3, 10_000))) == [
        ("a", 0, 0, None, 0),
        ("a", 20_000, 20_000, None, 20_000),
        ("a", 0, 20_000, "((1)2)3", 20_000),
    ]


def test_a_record_at_the_time_of_a_session_of_one_only_changes_it(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: texts(sessions()(s)).emit("update"))
    made.send(("a", 1, 5))
    assert seen(made.send(("a", 2, 5))) == [("a", 5, 5, "(1)2", 5)]


@pytest.mark.parametrize(("grace", "times", "late"), [(0, [0, 10_001], 0), (0, [10_001, 0], 1), (1, [11_000, 0], 0)])
def test_a_record_is_late_when_its_session_would_be_closed(
    bench: Callable[..., Any], grace: int, times: list[int], late: int
) -> None:
    made = bench(lambda s: texts(sessions(10, grace)(s)))
    made.send(*[(key, 1, time) for key, time in zip("ab", times, strict=True)])
    assert made.counts == ({"late": late} if late else {})


def test_records_without_key_value_or_with_times_before_1970_are_left_out(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: texts(sessions()(s)))
    made.send((None, 1, 0), ("a", None, 0), ("a", 1, -1))
    assert made.counts == {"null_key": 1, "null_value": 1, "no_window": 1} and made.commit() == []


def test_changes_have_no_headers_and_closed_sessions_those_of_what_closed_them(bench: Callable[..., Any]) -> None:
    rows = [("b", 1, 0, [("h", b"0")]), ("a", 2, 0, [("h", b"1")]), ("c", 3, 10_001, [("h", b"2")])]
    made = bench(lambda s: texts(sessions()(s)).emit("update"))
    assert {row.headers for row in made.send(*rows)} == {()}
    made = bench(lambda s: texts(sessions()(s)).emit("close"))
    found = made.send(*rows)
    assert [(row.key.key, row.headers, row.offset) for row in found] == [
        ("a", (("h", b"2"),), 2),
        ("b", (("h", b"2"),), 2),
    ]


def test_sessions_that_close_in_one_jump_all_come_out_by_end_start_and_key(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: texts(sessions(10, 100)(s)).emit("close"))
    rows = [("b", 1, 0), ("b", 2, 5_000), ("c", 3, 4_000), ("a", 4, 5_000), ("d", 5, 0)]
    assert made.send(*rows) == []
    assert [row[:2] for row in seen(made.send(("z", 1, 10**9)))] == [("d", 0), ("c", 4_000), ("b", 0), ("a", 5_000)]


def test_emit_close_comes_when_time_moves_without_a_record(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: sessions()(s).count(name="t").emit("close"))
    made.time_bound = made.context.time_bound = 0
    assert made.send(("a", 1, 1_000), ("a", 1, 50_000)) == [] and made.advance(11_000) == []
    assert seen(made.advance(11_001)) == [("a", 1_000, 1_000, 1, 1_000)]


@pytest.mark.parametrize("build", [lambda g: g.count(name="t"), lambda g: texts(g)], ids=["columns", "rows"])
def test_emit_close_comes_when_the_input_is_idle(bench: Callable[..., Any], build: Any) -> None:
    made = bench(lambda s: build(sessions()(s)).emit("close"))
    assert made.send(("a", 1, 1_000)) == []
    made.context.idle_time = 11_001
    assert [row[:3] for row in seen(made.all_of(made.operator.advance()))] == [("a", 1_000, 1_000)]
    assert made.send(("b", 1, 1_000)) == [] and made.counts == {"late": 1}
    # time stands at 11.001 s; a session of that time closes when the input is idle for longer
    assert made.send(("b", 1, 2_000)) == []
    made.context.idle_time = 30_000
    assert [row[:3] for row in seen(made.all_of(made.operator.advance()))] == [("b", 2_000, 2_000)]


@pytest.mark.parametrize(
    ("build", "value"),
    [
        (lambda g: g.count(name="t"), 3),
        (lambda g: g.reduce(lambda old, new: old * 10 + new, name="t"), 123),
        (lambda g: g.reduce(lambda key, old, new: len(key) + old * 10 + new, name="t"), 134),
        (
            lambda g: g.aggregate(list, lambda seen, v: seen.append(v) or seen, merge=lambda k, a, b: a + b, name="t"),
            [1, 2, 3],
        ),
        (lambda g: g.aggregate(0, lambda n, v, ctx: n + v, merge=lambda a, b, ctx: a + b + ctx.offset, name="t"), 10),
        (lambda g: g.aggregate(x=agg.sum(lambda v: v), name="t"), 6),
    ],
)
def test_each_form_merges(bench: Callable[..., Any], build: Any, value: Any) -> None:
    """In one go, and with a restart behind each record."""
    rows = [("a", 1, 0), ("a", 2, 20_000), ("a", 3, 10_000)]
    for restarts in (False, True):
        made = bench(lambda s: build(sessions(10, 100)(s)))
        for row in rows:
            made.send(row)
            found = made.commit() if restarts else []
            if restarts:
                made.restart()
        (last,) = [row.value for row in (found if restarts else made.commit()) if row.value is not None]
        assert getattr(last, "x", last) == value


def test_a_function_that_gives_none_deletes_the_session(bench: Callable[..., Any]) -> None:
    made = bench(
        lambda s: (
            sessions()(s).aggregate(0, lambda n, v: n + v or None, merge=lambda a, b: a + b, name="t").emit("update")
        )
    )
    found = made.send(("a", 1, 0), ("a", -1, 3), ("a", 5, 6))
    assert [row[1:4] for row in seen(found)] == [(0, 0, 1), (0, 0, None), (0, 3, None), (6, 6, 5)]


async def test_a_record_that_fails_is_tried_again_and_changes_nothing(bench: Callable[..., Any]) -> None:
    calls: list[int] = []

    def fold(text: str, value: int) -> str:
        calls.append(value)
        if value == 2 and len(calls) < 4:
            raise ValueError("not yet")
        return f"{text}{value}"

    made = bench(
        lambda s: sessions()(s).aggregate("", fold, merge=lambda a, b: a + b, name="t").emit("update"),
        policy=streams.retry(times=5),
    )
    batch = made.batch([("a", 1, 0), ("a", 2, 1), ("a", 3, 2)])
    found = await made.wait(lambda: made.operator.process(batch))
    assert [row.value for row in found] == ["1", None, "12", None, "123"]
    assert made.counts == {"retry": len(made.waits)}


def test_what_is_stored_goes_with_its_retention(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: sessions()(s).count(name="t", retention=30))
    made.send(("a", 1, 0), ("b", 1, 25_000))
    made.commit()
    with made.stores.session("t").entries() as found:
        assert [row[:3] for row in found] == [(0, 0, b"a"), (25_000, 25_000, b"b")]
    made.send(("c", 1, 30_000))
    made.commit()
    with made.stores.session("t").entries() as found:
        assert [row[2] for row in found] == [b"b", b"c"]
    assert [value for _, key, value, _ in made.changelog if key.endswith(b"a")][-1] is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda g: g.aggregate(0, lambda a, v: a), "say how their aggregates become one: merge="),
        (lambda g: g.aggregate(x=agg.count(), merge=lambda a, b: a), "leave out merge="),
        (lambda g: g._window and g.aggregate(0, lambda a, v: a, merge=lambda a: a), "takes 1 arguments"),
    ],
)
def test_what_is_refused_when_the_app_is_built(bench: Callable[..., Any], build: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message) as raised:
        bench(lambda s: build(sessions()(s)))
    assert __file__ in str(raised.value)


# -- any history


@dataclass
class Sessions(Model):
    """`KStreamSessionWindowAggregate`."""

    gap: int = 10

    def kept_by(self, start: int, end: int) -> int:
        return end

    def is_closed(self, start: int, end: int) -> bool:
        return end < self.time - self.gap - self.grace

    def fold(self, key: str, value: Any, time: int) -> list[Out]:
        found = [(s, e) for s, e in self.met(key) if e >= time - self.gap and s <= time + self.gap]
        start, end = min([time, *(s for s, _ in found)]), max([time, *(e for _, e in found)])
        if self.is_closed(start, end):
            self.late += 1
            return []
        state = ""
        for s, e in found:
            state = f"({state}{self.windows[key, s, e][0]})"
        out = [self.set(key, s, e, None, e) for s, e in found] if (start, end) != (time, time) else []
        return [*out, self.set(key, start, end, f"{state}{value}", end)]


@pytest.mark.parametrize("in_memory", [500_000, 0], ids=["all in memory", "put aside"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=histories(),
    gap=st.sampled_from([3, 10]),
    grace=st.sampled_from([0, 7]),
    retention=st.sampled_from([0, 30, 1_000]),
    emit=st.sampled_from(["update", "commit", "close"]),
)
@example(history=([("a", 1, 0), ("b", 1, 30)], [(1, "stop")]), gap=3, grace=0, retention=0, emit="close")
def test_cuts_commits_and_crashes_change_nothing(
    bench: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    in_memory: int,
    history: tuple[list[Row], list[tuple[int, str]]],
    gap: int,
    grace: int,
    retention: int,
    emit: str,
) -> None:
    monkeypatch.setattr(row_aggregates, "HELD_MAX", in_memory)
    monkeypatch.setattr(held_windows, "_DEAD_MIN", min(in_memory, 1_000))
    rows, events = history
    made = bench(lambda s: texts(sessions(gap / 1000, grace / 1000)(s), retention=retention / 1000).emit(emit))
    model = Sessions(grace, emit, max(retention, gap + grace), gap=gap)
    assert run(made, rows, list(events)) == expected(model, rows, events)


# -- rows and columns


class Sale(streams.Record):
    price: float | None
    number: int


def named(grouped: Any) -> Any:
    price, number = Sale.price, Sale.number
    return grouped.aggregate(
        n=agg.count(),
        priced=agg.count(price),
        total=agg.sum(price),
        mean=agg.mean(price),
        low=agg.min(number),
        high=agg.max(price),
        first=agg.first(number),
        last=agg.last(price),
        spread=agg.variance(price),
        name="t",
    )


@st.composite
def sales(draw: st.DrawFn) -> tuple[list[Row], list[tuple[int, str]]]:
    """Mostly in the order of time: what columns are for."""
    steps = draw(st.lists(st.tuples(st.integers(-12, 9), st.sampled_from("abc")), max_size=40))
    prices = st.none() | st.floats(-1e6, 1e6) | st.just(-0.0)
    rows: list[Row] = []
    time = 20
    for step, key in steps:
        at = time + step if step < 0 else (time := time + max(0, step - 3))
        rows.append((key, Sale(draw(prices), draw(st.integers(-5, 2**62))), at))
    events = st.tuples(st.integers(0, len(rows)), st.sampled_from(["cut", "commit", "crash", "stop"]))
    return rows, sorted(draw(st.lists(events, max_size=6)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=sales(),
    gap=st.sampled_from([3, 10]),
    grace=st.sampled_from([0, 7]),
    retention=st.sampled_from([0, 30, 1_000]),
    emit=st.sampled_from(["commit", "close"]),
)
def test_columns_give_what_rows_give(
    bench: Callable[..., Any],
    history: tuple[list[Row], list[tuple[int, str]]],
    gap: int,
    grace: int,
    retention: int,
    emit: str,
) -> None:
    def build(stream: Any) -> Any:
        window = streams.SessionWindow(gap / 1000, grace / 1000)
        grouped = stream.group_by_key().windowed_by(window)
        table = named(grouped).emit(emit)
        table.node.store.retention_ms = max(retention, gap + grace)
        return table

    rows, events = history
    answers = []
    for on_columns in (True, False):
        made = bench(build, value_type=Sale)
        restart = made.restart

        def by_rows(made: Any = made, restart: Any = restart, on_columns: bool = on_columns) -> None:
            restart()
            made.operator._on_columns = on_columns

        made.restart = by_rows
        assert made.operator._on_columns
        made.operator._on_columns = on_columns
        found = run(made, rows, list(events))
        answers.append((list(map(repr, found)), made.counts, sorted(made.changelog, key=repr)))
    assert answers[0] == answers[1]


def test_closed_sessions_have_the_records_that_closed_them_on_columns_too(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: named(sessions()(s)).emit("close"), value_type=Sale)
    assert made.operator._on_columns
    times = [0, 20_000, 25_000, 60_000]
    found = made.send(
        *[(key, Sale(1.0, 1), time, [("h", key.encode())]) for key, time in zip("abbc", times, strict=True)]
    )
    assert [(row.key.key, row.key.end, row.value.n, row.headers, row.offset) for row in found] == [
        ("a", 0, 1, (("h", b"b"),), 1),
        ("b", 25_000, 2, (("h", b"c"),), 3),
    ]


@pytest.mark.parametrize("emit", ["update", "commit"])
def test_a_session_of_one_moment_says_what_it_replaces(emit: Any) -> None:
    app = streams.App("moments")
    events = app.topic("in", key_type=str, value_type=int).stream().group_by_key()
    counts = events.windowed_by(streams.SessionWindow(1)).count(name="counts")
    by_count = counts.group_by(lambda key, count: (str(count), 1), key_type=str, value_type=int)
    by_count.count(name="by-count")
    with streams.testing.Driver(app, emit=emit) as driver:
        driver.pipe("in", [("a", 1, 5_000)])
        driver.pipe("in", [("a", 1, 5_000)])
        driver.pipe("in", [("a", 1, 5_001)])
        assert {key: n for key, n in driver.table("by-count").items() if n} == {"3": 1}


class Ratio(streams.Record):
    n: int


@pytest.mark.parametrize("by", [1 / Ratio.n, lambda ratio: 1 / ratio.n], ids=["columns", "rows"])
def test_what_was_left_out_does_not_move_the_time_of_the_store(bench: Callable[..., Any], by: Any) -> None:
    build = lambda s: sessions(4, 10)(s).aggregate(total=agg.sum(by), name="t").emit("close")  # noqa: E731
    made = bench(build, value_type=Ratio, policy=streams.skip())
    made.send(("b", Ratio(1), 12_000), ("a", Ratio(0), 29_000))
    made.send(("a", Ratio(1), 27_000))
    assert (made.operator._put_time, made.operator._sides[0].observed) == (27_000, 29_000)
