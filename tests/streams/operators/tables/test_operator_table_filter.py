"""table.filter, table.filter_not: what no longer matches is deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import SessionWindow, TumblingWindow, Windowed, policies
from streams.graph.old_values import request_old
from streams.topic import Topic


class Plane(streams.Record):
    seats: int | None


def table(stream: Any, name: str | None = "latest") -> Any:
    class Declared:
        builder = stream._builder

    return Topic(Declared(), stream._builder.graph.topics["numbers"]).table(name=name)  # type: ignore[arg-type]


def even(value: int) -> bool:
    return value % 2 == 0


ROWS = [("a", 1, 5), ("a", 2, 4), ("a", 4, 9), ("a", 3, 6), ("a", 5, 7), ("a", None, 8), ("b", 6, 1), ("b", None, 2)]


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("store", [None, "even"])
def test_a_row_that_never_matched_gives_nothing(
    bench: Callable[..., Any], store: Any, size: int, decoded: bool
) -> None:
    made = bench(lambda stream: table(stream).filter(even, store=store), decoded=decoded)
    found = [row for at in range(0, 8, size) for row in made.changes(*ROWS[at : at + size])]
    assert found == [
        ("a", 2, None, 4),
        ("a", 4, 2, 9),
        ("a", None, 4, 6),
        ("b", 6, None, 1),
        ("b", None, 6, 2),
    ]
    assert made.operator.lookup(["a", "b", None]) == [None] * 3


def test_where_nobody_knows_what_was_there_it_is_deleted(bench: Callable[..., Any]) -> None:
    made = bench(lambda stream: table(stream, name=None).filter(even))
    found = [(key, new) for key, new, _, _ in made.changes(*ROWS)]
    assert found == [("a", None), ("a", 2), ("a", 4), *[("a", None)] * 3, ("b", 6), ("b", None)]


def test_filter_not(bench: Callable[..., Any]) -> None:
    made = bench(lambda stream: table(stream).filter_not(lambda key, value: even(value) and key == "a"))
    assert made.changes(("a", 2), ("b", 2), ("a", 1), ("a", 2)) == [
        *[("b", 2, None, 1), ("a", 1, None, 2)],
        ("a", None, 1, 3),
    ]


@pytest.mark.parametrize("negate", [False, True])
def test_an_expression_that_is_none_matches_never(bench: Callable[..., Any], negate: bool) -> None:
    def build(stream: Any) -> Any:
        rows = table(stream)
        return (rows.filter_not if negate else rows.filter)(Plane.seats > 2)

    made = bench(build, value_type=Plane)
    few, many, unknown = Plane(1), Plane(3), Plane(None)
    there, other = (few, many) if negate else (many, few)
    assert made.changes(("a", there), ("a", unknown), ("a", other), ("a", there)) == [
        *[("a", there, None, 0), ("a", None, there, 1), ("a", there, None, 3)]
    ]


@pytest.mark.parametrize("store", [None, "even"])
def test_a_lookup(bench: Callable[..., Any], store: Any) -> None:
    made = bench(lambda stream: table(stream).filter(even, store=store))
    made.changes(("a", 2, 7), ("b", 3, 8), ("c", 4, 9))
    for again in (lambda: None, made.commit, made.restart):
        again()
        assert made.operator.lookup(["c", "x", "b", "a"]) == [(4, 9), None, None, (2, 7)]


def test_a_value_that_fails_is_no_row(bench: Callable[..., Any]) -> None:
    made = bench(lambda stream: table(stream).filter(lambda value: 6 // value > 0), policy=policies.skip())
    assert made.changes(("a", 0), ("a", 2), ("a", 0), ("a", 3)) == [
        *[("a", 2, None, 1), ("a", None, 2, 2), ("a", 3, None, 3)]
    ]
    assert made.counts == {"skip": 2}
    made.changes(("b", 0))
    assert made.operator.lookup(["b", "a"]) == [None, (3, 3)]


@pytest.mark.parametrize("store", [None, "even"])
def test_windows(bench: Callable[..., Any], store: Any) -> None:
    def build(stream: Any) -> Any:
        counts = stream.group_by_key().windowed_by(TumblingWindow(0.01)).count(name="n").emit("update")
        return counts.filter(even, store=store)

    made = bench(build)
    one, two = Windowed("a", 0, 10), Windowed("a", 10, 20)
    assert made.changes(("a", 1, 1), ("a", 1, 2), ("a", 1, 3), ("a", 1, 11)) == [
        *[(one, 2, None, 2), (one, None, 2, 3)],
    ]
    assert made.changes(("a", 1, 12)) == [(two, 2, None, 12)]
    if store:
        assert made.operator.lookup([two, one]) == [(2, 12), None]


def test_sessions_have_their_own_in_the_store(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> Any:
        counts = stream.group_by_key().windowed_by(SessionWindow(0.01, grace=0.02)).count(name="n").emit("update")
        return counts.filter(even, store="even")

    made = bench(build)
    assert made.changes(("a", 1, 1), ("a", 1, 5)) == [(Windowed("a", 1, 5), 2, None, 5)]
    for again in (lambda: None, made.commit, made.restart):
        again()
        assert made.operator.lookup([Windowed("a", 1, 5), Windowed("a", 1, 1)]) == [(2, 5), None]
    assert made.changes(("a", 1, 9)) == [(Windowed("a", 1, 5), None, 2, 5)]


def test_old_values_are_asked_for_further_up(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> Any:
        chained = table(stream, name=None).filter(even).filter(lambda value: value > 2)
        request_old(chained.node)
        return chained

    made = bench(build)
    assert made.changes(("a", 1), ("a", 4), ("a", 6)) == [("a", 4, None, 1), ("a", 6, 4, 2)]


def test_a_store_has_a_changelog_of_its_own(bench: Callable[..., Any]) -> None:
    made = bench(lambda stream: table(stream).filter(even, store="even"))
    made.changes(("a", 2, 7), ("b", 4, 8), ("b", 5, 9))
    made.commit()
    assert (made.node.store.changelog, made.node.store.source_topic) == ("bench-even-changelog", None)
    assert [(store, key, time) for store, key, value, time in made.changelog if store == "even" and value] == [
        ("even", b"a", 7)
    ]
