"""map: a new key and value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams

ROWS = [("a", 1, 7, [("h", b"1")]), (None, 2, 5)]


@pytest.mark.parametrize(
    ("build", "pairs"),
    [
        (lambda s: s.map(lambda value: (value, "v")), [(1, "v"), (2, "v")]),
        (lambda s: s.map(lambda key, value: (value, key)), [(1, "a"), (2, None)]),
        (lambda s: s.map(lambda value, ctx: (ctx.offset, ctx.timestamp)), [(0, 7), (1, 5)]),
        (lambda s: s.map(lambda value: (None, None)), [(None, None), (None, None)]),
    ],
)
def test_each_pair_is_what_the_function_gives(
    check: Callable[..., None], build: Any, pairs: list[tuple[Any, Any]]
) -> None:
    times = [(7, (("h", b"1"),), 0), (5, (), 1)]
    check(build, ROWS, [pair + rest for pair, rest in zip(pairs, times, strict=True)])


@pytest.mark.parametrize("wrong", [None, 1, "ab", ["a", 1], ("a",), ("a", 1, 2)], ids=repr)
def test_an_answer_that_is_no_pair_is_an_error_at_the_users_line(bench: Callable[..., Any], wrong: Any) -> None:
    made = bench(lambda s: s.map(lambda value: wrong))
    with pytest.raises(streams.errors.UserCodeError, match=r"map wants \(key, value\)") as caught:
        made.send(("a", 1))
    assert (caught.value.topic, caught.value.partition, caught.value.offset) == ("numbers", 0, 0)


def test_a_record_that_fails_is_left_out(check: Callable[..., None]) -> None:
    check(
        lambda s: s.map(lambda key, value: (key, 4 // value) if value != 3 else 3),
        [("a", 1), ("b", 0), ("c", 3), ("d", 2)],
        [("a", 4), ("d", 2)],
        policy=streams.skip(),
        counts={"skip": 2},
    )


def test_the_key_bytes_of_the_log_are_gone_with_the_key(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.map(lambda key, value: ("z", value)), decoded=True)
    batch = made.operator.process(made.batch([("a", 1)]))
    assert (batch.key_bytes, batch.keys) == (None, ["z"])
