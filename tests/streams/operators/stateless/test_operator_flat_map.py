"""flat_map: any number of pairs a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams

ROWS = [("a", 2, 7, [("h", b"1")]), (None, 0, 5), ("c", 1, 6)]


def twice(key: Any, value: int) -> Any:
    for n in range(value):
        yield f"{key}{n}", n


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda s: s.flat_map(twice), [("a0", 0, 7, 0), ("a1", 1, 7, 0), ("c0", 0, 6, 2)]),
        (lambda s: s.flat_map(lambda value: [("k", None)] * value), [("k", None, 7, 0)] * 2 + [("k", None, 6, 2)]),
        (lambda s: s.flat_map(lambda value, ctx: ((ctx.offset, value),)), [(0, 2, 7, 0), (1, 0, 5, 1), (2, 1, 6, 2)]),
        (lambda s: s.flat_map(lambda value: []), []),
    ],
)
def test_pairs_have_time_headers_and_offset_of_their_record(
    check: Callable[..., None], build: Any, expected: list[tuple[Any, ...]]
) -> None:
    headers = {0: (("h", b"1"),), 1: (), 2: ()}
    check(build, ROWS, [(key, value, time, headers[offset], offset) for key, value, time, offset in expected])


@pytest.mark.parametrize("wrong", [[1], [("a", 1), ["a", 1]], ["ab"]], ids=repr)
def test_what_is_no_list_of_pairs_is_an_error(bench: Callable[..., Any], wrong: Any) -> None:
    made = bench(lambda s: s.flat_map(lambda value: wrong))
    with pytest.raises(streams.errors.UserCodeError, match=r"flat_map wants a list of \(key, value\)"):
        made.send(("a", 1))


def test_a_generator_that_raises_half_way_gives_nothing_for_its_record(check: Callable[..., None]) -> None:
    def pairs(key: str, value: int) -> Any:
        yield key, 1
        yield key, 1 // value

    check(
        lambda s: s.flat_map(pairs),
        [("a", 1), ("b", 0), ("c", 1)],
        [("a", 1), ("a", 1), ("c", 1), ("c", 1)],
        policy=streams.skip(),
        counts={"skip": 1},
    )


def test_none_is_no_list(bench: Callable[..., Any]) -> None:
    with pytest.raises(streams.errors.UserCodeError, match="TypeError"):
        bench(lambda s: s.flat_map(lambda value: None)).send(("a", 1))
