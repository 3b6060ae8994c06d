"""split: the first branch whose predicate holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import TopologyError
from streams.testing.driver import Driver


class Order(streams.Record):
    size: int | None


def app_and_stream(value_type: Any = int) -> tuple[streams.App, Any]:
    app = streams.App("shop")
    return app, app.topic("in", key_type=str, value_type=value_type).stream()


def big(value: int) -> bool:
    return value > 10


VALUES = [("a", value, value) for value in (1, 20, 4, 12, 2)]


def test_first_match_wins_and_the_default_takes_the_rest() -> None:
    app, stream = app_and_stream()
    found = stream.split(name="by-size").branch(big, "big").branch(lambda v: v % 4 == 0, "even").default("small")
    assert list(found) == ["by-size-big", "by-size-even", "by-size-small"]
    for name, branch in found.items():
        branch.to(name)
    with Driver(app) as driver:
        driver.pipe("in", VALUES)
        out = {name: [record.value for record in driver.read(name)] for name in found}
    assert out == {"by-size-big": [20, 12], "by-size-even": [4], "by-size-small": [1, 2]}


def test_without_default_the_rest_is_left_out_and_counted() -> None:
    app, stream = app_and_stream()
    found = stream.split().branch(big).no_default()
    assert list(found) == ["in-split-big"]
    found["in-split-big"].to("out")
    with Driver(app) as driver:
        driver.pipe("in", VALUES)
        assert [record.value for record in driver.read("out")] == [20, 12]
        assert driver.dropped == {("in-split", "no_branch"): 3}


def test_an_expression_that_is_none_does_not_hold() -> None:
    app, stream = app_and_stream(Order)
    found = stream.split(name="s").branch(Order.size > 10, "big").default("rest")
    for name, branch in found.items():
        branch.map_values(lambda order: order.size, value_type=int).to(name)
    with Driver(app) as driver:
        driver.pipe("in", [("a", Order(size), 1) for size in (11, None, 3)])
        assert [record.value for record in driver.read("s-rest")] == [None, 3]
        assert [record.value for record in driver.read("s-big")] == [11]


def test_a_function_for_a_branch_stands_for_it_or_takes_it_away() -> None:
    app, stream = app_and_stream()
    taken: list[Any] = []
    found = (
        stream.split(name="s")
        .branch(big, then=lambda branch: branch.map_values(lambda v: -v, value_type=int))
        .default(then=lambda branch: taken.append(branch))
    )
    assert list(found) == ["s-big"] and len(taken) == 1
    found["s-big"].to("out")
    with Driver(app) as driver:
        driver.pipe("in", VALUES)
        assert [record.value for record in driver.read("out")] == [-20, -12]


def test_branches_that_meet_again_keep_the_order() -> None:
    app, stream = app_and_stream()
    found = stream.split(name="s").branch(big).default()
    found["s-big"].merge(found["s-default"].map_values(lambda v: -v, value_type=int)).to("out")
    with Driver(app) as driver:
        driver.pipe("in", VALUES)
        assert [record.value for record in driver.read("out")] == [-1, 20, -4, 12, -2]


def test_a_predicate_that_fails_asks_the_policy() -> None:
    app, stream = app_and_stream()
    split = stream.split(name="s", on_error=streams.skip()).branch(lambda v: 1 / v > 0, "ok")
    split.default("rest")["s-rest"].to("out")
    with Driver(app) as driver:
        driver.pipe("in", [("a", 0, 1), ("a", -1, 2)])
        assert [record.value for record in driver.read("out")] == [-1]
        assert driver.dropped == {("s", "skip"): 1}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda s: s.split(name="x").default(), "split 'x' .* has no branch"),
        (lambda s: s.split(name="x").branch(lambda v: True), "give it name="),
        (lambda s: s.split(name="x").branch(big).branch(big), "two branches of split 'x' are called 'big'"),
        (lambda s: (made := s.split(name="x").branch(big)).default() and made.no_default(), "ended a second time"),
    ],
)
def test_refused_when_built(build: Callable[[Any], Any], message: str) -> None:
    _, stream = app_and_stream()
    with pytest.raises(TopologyError, match=message) as told:
        build(stream)
    assert "test_operator_split.py" in str(told.value)


def test_a_split_that_was_never_ended_is_refused_when_planned() -> None:
    app, stream = app_and_stream()
    stream.split(name="x").branch(big)
    with pytest.raises(TopologyError, match=r"never ended: split 'x' at .*test_operator_split.py"):
        app.plan()
