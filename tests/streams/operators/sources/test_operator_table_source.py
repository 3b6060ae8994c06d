"""topic.table(): the latest value of each key; every change goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.topic import Topic


class Plane(streams.Record):
    seats: int


def table(stream: Any) -> Any:
    class Declared:
        builder = stream._builder

    return Topic(Declared(), stream._builder.graph.topics["numbers"]).table(name="latest")  # type: ignore[arg-type]


def test_every_change_goes_on_and_records_without_a_key_do_not(check: Callable[..., None]) -> None:
    rows = [("a", 1, 30, [("h", b"1")]), (None, 2, 10), ("a", None, 5), ("a", None, 6), ("b", 4, 7), ("b", 4, 8)]
    expected = [
        ("a", 1, 30, (("h", b"1"),), 0),
        *[("a", None, 5, (), 2), ("a", None, 6, (), 3), ("b", 4, 7, (), 4), ("b", 4, 8, (), 5)],
    ]
    check(table, rows, expected, counts={"null_key": 1})


@pytest.mark.parametrize(("value_type", "values"), [(int, [1, 2, 3]), (Plane, [Plane(1), Plane(2), Plane(3)])])
def test_arrival_wins_not_time_and_null_deletes(bench: Callable[..., Any], value_type: Any, values: list[Any]) -> None:
    made = bench(table, value_type=value_type)
    made.send(("a", values[0], 30), ("b", values[1], 10), ("a", values[2], 5), ("c", values[0]), ("c", None))
    view = made.context.view(made.node.store)
    assert [view.get(key) for key in "abc"] == [values[2], values[1], None]
    made.commit()
    assert dict(view.items()) == {"a": values[2], "b": values[1]}
    made.restart()
    assert dict(made.context.view(made.node.store).items()) == {"a": values[2], "b": values[1]}


def test_its_topic_is_its_changelog(bench: Callable[..., Any]) -> None:
    made = bench(table)
    assert (made.node.store.changelog, made.node.store.source_topic.name) == ("numbers", "numbers")


def test_a_batch_of_nulls_gives_nothing(bench: Callable[..., Any]) -> None:
    made = bench(table)
    assert made.send((None, 1), (None, 2)) == []
    assert made.counts == {"null_key": 2}
