"""ctx of a function: headers are read, and set for the steps behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import StreamsError
from streams.testing.driver import Driver

H = [("h", b"1")]


def mark(value: Any, ctx: Any) -> Any:
    ctx.add_header("mark", b"2")
    return value


def run(build: Callable[[Any], None], *topics: str) -> list[list[tuple[Any, list[Any]]]]:
    app = streams.App("shop")
    build(app.topic("in", key_type=str, value_type=int).stream())
    with Driver(app) as driver:
        driver.pipe("in", [("a", 1, 1, H), ("b", 2, 2)])
        return [[(r.value, list(r.headers)) for r in driver.read(topic)] for topic in topics or ("out",)]


MARKED = [(1, [*H, ("mark", b"2")]), (2, [("mark", b"2")])]


@pytest.mark.parametrize(
    "build",
    [
        lambda s: s.map_values(mark, value_type=int).to("out"),
        lambda s: s.filter(mark).to("out"),
        lambda s: s.peek(mark).to("out"),
        lambda s: s.map(lambda k, v, ctx: (k, mark(v, ctx)), key_type=str, value_type=int).to("out"),
        lambda s: s.flat_map_values(lambda v, ctx: [mark(v, ctx)], value_type=int).to("out"),
        lambda s: s.select_key(lambda v, ctx: str(mark(v, ctx)), key_type=str).to("out"),
        lambda s: s.to(lambda v, ctx: "out" if mark(v, ctx) else "", name="choose") or s.filter(bool).to("out2"),
    ],
)
def test_they_are_set_for_what_is_behind(build: Callable[[Any], None]) -> None:
    def with_topic(stream: Any) -> None:
        stream._builder.graph.topics.get("out") or stream.filter(lambda v: v > 9).to("out", name="declares")
        build(stream)

    assert run(with_topic) == [MARKED]


def test_other_branches_do_not_see_them() -> None:
    def build(stream: Any) -> None:
        stream.map_values(mark, value_type=int).to("out")
        stream.to("asis")

    assert run(build, "out", "asis") == [MARKED, [(1, H), (2, [])]]


def test_a_record_that_is_tried_again_has_them_once() -> None:
    failed: list[int] = []

    def fragile(value: int, ctx: Any) -> int:
        mark(value, ctx)
        if value not in failed:
            failed.append(value)
            raise ValueError("not yet")
        return value

    policy = streams.retry(1, backoff="1ms")
    assert run(lambda s: s.map_values(fragile, value_type=int, on_error=policy).to("out")) == [MARKED]


def test_forward_is_for_processors() -> None:
    with pytest.raises(StreamsError, match="forward is for processors"):
        run(lambda s: s.map_values(lambda v, ctx: ctx.forward(value=v)).to("out"))


def test_a_function_as_a_processor() -> None:
    def twice(record: Any, ctx: Any) -> None:
        ctx.forward(record)
        ctx.forward(record, value=10 * record.value)

    assert run(lambda s: s.process(twice, key_type=str, value_type=int).to("out")) == [
        [(1, H), (10, H), (2, []), (20, [])]
    ]
