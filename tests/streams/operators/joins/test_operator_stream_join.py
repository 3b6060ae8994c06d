"""join, left_join, outer_join of two streams: rule by rule. `test_operator_stream_join_model` has them all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import EncodeError, TopologyError
from streams.graph.definitions import TopicDef
from streams.topic import Topic

LEFT, RIGHT = 0, 1


def others(stream: Any, **options: Any) -> Any:
    """A stream of another topic of the same app."""

    class Declared:
        builder = stream._builder

    topic = TopicDef(name="others", **({"key_type": str, "value_type": int} | options))
    return Topic(Declared(), stream._builder.graph.add_topic(topic)).stream()  # type: ignore[arg-type]


def joined(way: str, joiner: Any = lambda left, right: (left, right), **window: Any) -> Callable[[Any], Any]:
    within = streams.JoinWindow(**{name: ms / 1000 for name, ms in window.items()})

    def build(stream: Any) -> Any:
        return getattr(stream, way)(others(stream), joiner, within=within, name="j")

    return build


def send(made: Any, side: int, *rows: tuple[Any, ...]) -> list[Any]:
    return made.all_of(made.operator.take(side, made.batch(rows)))  # type: ignore[no-any-return]


def test_window_ends_are_included_on_both_sides(bench: Callable[..., Any]) -> None:
    made = bench(joined("join", before=2, after=5, grace=100))
    send(made, LEFT, ("a", 10, 10))
    rows = [("a", time, time) for time in (7, 8, 10, 15, 16)]
    assert [row[:3] for row in send(made, RIGHT, *rows)] == [("a", (10, t), max(10, t)) for t in (8, 10, 15)]
    send(made, RIGHT, ("b", 20, 20))
    rows = [("b", time, time) for time in (14, 15, 22, 23)]
    assert [row.value for row in send(made, LEFT, *rows)] == [(15, 20), (22, 20)]


def test_matches_leave_by_time_then_as_they_came_with_what_the_second_carries(bench: Callable[..., Any]) -> None:
    made = bench(joined("join", before=9, after=9, grace=9))
    send(made, LEFT, ("a", 1, 5, [("h", b"1")]), ("a", 2, 3), ("a", 3, 5), ("b", 4, 4))
    found = send(made, RIGHT, ("x", 0, 6), ("a", 9, 4, [("h", b"2")]))
    assert found == [("a", (left, 9), time, (("h", b"2"),), 5) for left, time in ((2, 4), (1, 5), (3, 5))]


def test_one_may_be_negative(bench: Callable[..., Any]) -> None:
    made = bench(joined("join", before=-5, after=10))
    send(made, LEFT, ("a", 0, 0), ("a", 7, 7))
    found = send(made, RIGHT, *(("a", time, time) for time in (4, 5, 10, 12, 13)))
    assert [row.value for row in found] == [(0, 5), (0, 10), (7, 12), (7, 13)]


NULLS = [(None, 1, 1), ("a", None, 1), (None, None, 1)]


@pytest.mark.parametrize(
    ("way", "side", "alone", "counts"),
    [
        ("join", LEFT, [], {"null_key": 1, "null_value": 2}),
        ("left_join", LEFT, [(None, (1, None), 1)], {"null_value": 2}),
        ("left_join", RIGHT, [], {"null_key": 1, "null_value": 2}),
        ("outer_join", RIGHT, [(None, (None, 1), 1)], {"null_value": 2}),
    ],
)
def test_null_keys_and_values(bench: Callable[..., Any], way: str, side: int, alone: Any, counts: Any) -> None:
    made = bench(joined(way, before=9, after=9))
    assert [row[:3] for row in send(made, side, *NULLS)] == alone
    assert made.counts == counts


def test_one_without_a_match_leaves_when_window_and_grace_have_passed(bench: Callable[..., Any]) -> None:
    made = bench(joined("left_join", before=0, after=5, grace=2))
    assert send(made, LEFT, ("a", 1, 10), ("b", 2, 12), ("c", 3, 17, [("h", b"")])) == []
    found = send(made, LEFT, ("d", 4, 18, [("h", b"4")]))
    assert found == [("a", (1, None), 10, (("h", b"4"),), 3)]
    assert [row.value for row in send(made, RIGHT, ("b", 9, 17))] == [(2, 9)]


def test_of_both_sides_right_leaves_first_then_by_key(bench: Callable[..., Any]) -> None:
    made = bench(joined("outer_join", before=5, after=5))
    send(made, LEFT, ("b", 1, 1), ("a", 2, 1), ("z", 3, 0))
    send(made, RIGHT, ("c", 4, 1))
    found = send(made, RIGHT, ("x", 5, 7))
    assert [(row.value, row.timestamp) for row in found] == [
        ((3, None), 0),
        ((None, 4), 1),
        ((2, None), 1),
        ((1, None), 1),
    ]


def test_a_late_one_waits_while_its_grace_is_not_over(bench: Callable[..., Any]) -> None:
    """Kafka lets it go at once, and joins it later all the same."""
    made = bench(joined("left_join", before=0, after=0, grace=5))
    send(made, LEFT, ("x", 0, 10))
    assert send(made, LEFT, ("a", 1, 8), ("b", 2, 7)) == []
    assert [row.value for row in send(made, RIGHT, ("a", 9, 8))] == [(1, 9)]
    assert [row[:3] for row in send(made, RIGHT, ("y", 0, 13))] == [("b", (2, None), 7)]


def test_one_that_is_over_when_it_comes_leaves_at_once(bench: Callable[..., Any]) -> None:
    made = bench(joined("left_join", before=0, after=1, grace=1))
    send(made, RIGHT, ("x", 0, 10))
    assert [row[:3] for row in send(made, LEFT, ("a", 1, 7), ("a", 2, 8))] == [("a", (1, None), 7)]


def test_what_left_alone_meets_nobody(bench: Callable[..., Any]) -> None:
    made = bench(joined("left_join", before=5, after=5))
    send(made, LEFT, ("a", 1, 0))
    assert [row.value for row in send(made, RIGHT, ("x", 0, 6), ("a", 2, 4))] == [(1, None)]


def test_two_that_are_over_do_not_meet(bench: Callable[..., Any]) -> None:
    made = bench(joined("join", before=5, after=5))
    send(made, LEFT, ("a", 1, 0))
    assert send(made, RIGHT, ("x", 0, 6)) == []
    assert [row.value for row in send(made, RIGHT, ("a", 2, 4))] == [(1, 2)]
    assert send(made, RIGHT, ("x", 0, 10), ("a", 3, 4)) == []


def test_too_late_for_anyone_is_counted(bench: Callable[..., Any]) -> None:
    made = bench(joined("join", before=5, after=5))
    send(made, LEFT, ("x", 0, 20))
    assert send(made, RIGHT, ("a", 1, 9), ("a", 1, 10)) == []
    assert made.counts == {"late": 1}


def test_time_that_moves_without_a_record_lets_them_leave(bench: Callable[..., Any]) -> None:
    made = bench(joined("outer_join", before=5, after=5))
    made.advance(3)
    send(made, LEFT, ("a", 1, 1), ("b", 2, 30))
    send(made, RIGHT, ("c", 3, 2))
    assert [row.value for row in made.advance(7)] == [(1, None)]
    assert made.advance(8) == [("c", (None, 3), 2, (), -1)]
    assert [row.value for row in made.advance(100)] == []


def test_the_same_stream_on_both_sides(bench: Callable[..., Any]) -> None:
    """Each record as a left one, then as a right one: it meets itself."""

    def build(stream: Any) -> Any:
        return stream.left_join(stream, lambda left, right: (left, right), within=streams.JoinWindow(0.01))

    made = bench(build)
    (sub,) = made.plan.subtopologies
    assert sub.row_reason == "branches of numbers meet again in numbers-numbers-left_join"
    found = []
    for row in [("a", 1, 1), ("a", 2, 2)]:
        batch = made.batch([row])
        found += [row.value for side in (0, 1) for row in made.all_of(made.operator.take(side, batch))]
    assert found == [(1, 1), (2, 1), (1, 2), (2, 2)]


# -- what is kept


def test_after_a_restart_everything_is_there(bench: Callable[..., Any]) -> None:
    made = bench(joined("outer_join", before=5, after=5, grace=1))
    send(made, LEFT, ("a", 1, 4), ("b", 2, 4), ("b", 3, 4))
    send(made, RIGHT, ("c", 4, 5))
    made.commit()
    send(made, RIGHT, ("a", 9, 9))
    made.restart()
    assert [row.value for row in send(made, RIGHT, ("b", 5, 9), ("x", 0, 11))] == [(2, 5), (3, 5), (1, None)]
    made.commit()
    made.restart()
    assert [row.value for row in send(made, RIGHT, ("x", 0, 12))] == [(None, 4)]


def test_what_comes_and_goes_between_commits_is_not_written(bench: Callable[..., Any]) -> None:
    made = bench(joined("join", before=5, after=5))
    send(made, LEFT, *(("a", n, 10 * n) for n in range(100)))
    made.commit()
    assert [store for store, *_ in made.changelog] == ["j-left"] * 2
    send(made, LEFT, ("a", 0, 2000))
    made.commit()
    assert [value for *_, value, _ in made.changelog].count(None) == 2
    assert len(made.operator._sides[LEFT].by_key[b"a"][0]) < 5


def test_a_value_that_cannot_be_kept_is_told_at_the_users_line(bench: Callable[..., Any]) -> None:
    made = bench(joined("join", before=5, after=5), value_type=None)
    send(made, LEFT, ("a", object(), 1))
    with pytest.raises(EncodeError, match=r"store 'j-left' does not take object .*value_type="):
        made.commit()


def test_many_results_leave_in_pieces(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.operators.joins.stream_join.PIECE_ROWS", 3)
    made = bench(joined("join", lambda left, right: left // (left % 4), before=99, after=99), policy=streams.skip())
    send(made, LEFT, *(("a", n, n) for n in range(1, 9)))
    answer = made.operator.take(RIGHT, made.batch([("a", 0, 9)]))
    assert answer is not None and len(answer) == 3
    assert [row.value for row in made.all_of(answer)] == [1, 1, 1, 5, 3, 2]
    assert made.counts == {"skip": 2}


# -- what users write


@pytest.mark.parametrize(
    ("joiner", "value"),
    [
        (lambda left, right: left - right, -4),
        (lambda key, left, right: f"{key}{left}{right}", "a15"),
        (lambda left, right, ctx: (ctx.timestamp, ctx.offset), (7, 1)),
        (max, 5),
    ],
)
def test_joiners(bench: Callable[..., Any], joiner: Any, value: Any) -> None:
    made = bench(joined("join", joiner, before=9, after=9), decoded=True)
    send(made, LEFT, ("a", 1, 7))
    assert [row[:2] for row in send(made, RIGHT, ("a", 5, 3))] == [("a", value)]


def test_stores_and_repartitions_are_named_by_topics_or_the_user(bench: Callable[..., Any]) -> None:
    window = streams.JoinWindow("1m")

    def build(stream: Any) -> Any:
        other = others(stream).select_key(str)
        first = stream.join(other, max, within=window)
        return first.left_join(stream.select_key(str), min, within=window, name="second")

    made = bench(build)
    assert sorted(made.plan.stores) == [
        "numbers-others-by-str-join-max-left",
        "numbers-others-by-str-join-max-right",
        "second-left",
        "second-right",
    ]
    assert sorted(name for name in made.plan.topics if "repartition" in name) == [
        "bench-others-by-str-repartition",
        "bench-second-right-repartition",
    ]


def tabled(stream: Any) -> Any:
    return stream.group_by_key().count()


FUNCTION: Any = lambda left, right: left  # noqa: E731
WINDOW = streams.JoinWindow("5m")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda s: s.join(others(s), FUNCTION),
            r"join at .*test_operator_stream_join.py:\d+: two streams .*without within=.*JoinWindow\(\"5m\"\)",
        ),
        (lambda s: s.join(others(s), FUNCTION, within="5m"), r"this is within='5m'; write within=streams.JoinWindow"),
        (
            lambda s: s.left_join(tabled(s), FUNCTION, within=WINDOW),
            r"within= is for the join of two streams, and the other side is a Table",
        ),
        (
            lambda s: s.outer_join(tabled(s), FUNCTION, within=WINDOW),
            r"outer_join at .* is for two streams.*use left_join",
        ),
        (lambda s: s.join(7, FUNCTION, within=WINDOW), r"the other side is a int"),
        (
            lambda s: s.join(others(s, key_type=int), FUNCTION, within=WINDOW),
            r"keys of str never meet keys of int.*select_key",
        ),
        (lambda s: s.join(others(s), lambda a: a, within=WINDOW), r"\(left, right\) or \(key, left, right\)"),
        (
            lambda s: s.repartition(partitions=2).join(others(s, partitions=3), FUNCTION, within=WINDOW),
            r"'bench-numbers-repartition' has 2 \(.*:\d+\), 'others' 3 \(.*repartition\(partitions=",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_users_line(bench: Callable[..., Any], build: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        bench(build)
