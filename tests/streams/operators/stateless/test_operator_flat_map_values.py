"""flat_map_values: any number of values a record, under its key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams


@pytest.mark.parametrize(
    ("build", "values"),
    [
        (lambda s: s.flat_map_values(lambda value: range(value)), [(0, 0), (0, 1), (2, 0)]),
        (lambda s: s.flat_map_values(lambda key, value: [key] * value), [(0, "a"), (0, "a"), (2, "c")]),
        (lambda s: s.flat_map_values(lambda value, ctx: [ctx.timestamp]), [(0, 7), (1, 5), (2, 6)]),
        (lambda s: s.flat_map_values(lambda value: (n for n in [None] * value)), [(0, None), (0, None), (2, None)]),
        (lambda s: s.flat_map_values(lambda value: ()), []),
    ],
)
def test_values_have_key_time_headers_and_offset_of_their_record(
    check: Callable[..., None], build: Any, values: list[tuple[int, Any]]
) -> None:
    rows = [("a", 2, 7, [("h", b"1")]), (None, 0, 5), ("c", 1, 6)]
    rest = [(7, (("h", b"1"),), 0), (5, (), 1), (6, (), 2)]
    check(build, rows, [(rows[at][0], value, *rest[at]) for at, value in values])


def test_a_generator_that_raises_half_way_gives_nothing_for_its_record(check: Callable[..., None]) -> None:
    def halves(value: int) -> Any:
        yield 1
        yield 4 // value

    check(
        lambda s: s.flat_map_values(halves),
        [("a", 2), ("b", 0), ("c", 4)],
        [("a", 1), ("a", 2), ("c", 1), ("c", 1)],
        policy=streams.skip(),
        counts={"skip": 1},
    )


def test_what_cannot_be_iterated_is_an_error(bench: Callable[..., Any]) -> None:
    with pytest.raises(streams.errors.UserCodeError, match="TypeError"):
        bench(lambda s: s.flat_map_values(lambda value: value)).send(("a", 1))
