"""for_each: the function sees each record once, in order, and nothing goes on."""

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
    made = bench(lambda s: s.for_each(functions[form]))
    found = made.send(*ROWS[:2]) + made.send(ROWS[2])
    assert [row[:2] for row in found] == []
    assert seen == {"value": [1, 2, None], "key and value": ROWS, "ctx": [(0, 1), (1, 2), (2, None)]}[form]


def test_a_record_that_fails_is_counted(check: Callable[..., None]) -> None:
    check(lambda s: s.for_each(lambda value: 1 // value), [("b", 0)], [], policy=streams.skip(), counts={"skip": 1})
