"""table.transform_values: another value for each row, by a transformer with a context and stores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import streams
from streams import policies
from streams.errors import TopologyError, UserCodeError
from streams.graph.old_values import request_old
from streams.testing import Driver
from streams.topic import Topic


def table(stream: Any) -> Any:
    class Declared:
        builder = stream._builder

    return Topic(Declared(), stream._builder.graph.topics["numbers"]).table(name="latest")  # type: ignore[arg-type]


def transformed(transformer: Any, *, old: bool = False, **options: Any) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        made = table(stream).transform_values(transformer, **options)
        if old:
            request_old(made.node)

    return build


class Tens:
    """Ten times the value; of a deletion -1. What it was asked is in `asked`."""

    asked: list[tuple[Any, Any]]

    def init(self, ctx: Any) -> None:
        self.asked = []
        self.ctx = ctx

    def transform(self, key: str, value: int | None) -> int | None:
        self.asked.append((key, value))
        return -1 if value is None else value * 10 if value < 5 else None


@pytest.mark.parametrize("size", [1, 3])
def test_it_is_asked_about_deletions_too(bench: Callable[..., Any], size: int) -> None:
    made = bench(transformed(Tens))
    rows = [("a", 1, 5), ("a", None, 6), ("b", 7, 7)]
    found = [row for at in range(0, 3, size) for row in made.changes(*rows[at : at + size])]
    assert found == [("a", 10, None, 5), ("a", -1, None, 6), ("b", None, None, 7)]


def test_about_old_values_it_is_asked_after_the_new_ones(bench: Callable[..., Any]) -> None:
    made = bench(transformed(Tens, old=True))
    assert made.changes(("a", 1), ("a", 2)) == [("a", 10, -1, 0), ("a", 20, 10, 1)]
    assert made.operator._transformer.asked == [("a", 1), ("a", None), ("a", 2), ("a", 1)]


def test_with_a_store_it_is_asked_once(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> Any:
        above = table(stream)
        request_old(above.node)
        request_old(above.transform_values(Tens, store="tens", value_type=int).node)

    made = bench(build)
    assert made.changes(("a", 1), ("a", 2), ("a", None)) == [("a", 10, None, 0), ("a", 20, 10, 1), ("a", -1, 20, 2)]
    assert len(made.operator._transformer.asked) == 3
    assert made.operator.lookup(["a", "b"]) == [(-1, 2), None]


def test_lookups_have_a_transformer_of_their_own(bench: Callable[..., Any]) -> None:
    made = bench(transformed(Tens))
    made.changes(("a", 1, 5), ("b", 9, 6))
    assert made.operator.lookup(["a", "b", "x", None]) == [(10, 5), None, (-1, -1), None]
    assert made.operator._transformer.asked == [("a", 1), ("b", 9)]


def test_functions(bench: Callable[..., Any]) -> None:
    for function in (lambda value: value and value + 1, lambda key, value: value and value + len(key)):
        made = bench(transformed(function))
        assert made.changes(("a", 1), ("a", None)) == [("a", 2, None, 0), ("a", None, None, 1)]
    made = bench(transformed(lambda value, ctx: (ctx.timestamp, ctx.offset)))
    assert made.changes(("a", 1, 7)) == [("a", (7, 0), None, 7)]
    made = bench(transformed(partial(Adding, 5)))
    assert made.changes(("a", 1)) == [("a", 6, None, 0)]


class Adding:
    def __init__(self, number: int) -> None:
        self.number = number

    def transform(self, key: str, value: int) -> int:
        return value + self.number


def test_a_row_that_fails_is_no_row_and_changes_nothing() -> None:
    app = streams.App("shop", on_error=policies.skip())
    seen = app.store("seen", key_type=str, value_type=int)

    class Counting:
        def init(self, ctx: Any) -> None:
            self.seen = ctx.store(seen)

        def transform(self, key: str, value: int) -> int:
            count = (self.seen.get(key) or 0) + 1
            self.seen.put(key, count)
            return count if value else 1 // value

    numbers = app.topic("numbers", key_type=str, value_type=int).table(name="numbers")
    numbers.transform_values(Counting, stores=[seen], name="counted", value_type=int).to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("numbers", [("a", 1), ("a", 0), ("a", 2)])
        assert driver.dropped == {("counted", "skip"): 1}
        driver.crash()
        driver.restart()
        driver.pipe("numbers", [("a", 3), ("b", 1)])
        assert [record[:2] for record in driver.read("out")] == [("a", 1), ("a", None), ("a", 2), ("a", 3), ("b", 1)]


def test_what_a_transformer_may_not_do(bench: Callable[..., Any]) -> None:
    class Forwarding(Tens):
        def transform(self, key: str, value: int | None) -> None:
            self.ctx.forward(value=1)

    class Scheduling:
        def init(self, ctx: Any) -> None:
            ctx.schedule("1s", "stream", print)

        def transform(self, key: str, value: int) -> int:
            return value

    class Failing(Tens):
        def init(self, ctx: Any) -> None:
            raise ValueError("no")

    with pytest.raises(TopologyError, match="a transformer hands nothing on"):
        bench(transformed(Forwarding)).changes(("a", 1))
    with pytest.raises(TopologyError, match="a transformer has no schedules"):
        bench(transformed(Scheduling))
    with pytest.raises(UserCodeError, match="no"):
        bench(transformed(Failing))
    with pytest.raises(TopologyError, match="has no method transform"):
        bench(transformed(str))
