"""count, reduce, aggregate: the rules one by one, as rows in and rows out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from state.keys import split_window_key
from streams import agg
from streams.batch import Batch
from streams.dsl.stream import Stream
from streams.graph.definitions import TopicDef
from streams.operators.aggregations import kept_groups
from streams.windows import Windowed

SECOND = 1_000


class Stats(streams.Record):
    n: int = 0
    total: int = 0


def tumbling(size: float, grace: float = 0) -> Callable[[Any], Any]:
    return lambda stream: stream.group_by_key().windowed_by(streams.TumblingWindow(size, grace))


def hopping(size: float, step: float, grace: float = 0) -> Callable[[Any], Any]:
    return lambda stream: stream.group_by_key().windowed_by(streams.HoppingWindow(size, step, grace))


def in_window(key: Any, start: int, size: int = 10 * SECOND) -> Windowed[Any]:
    return Windowed(key, start, start + size)


# -- which records count


def test_records_without_key_or_value_are_left_out_and_counted(check: Callable[..., None]) -> None:
    rows = [("a", 1), (None, 1), ("b", None), (None, None), ("a", 2)]
    check(
        lambda s: s.group_by_key().count().emit("update"),
        rows,
        [("a", 1), ("a", 2)],
        counts={"null_key": 2, "null_value": 1},
    )


@pytest.mark.parametrize(
    ("grace", "times", "late"),
    [
        # a window [0, 10 s) is closed when the largest timestamp, the record's own included, is its end + grace
        (0, [0, 9_999, 5_000], 0),
        (0, [0, 10_000, 9_999], 1),
        (0, [10_000, 0], 1),
        (5, [0, 14_999, 9_999], 0),
        (5, [0, 15_000, 9_999, 10_000], 1),
        (5, [20_000, 4_999, 10_000, 5_000], 2),
    ],
)
def test_a_record_is_late_when_its_window_is_closed(
    bench: Callable[..., Any], grace: int, times: list[int], late: int
) -> None:
    for size in (1, 2, len(times)):
        made = bench(lambda s: tumbling(10, grace)(s).count().emit("update"))
        for at in range(0, len(times), size):
            made.send(*[("a", 1, time) for time in times[at : at + size]])
        assert made.counts == ({"late": late} if late else {})


def test_each_window_of_a_hopping_record_is_tested_alone(check: Callable[..., None]) -> None:
    check(
        lambda s: hopping(10, 5)(s).count().emit("update"),
        [("a", 1, 12_000), ("a", 1, 16_000), ("a", 1, 9_000), ("a", 1, 3_000)],
        [
            (in_window("a", 5_000), 1, 12_000),
            (in_window("a", 10_000), 1, 12_000),
            (in_window("a", 10_000), 2, 16_000),
            (in_window("a", 15_000), 1, 16_000),
        ],
        # of 12 s: none; 9 s: [0, 10) and [5, 15) are closed at 16 s; 3 s: [0, 10)
        counts={"late": 3},
    )


def test_windows_begin_in_1970_and_what_was_before_is_counted(check: Callable[..., None]) -> None:
    check(
        lambda s: hopping(10, 5)(s).count().emit("update"),
        [("a", 1, -1), ("a", 1, 3_000)],
        [(in_window("a", 0), 1, 3_000)],
        counts={"no_window": 1},
    )


def test_keys_of_merged_topics_of_different_types_are_one_by_value(bench: Callable[..., Any]) -> None:
    """Text in one topic's log, JSON in the other's."""

    def build(stream: Any) -> Any:
        other = stream._builder.graph.add_topic(TopicDef(name="others", value_type=int))
        node = stream._builder.graph.source(other, "here")
        return (
            stream.merge(Stream(stream._builder, node, label="others", value_type=int)).group_by_key().count(name="t")
        )

    made = bench(build, decoded=True)
    made.send(("a", 1), ("b", 1))
    made.process(Batch.of([("a", 1)], topic="others"))
    assert [row[:2] for row in made.commit()] == [("a", 2), ("b", 1)]


class Basket(streams.Record):
    pieces: int = 0
    names: list[str] | None = None


@pytest.mark.parametrize("names", [None, ["x"]])
def test_a_function_may_change_a_record_in_place(bench: Callable[..., Any], names: list[str] | None) -> None:
    def put(basket: Basket, value: int) -> Basket:
        basket.pieces += value
        if basket.names is not None:
            basket.names.append(str(value))
        return basket

    first = Basket(0, names)
    made = bench(lambda s: s.group_by_key().aggregate(first, put, value_type=Basket, name="t").emit("update"))
    rows = made.send(("a", 1), ("a", 2), ("b", 4))
    assert [row.value.pieces for row in rows] == [1, 3, 4] and first == Basket(0, names)
    assert [row.value.names for row in rows] == [names and [*names, *more] for more in (["1"], ["1", "2"], ["4"])]


# -- results


def test_the_timestamp_of_a_result_is_the_largest_of_its_inputs(check: Callable[..., None]) -> None:
    rows = [("a", 1, 30), ("b", 5, 40), ("a", 2, 10), ("a", 3, 35)]
    expected = [("a", 1, 30), ("b", 5, 40), ("a", 3, 30), ("a", 6, 35)]
    check(lambda s: s.group_by_key().reduce(lambda old, new: old + new).emit("update"), rows, expected)


def test_every_change_has_offset_and_headers_of_the_record_that_made_it(check: Callable[..., None]) -> None:
    rows = [("a", 1, 30, [("h", b"1")]), ("b", 2, 20), ("a", 3, 10, [("h", b"3")])]
    expected = [("a", 1, 30, (("h", b"1"),), 0), ("b", 1, 20, (), 1), ("a", 2, 30, (("h", b"3"),), 2)]
    check(lambda s: s.group_by_key().count().emit("update"), rows, expected)


def test_emit_commit_gives_the_latest_of_each_key_in_the_order_of_change(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.group_by_key().count())
    assert made.send(("b", 1, 5), ("a", 1, 7), ("b", 1, 3)) == []
    assert [row[:3] for row in made.flush()] == [("b", 2, 5), ("a", 1, 7)]
    assert made.flush() == []
    made.send(("a", 1, 1))
    assert [row[:3] for row in made.commit()] == [("a", 2, 7)]


def test_emit_commit_is_the_default_of_a_task(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.group_by_key().count())
    assert made.node.emit is None
    assert made.context.emit == "commit"


def test_emit_close_gives_each_window_once_earliest_first_by_key(check: Callable[..., None]) -> None:
    rows = [
        *[("b", 1, 0), ("a", 1, 1), ("a", 2, 12_000), ("c", 5, 2)],
        *[("a", 1, 14_000), ("z", 9, 31_000), ("a", 7, 13_000)],
    ]
    check(
        lambda s: tumbling(10, 5)(s).reduce(lambda old, new: old + new).emit("close"),
        rows,
        [
            (in_window("a", 0), 1, 1),
            (in_window("b", 0), 1, 0),
            (in_window("c", 0), 5, 2),
            (in_window("a", 10_000), 3, 14_000),
        ],
        counts={"late": 1},
    )


def test_closed_windows_have_offset_and_headers_of_the_record_that_closed_them(check: Callable[..., None]) -> None:
    """That record may itself be too late for its window."""
    rows = [
        *[("a", 1, 0, [("h", b"0")]), ("a", 1, 25_000, [("h", b"1")])],
        *[("b", 1, 1_000, [("h", b"2")]), ("a", 1, 31_000, [("h", b"3")])],
    ]
    check(
        lambda s: tumbling(10)(s).count().emit("close"),
        rows,
        [(in_window("a", 0), 1, 0, (("h", b"1"),), 1), (in_window("a", 20_000), 1, 25_000, (("h", b"3"),), 3)],
        counts={"late": 1},
    )


def test_windows_that_close_in_one_jump_of_time_all_come_out(check: Callable[..., None]) -> None:
    """Kafka Streams loses them when the store has its default retention."""
    rows = [("a", 1, 0), ("a", 1, 10_000), ("a", 1, 20_000), ("a", 1, 10_000_000)]
    expected = [(in_window("a", start), 1, start) for start in (0, 10_000, 20_000)]
    check(lambda s: tumbling(10)(s).count().emit("close"), rows, expected)


def test_emit_close_comes_when_time_moves_without_a_record(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: tumbling(10)(s).count().emit("close"))
    made.time_bound = made.context.time_bound = 0
    assert made.send(("a", 1, 1_000), ("a", 1, 25_000)) == []
    assert made.advance(9_999) == []
    assert [row[:3] for row in made.advance(10_000)] == [(in_window("a", 0), 1, 1_000)]
    assert made.advance(25_000) == []
    assert made.advance(10**9) == []


def test_more_results_than_a_piece_come_in_pieces(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_groups, "PIECE_ROWS", 2)
    rows = [(f"k{n}", 1, 5) for n in range(7)]
    made = bench(lambda s: s.group_by_key().count())
    made.send(*rows)
    assert len(made.operator.flush()) == 2
    assert [len(made.operator.more() or ()) for _ in range(4)] == [2, 2, 1, 0]
    made = bench(lambda s: tumbling(10)(s).count().emit("close"))
    made.send(*rows)
    assert [row.key.key for row in made.send(("z", 1, 10_000))] == [row[0] for row in rows]


# -- functions


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda g: g.reduce(max), [3, 3, 5]),
        (lambda g: g.reduce(lambda key, old, new: len(key) + old + new), [3, 5, 11]),
        (lambda g: g.reduce(lambda *values: sum(values[-2:])), [3, 4, 9]),
        (lambda g: g.aggregate(0, lambda total, value: total + value), [3, 4, 9]),
        (lambda g: g.aggregate(lambda: 10, lambda key, total, value: total + value), [13, 14, 19]),
        (lambda g: g.aggregate(list, lambda values, value: [*values, value]), [[3], [3, 1], [3, 1, 5]]),
        (
            lambda g: g.aggregate(dict, lambda d, v: d | {str(v): v}),
            [{"3": 3}, {"3": 3, "1": 1}, {"3": 3, "1": 1, "5": 5}],
        ),
        (lambda g: g.aggregate(0, lambda total, value, ctx: total + value + ctx.offset), [3, 5, 12]),
        (lambda g: g.reduce(lambda key, old, new, ctx: old + new + ctx.offset), [3, 5, 12]),
        (lambda g: g.aggregate(Stats(), add), [Stats(1, 3), Stats(2, 4), Stats(3, 9)]),
        (lambda g: g.aggregate(Stats, add), [Stats(1, 3), Stats(2, 4), Stats(3, 9)]),
        (lambda g: g.aggregate(set, lambda seen, value: seen | {value}, value_type=set[int]), [{3}, {3, 1}, {3, 1, 5}]),
        (lambda g: g.aggregate(n=agg.count(lambda v: v > 1 or None)), [1, 1, 2]),
    ],
)
def test_what_each_form_folds(bench: Callable[..., Any], build: Any, expected: list[Any]) -> None:
    """In one go, and with a restart behind each record."""
    rows = [("a", 3), ("a", 1), ("a", 5)]
    made = bench(lambda s: build(s.group_by_key()).emit("update"))
    found = [
        getattr(row.value, "n", row.value) if row.value.__class__.__name__ != "Stats" else row.value
        for row in made.send(*rows)
    ]
    assert found == expected
    made = bench(lambda s: build(s.group_by_key()).emit("update"))
    for row, value in zip(rows, expected, strict=True):
        (one,) = made.send(row)
        assert getattr(one.value, "n", one.value) == value or one.value == value
        made.commit()
        made.restart()


def add(stats: Stats, value: int) -> Stats:
    stats.n += 1
    stats.total += value
    return stats


def test_a_value_given_as_initial_is_not_shared(bench: Callable[..., Any]) -> None:
    made = bench(
        lambda s: s.group_by_key().aggregate([], lambda seen, value: seen.append(value) or seen).emit("update")
    )
    assert [row.value for row in made.send(("a", 1), ("b", 2), ("a", 3))] == [[1], [2], [1, 3]]


def test_an_aggregate_of_none_is_a_deletion(bench: Callable[..., Any]) -> None:
    """As in Kafka Streams: the next record begins anew."""
    for build in (
        lambda g: g.reduce(lambda old, new: None if new == 0 else old + new),
        lambda g: g.aggregate(0, lambda total, value: None if value == 0 else total + value),
    ):
        made = bench(lambda s, build=build: build(s.group_by_key()).emit("update"))
        rows = [("a", 3), ("a", 4), ("a", 0), ("a", 5), ("a", 6)]
        assert [row.value for row in made.send(*rows)] == [3, 7, None, 5, 11]
        made.commit()
        made.send(("a", 0))
        made.commit()
        assert made.changelog[-1][1:3] == (b"a", None)
        made.restart()
        assert [row.value for row in made.send(("a", 8))] == [8]


def test_a_window_whose_aggregate_is_none_does_not_come_out_on_close(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: tumbling(10)(s).reduce(lambda old, new: None).emit("close"))
    rows = made.send(("a", 1, 0), ("b", 1, 0), ("a", 2, 1), ("z", 1, 10_000))
    assert [(row.key.key, row.value) for row in rows] == [("b", 1)]


# -- errors


@pytest.mark.parametrize("emit", ["update", "commit", "close"])
def test_a_fold_that_raises_leaves_its_record_out(bench: Callable[..., Any], emit: str) -> None:
    made = bench(
        lambda s: tumbling(10)(s).reduce(lambda old, new: old // new, name="t").emit(emit), policy=streams.skip()
    )
    rows = made.send(("a", 8, 0), ("a", 0, 5), ("a", 2, 1)) + made.flush() + made.send(("z", 1, 10_000))
    wanted = {"update": [("a", 8, 0), ("a", 4, 1), ("z", 1, 10_000)]}.get(emit, [("a", 4, 1)])
    assert [(row.key.key, row.value, row.timestamp) for row in rows] == wanted
    assert made.counts == {"skip": 1}


@pytest.mark.parametrize(
    "build",
    [
        lambda w: w.aggregate(lambda: 1 // 0, lambda total, value: total),
        lambda w: w.aggregate(0, lambda total, value: 1 // 0),
        lambda w: w.aggregate(n=agg.sum(lambda value: 1 // 0)),
        lambda w: w.aggregate(n=agg.count(), total=agg.sum(lambda value: [value])),
    ],
    ids=["initial", "function", "argument", "sum of lists"],
)
@pytest.mark.parametrize("emit", ["update", "commit", "close"])
def test_a_group_of_which_every_record_failed_is_not_there(bench: Callable[..., Any], build: Any, emit: str) -> None:
    made = bench(lambda s: build(tumbling(10)(s)).emit(emit), policy=streams.skip())
    assert made.send(("a", 1, 0), ("a", 1, 1)) + made.commit() + made.send(("z", 1, 10_000)) == []
    assert made.counts == {"skip": 3}
    made.commit()
    assert made.changelog == []


@pytest.mark.parametrize("emit", ["update", "commit", "close"])
def test_a_record_that_one_of_several_aggregates_does_not_take_counts_for_none(
    bench: Callable[..., Any], emit: str
) -> None:
    made = bench(
        lambda s: (
            tumbling(10)(s)
            .aggregate(n=agg.count(), total=agg.sum(lambda v: v), low=agg.min(lambda v: v), name="t")
            .emit(emit)
        ),
        value_type=None,
        policy=streams.skip(),
    )
    rows = made.send(("a", 1, 0), ("a", "x", 1), ("a", 5, 2), ("b", "y", 3), ("b", 2, 4)) + made.flush()
    rows += made.send(("z", 1, 10_000))
    last = {row.key.key: (row.value.n, row.value.total, row.value.low) for row in rows if row.key.start == 0}
    assert last == {"a": (2, 6, 1), "b": (1, 2, 2)}
    assert made.counts == {"skip": 2} if emit != "never" else {}


async def test_a_fold_is_tried_again_and_those_before_it_are_not(bench: Callable[..., Any]) -> None:
    calls: list[int] = []

    def add_shaky(old: int, new: int) -> int:
        calls.append(new)
        if new == 3 and calls.count(3) < 3:
            raise OSError("down")
        return old + new

    made = bench(lambda s: s.group_by_key().reduce(add_shaky).emit("update"), policy=streams.retry(3, backoff="1ms"))
    batch = made.batch([("a", 1), ("a", 2), ("a", 3), ("a", 4)])
    assert [row.value for row in await made.wait(lambda: made.operator.process(batch))] == [1, 3, 6, 10]
    assert calls == [2, 3, 3, 3, 4]


def test_a_state_that_cannot_be_read_back_is_refused_at_its_record(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.group_by_key().aggregate(list, lambda total, value: (value, value), name="t"))
    with pytest.raises(streams.errors.EncodeError, match=r"t, numbers-0 @ 1: table 't' .* value_type="):
        made.send((None, 1), ("a", 1))


# -- what is kept


def test_groups_are_stored_at_the_commit_and_found_again(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.group_by_key().count(name="t").emit("update"))
    made.send(("a", 1, 5), ("b", 1, 6), ("a", 1, 7))
    assert made.changelog == []
    made.commit()
    assert [(key, time) for _, key, _, time in made.changelog] == [(b"a", 7), (b"b", 6)]
    made.send(("a", 1, 1))
    made.commit()
    assert [(key, time) for _, key, _, time in made.changelog[2:]] == [(b"a", 7)]
    made.restart()
    assert [row[:3] for row in made.send(("a", 1, 3))] == [("a", 4, 7)]


def test_windows_go_when_their_retention_is_over(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: tumbling(10)(s).count(name="t", retention=60))
    assert made.node.store.retention_ms == 60_000
    made.send(("a", 1, 0), ("a", 1, 10_000))
    made.commit()
    made.send(("a", 1, 59_999))
    made.commit()
    assert made.stores.window("t").starts() == [0, 10_000, 50_000]
    made.send(("a", 1, 60_000))
    made.commit()
    assert made.stores.window("t").starts() == [10_000, 50_000, 60_000]
    gone = [split_window_key(key)[0] for _, key, value, _ in made.changelog if value is None]
    assert gone == [0]


def test_retention_is_at_least_size_and_grace(bench: Callable[..., Any]) -> None:
    assert bench(lambda s: tumbling(10, 5)(s).count(retention=1)).node.store.retention_ms == 15_000
    assert bench(lambda s: tumbling(10, 5)(s).count()).node.store.retention_ms == 15_000


def test_a_window_that_comes_and_goes_between_two_commits_is_never_stored(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: tumbling(10)(s).count(name="t").emit("close"))
    assert [row[:2] for row in made.send(("a", 1, 0), ("a", 1, 30_000))] == [(in_window("a", 0), 1)]
    made.commit()
    assert [split_window_key(key)[0] for _, key, _, _ in made.changelog] == [30_000]


def test_groups_are_put_aside_when_there_are_many(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_groups, "GROUPS_IN_MEMORY_MAX", 3)
    made = bench(lambda s: s.group_by_key().count(name="t").emit("update"))
    made.send(*[(f"k{n}", 1) for n in range(5)])
    assert len(made.operator._kept.groups) == 5
    made.commit()
    assert len(made.operator._kept.groups) == 0
    assert [row.value for row in made.send(("k1", 1), ("k9", 1), ("k1", 1))] == [2, 1, 3]


def test_a_table_with_ttl_forgets_keys_not_seen_so_long(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.group_by_key().count(name="t", ttl=10).emit("update"))
    assert [row.value for row in made.send(("a", 1, 0), ("b", 1, 5_000), ("a", 1, 1_000))] == [1, 1, 2]
    made.commit()
    gone = made.stores.expire("t", 11_000)
    assert gone == [b"a"]
    made.operator.forget("t", gone)
    assert [row.value for row in made.send(("a", 1, 11_000), ("b", 1, 11_000))] == [1, 2]


@pytest.mark.parametrize("next_key", ["b", "a"])
def test_what_was_forgotten_before_a_commit_is_not_emitted_by_it(bench: Callable[..., Any], next_key: str) -> None:
    made = bench(lambda s: s.group_by_key().count(name="t", ttl=10))
    made.send(("a", 1, 0), ("a", 1, 1), ("c", 1, 50_000))
    made.operator.forget("t", made.stores.expire("t", 11_000))
    made.send((next_key, 1, 50_001))
    assert [row[:2] for row in made.flush()] == [("c", 1), (next_key, 1)]


def test_times_are_kept_with_the_commit(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: tumbling(10)(s).count(name="t").emit("update"))
    made.send(("a", 1, 25_000))
    made.commit()
    made.restart()
    assert made.send(("a", 1, 5_000)) == []
    assert made.counts == {"late": 1}


def test_another_step_sees_each_change_at_once(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.join(s.group_by_key().count(name="t").emit("update"), lambda value, n: (value, n)))
    assert made.context.shared_stores == {"t"}
    count = made.operators["t"]
    for n in range(1, 4):
        batch = made.batch([("a", 7)])
        count.process(batch)
        assert [row.value for row in made.process(batch)] == [(7, n)]
