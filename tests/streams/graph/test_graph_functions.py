"""What the user's functions are: arity, context, place; wrong signatures are errors at the user's line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import TopologyError
from streams.graph.functions import UserFunction, caller, name_of, speaking_for, where


class Scale:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, value: int) -> int:
        return value * self.by

    def method(self, key: str, value: int) -> int:
        return value


def default(value: int, factor: int = 2) -> int:
    return value * factor


def three(a: int, b: int, c: int) -> float:
    return 0.0


def keyword_default(value: int, *, factor: int = 2) -> int:
    return value


@pytest.mark.parametrize(
    ("function", "takes", "arity", "wants_ctx"),
    [
        (lambda value: 0, 2, 1, False),
        (lambda key, value: 0, 2, 2, False),
        (lambda value, ctx: 0, 2, 1, True),
        (lambda key, value, ctx: 0, 2, 2, True),
        (lambda value, *, ctx: 0, 2, 1, True),
        (lambda value, ctx=None: 0, 2, 1, True),
        (lambda *values: 0, 2, 2, False),
        (lambda *values, ctx: 0, 2, 2, True),
        (default, 2, 1, False),
        (keyword_default, 2, 1, False),
        (Scale(2), 2, 1, False),
        (Scale(2).method, 2, 2, False),
        (functools.partial(default, factor=3), 2, 1, False),
        (functools.partial(three, 1), 2, 2, False),
        (int, 2, 1, False),
        (str.upper, 2, 1, False),
        (Scale, 2, 1, False),
        (lambda left, right: 0, 3, 2, False),
        (lambda key, left, right: 0, 3, 3, False),
        (lambda left, right, ctx: 0, 3, 2, True),
        (three, 3, 3, False),
        (max, 3, 2, False),
        (lambda *values: 0, 3, 3, False),
    ],
)
def test_how_a_function_is_called(function: Any, takes: int, arity: int, wants_ctx: bool) -> None:
    made = UserFunction(function, step="step", takes=takes)
    assert (made.arity, made.wants_ctx) == (arity, wants_ctx)


@pytest.mark.parametrize(
    ("function", "takes", "said"),
    [
        (lambda: 0, 2, r"takes 0 arguments; step calls it as \(value\) or \(key, value\)"),
        (lambda a, b, c: 0, 2, "takes 3 arguments"),
        (lambda ctx: 0, 2, "takes 0 arguments"),
        (lambda value: 0, 3, r"takes 1 arguments; step calls it as \(left, right\) or \(key, left, right\)"),
        (lambda a, b, c, d: 0, 3, "takes 4 arguments"),
        (lambda value, *, factor: 0, 2, "'factor'"),
        (lambda ctx, value: 0, 2, "ctx"),
    ],
)
def test_a_function_that_cannot_be_called_is_an_error_at_its_line(function: Any, takes: int, said: str) -> None:
    with pytest.raises(TopologyError, match=said) as caught:
        UserFunction(function, step="step", takes=takes)
    assert f"test_graph_functions.py:{function.__code__.co_firstlineno}" in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 5, "text"])
def test_what_is_no_function_is_an_error(wrong: Any) -> None:
    with pytest.raises(TopologyError, match=r"map at .*: give a function or an expression, not"):
        UserFunction(wrong, step="map", takes=2)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda value: 0, ""),
        (default, "default"),
        (Scale(2), "Scale"),
        (Scale(2).method, "method"),
        (len, "len"),
        (functools.partial(default, factor=3), "default"),
    ],
)
def test_the_name_of_a_function(function: Any, name: str) -> None:
    assert name_of(function) == name


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (default, default.__code__.co_firstlineno),
        (Scale(2), Scale.__call__.__code__.co_firstlineno),
        (Scale(2).method, Scale.method.__code__.co_firstlineno),
        (decorated(default), default.__code__.co_firstlineno),
        (functools.partial(default, factor=3), default.__code__.co_firstlineno),
    ],
)
def test_the_place_of_a_function(function: Any, line: int) -> None:
    assert where(function) == f"{__file__}:{line}"


def test_the_caller_is_the_users_line() -> None:
    stream = streams.App("places").topic("numbers").stream()
    line = caller()
    node = stream.filter(lambda v: v).node
    assert line.startswith(f"{__file__}:") and node.where.startswith(f"{__file__}:")
    assert int(node.where.rpartition(":")[2]) == int(line.rpartition(":")[2]) + 1
    with speaking_for("shop.py:7"):
        assert stream.filter(lambda v: v, name="other").node.where == "shop.py:7"


@pytest.mark.parametrize(
    ("function", "returns"), [(default, int), (three, float), (Scale, Scale), (lambda v: v, None), (len, None)]
)
def test_what_it_declares_to_return(function: Any, returns: Any) -> None:
    assert UserFunction(function, step="step", takes=3 if function is three else 2).returns == returns


def test_a_return_type_that_cannot_be_resolved_says_nothing() -> None:
    def later(value: int) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        return value

    assert UserFunction(later, step="step", takes=2).returns is None
