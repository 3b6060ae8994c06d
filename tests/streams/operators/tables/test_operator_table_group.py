"""table.group_by: what leaves for the groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import policies
from streams.serde.changes import Change
from streams.topic import Topic


class Order(streams.Record):
    customer: str | None
    amount: int


def table(stream: Any) -> Any:
    class Declared:
        builder = stream._builder

    return Topic(Declared(), stream._builder.graph.topics["numbers"]).table(name="latest")  # type: ignore[arg-type]


def grouped(function: Any) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        table(stream).group_by(function, name="g")
        graph = stream._builder.graph
        del graph.nodes[-2:], graph.topics["bench-g-repartition"]  # what is behind the step on the bench

    return build


def leaving(made: Any, *rows: tuple[Any, ...]) -> list[Any]:
    return [(key, value, time) for key, value, _, time in made.changes(*rows)]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_old_and_new_travel_together_in_one_group_and_old_first_in_two(bench: Callable[..., Any], size: int) -> None:
    made = bench(grouped(lambda key, value: None if value == 0 else (value % 10, f"{key}{value}")))
    rows = [("a", 11, 5), ("a", 21, 4), ("a", 32, 6), ("a", 0, 7), ("a", 0, 8), ("a", 13, 9), ("a", None, 10)]
    found = [row for at in range(0, 7, size) for row in leaving(made, *rows[at : at + size])]
    assert found == [
        (1, Change("a11", None), 5),
        (1, Change("a21", "a11"), 4),
        (1, Change(None, "a21"), 6),
        (2, Change("a32", None), 6),
        (2, Change(None, "a32"), 7),
        (3, Change("a13", None), 9),
        (3, Change(None, "a13"), 10),
    ]


def test_a_row_without_group_or_value_is_in_none(bench: Callable[..., Any]) -> None:
    made = bench(grouped(lambda value: (None if value == 1 else "g", None if value == 2 else value)))
    assert leaving(made, ("a", 1), ("b", 2), ("a", 3), ("a", 2)) == [
        *[("g", Change(3, None), 2), ("g", Change(None, 3), 3)],
    ]


def test_keys_that_are_equal_but_of_two_types_are_two_groups(bench: Callable[..., Any]) -> None:
    made = bench(grouped(lambda value: (1 if value == 1 else 1.0, value)))
    assert [key for key, _, _ in leaving(made, ("a", 1), ("a", 2))] == [1, 1, 1.0]


def test_a_row_that_fails_is_in_no_group(bench: Callable[..., Any]) -> None:
    made = bench(grouped(lambda value: ("g", 6 // value)), policy=policies.skip())
    found = leaving(made, ("a", 1), ("a", 0), ("a", 2))
    assert [change for _, change, _ in found] == [Change(6, None), Change(None, 6), Change(3, None)]
    assert made.counts == {"skip": 1}


def test_what_is_no_pair_goes_to_the_policy(bench: Callable[..., Any]) -> None:
    made = bench(grouped(lambda value: "g"), policy=policies.skip())
    assert leaving(made, ("a", 1)) == []
    assert made.counts == {"skip": 1}
