"""What tables say when somebody looks into them, and what their changes replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import TumblingWindow, Windowed, agg
from streams.graph.nodes import AggregateNode
from streams.graph.old_values import request_old
from streams.topic import Topic


class Plane(streams.Record):
    seats: int


def source(stream: Any) -> Any:
    class Declared:
        builder = stream._builder

    table = Topic(Declared(), stream._builder.graph.topics["numbers"]).table(name="latest")  # type: ignore[arg-type]
    request_old(table.node)
    return table


def counted(emit: str, window: Any = None) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        grouped = stream.group_by_key()
        table = (grouped if window is None else grouped.windowed_by(window)).count(name="n").emit(emit)
        request_old(table.node)
        return table

    return build


def olds(made: Any, *rows: tuple[Any, ...]) -> list[Any]:
    batch = made.operator.process(made.batch(rows))
    return [] if batch is None else list(zip(batch.keys, batch.values, batch.olds, strict=True))


@pytest.mark.parametrize("decoded", [False, True])
def test_a_table_of_a_topic(bench: Callable[..., Any], decoded: bool) -> None:
    made = bench(source, value_type=Plane, decoded=decoded)
    found = olds(
        made, ("a", Plane(1), 30), (None, Plane(9)), ("a", Plane(2), 5), ("b", None), ("a", None, 6), ("c", Plane(7), 1)
    )
    one, two = Plane(1), Plane(2)
    assert found == [("a", one, None), ("a", two, one), ("b", None, None), ("a", None, two), ("c", Plane(7), None)]
    assert made.operator.lookup(["c", None, "a", "c"]) == [(Plane(7), 1), None, None, (Plane(7), 1)]
    for again in (made.commit, made.restart):
        again()
        assert made.operator.lookup(["c", "b"]) == [(Plane(7), 1), None]
    assert olds(made, ("c", Plane(8), 3), ("c", None, 2)) == [("c", Plane(8), Plane(7)), ("c", None, Plane(8))]
    assert made.operator.lookup(["c"]) == [None]


def test_timestamps_follow_changes_and_commits(bench: Callable[..., Any]) -> None:
    made = bench(source)
    for time in (5, 3, 9):
        made.send(("a", time, time))
        assert made.operator.lookup(["a"]) == [(time, time)]
        made.commit()
        assert made.operator.lookup(["a"]) == [(time, time)]


def test_the_batch_that_came_keeps_no_old_values(bench: Callable[..., Any]) -> None:
    made = bench(source)
    batch = made.batch([("a", 1)])
    made.operator.process(batch)
    assert batch.olds is None


@pytest.mark.parametrize("size", [1, 5])
def test_an_aggregation_that_emits_every_change(bench: Callable[..., Any], size: int) -> None:
    made = bench(counted("update"))
    rows = [("a", 1), ("b", 1), ("a", 1), ("a", 1), ("b", 1)]
    found = [row for at in range(0, 5, size) for row in olds(made, *rows[at : at + size])]
    assert found == [("a", 1, None), ("b", 1, None), ("a", 2, 1), ("a", 3, 2), ("b", 2, 1)]
    made.commit()
    made.restart()
    assert olds(made, ("b", 1)) == [("b", 3, 2)]


def test_an_aggregation_that_deletes(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> Any:
        table = stream.group_by_key().reduce(lambda old, new: None if new == 0 else old + new, name="n").emit("update")
        request_old(table.node)
        return table

    made = bench(build)
    rows = [("a", 1), ("a", 2), ("a", 0), ("a", 5), ("a", 1)]
    assert olds(made, *rows) == [("a", 1, None), ("a", 3, 1), ("a", None, 3), ("a", 5, None), ("a", 6, 5)]


@pytest.mark.parametrize("named", [False, True])
def test_an_aggregation_that_emits_at_commits(bench: Callable[..., Any], named: bool) -> None:
    def build(stream: Any) -> Any:
        grouped = stream.group_by_key()
        table = grouped.aggregate(n=agg.count(), name="n") if named else grouped.count(name="n")
        request_old(table.node)
        return table

    made = bench(build)

    def shown(value: Any) -> Any:
        return value.n if named and value is not None else value

    def flush() -> Any:
        batch = made.operator.flush()
        found = [(shown(value), shown(old)) for value, old in zip(batch.values, batch.olds, strict=True)]
        made.commit()
        return found

    made.send(("a", 1), ("a", 1))
    assert flush() == [(2, None)]
    made.send(("a", 1))
    made.send(("b", 1), ("a", 1))
    assert flush() == [(4, 2), (1, None)]
    made.restart()
    made.send(("a", 1))
    assert flush() == [(5, 4)]


def test_an_aggregation_that_emits_at_close_replaces_nothing(bench: Callable[..., Any]) -> None:
    made = bench(counted("close", TumblingWindow(0.01)))
    assert olds(made, ("a", 1, 0), ("a", 1, 5), ("a", 1, 12)) == [(Windowed("a", 0, 10), 2, None)]


@pytest.mark.parametrize("window", [None, TumblingWindow(0.01)])
def test_a_lookup_into_an_aggregation_sees_each_change_at_once(bench: Callable[..., Any], window: Any) -> None:
    def build(stream: Any) -> Any:
        grouped = stream.group_by_key()
        table = (grouped if window is None else grouped.windowed_by(window)).count(name="n")
        stream._builder.graph.add_node(
            AggregateNode(name="looker", parents=(table.node,), store=table.store, fold=table.node.fold, window=window)
        )

    made = bench(build)
    operator = made.operators["n"]
    key = "a" if window is None else Windowed("a", 0, 10)
    assert operator.lookup([key]) == [None]
    for count, time in enumerate([3, 7, 5], 1):
        operator.process(made.batch([("a", 1, time)]))
        assert operator.lookup([key]) == [(count, max(3, min(7, time) if count == 1 else 7))]
