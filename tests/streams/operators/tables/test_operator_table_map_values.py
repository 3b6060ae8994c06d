"""table.map_values: another value for each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import policies
from streams.graph.old_values import request_old
from streams.topic import Topic


class Plane(streams.Record):
    seats: int | None


def table(stream: Any, name: str | None = "latest") -> Any:
    class Declared:
        builder = stream._builder

    return Topic(Declared(), stream._builder.graph.topics["numbers"]).table(name=name)  # type: ignore[arg-type]


def mapped(function: Any, *, old: bool = False, **options: Any) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        made = table(stream).map_values(function, **options)
        if old:
            request_old(made.node)
        return made

    return build


def test_null_values_are_deletions_and_not_asked_about(bench: Callable[..., Any]) -> None:
    made = bench(mapped(lambda key, value: f"{key}{value}" if value else None))
    rows = [("a", 1, 5), ("b", None, 4), ("a", 0, 6), ("a", None, 7)]
    assert made.changes(*rows) == [
        ("a", "a1", None, 5),
        ("b", None, None, 4),
        ("a", None, None, 6),
        ("a", None, None, 7),
    ]


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("store", [None, "tens"])
def test_old_values(bench: Callable[..., Any], store: Any, size: int) -> None:
    made = bench(mapped(lambda value: value * 10, old=True, store=store, value_type=int))
    rows = [("a", 1), ("a", 2), ("b", None), ("a", None)]
    found = [row for at in range(0, 4, size) for row in made.changes(*rows[at : at + size])]
    assert found == [("a", 10, None, 0), ("a", 20, 10, 1), ("b", None, None, 2), ("a", None, 20, 3)]


@pytest.mark.parametrize("store", [None, "tens"])
def test_a_lookup(bench: Callable[..., Any], store: Any) -> None:
    made = bench(mapped(lambda value: value * 10 if value < 5 else None, store=store))
    made.changes(("a", 1, 7), ("b", 9, 8), ("c", 2, 9), ("c", None, 10))
    assert made.operator.lookup(["c", "b", "a", None]) == [None, None, (10, 7), None]


def test_an_expression_says_its_type(bench: Callable[..., Any]) -> None:
    made = bench(mapped(Plane.seats, old=True), value_type=Plane)
    assert made.node.value_type == int | None
    assert made.changes(("a", Plane(2)), ("a", Plane(None)), ("a", Plane(3))) == [
        *[("a", 2, None, 0), ("a", None, 2, 1), ("a", 3, None, 2)],
    ]


def test_the_context_of_a_lookup_is_the_entry(bench: Callable[..., Any]) -> None:
    made = bench(mapped(lambda value, ctx: (value, ctx.timestamp)))
    assert made.changes(("a", 1, 7)) == [("a", (1, 7), None, 7)]
    assert made.operator.lookup(["a"]) == [((1, 7), 7)]


def test_a_value_that_the_store_does_not_take_goes_to_the_policy(bench: Callable[..., Any]) -> None:
    made = bench(mapped(lambda value: value if value > 1 else "no", store="n", value_type=int), policy=policies.skip())
    assert made.changes(("a", 3), ("a", 1), ("a", 2)) == [*[("a", 3, None, 0), ("a", None, None, 1), ("a", 2, None, 2)]]
    assert made.counts == {"skip": 1}
    assert made.operator.lookup(["a"]) == [(2, 2)]


def test_a_value_that_fails_is_no_row(bench: Callable[..., Any]) -> None:
    made = bench(mapped(lambda value: 6 // value, old=True), policy=policies.skip())
    assert made.changes(("a", 2), ("a", 0), ("a", 3)) == [("a", 3, None, 0), ("a", None, 3, 1), ("a", 2, None, 2)]
    assert made.counts == {"skip": 1}
