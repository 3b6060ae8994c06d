"""peek: the function sees each record once, in order, and the record goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams

ROWS = [("a", 1), (None, 2), ("c", None)]


@pytest.mark.parametrize("form", ["value", "key and value", "ctx"])
def test_the_function_sees_each_record_once(bench: Callable[..., Any], form: str) -> None:
    seen: list[Any] = []
    functions: dict[str, Any] = {
        "value": lambda value: seen.append(value),
        "key and value": lambda key, value: seen.append((key, value)),
        "ctx": lambda value, ctx: seen.append((ctx.offset, value)),
    }
    made = bench(lambda s: s.peek(functions[form]))
    found = made.send(*ROWS[:2]) + made.send(ROWS[2])
    assert [row[:2] for row in found] == ROWS
    assert seen == {"value": [1, 2, None], "key and value": ROWS, "ctx": [(0, 1), (1, 2), (2, None)]}[form]


def test_peek_hands_the_batch_on_as_it_is(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.peek(lambda value: "not looked at"))
    batch = made.batch(ROWS)
    assert made.operator.process(batch) is batch


def test_a_record_that_fails_does_not_go_on(check: Callable[..., None]) -> None:
    check(
        lambda s: s.peek(lambda value: 1 // value),
        [("a", 1), ("b", 0), ("c", 2)],
        [("a", 1), ("c", 2)],
        policy=streams.skip(),
        counts={"skip": 1},
    )
