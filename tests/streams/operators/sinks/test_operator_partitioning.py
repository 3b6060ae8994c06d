"""partitioner=: none, one or many partitions for each record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import TopologyError
from streams.testing.driver import Driver

RECORDS = [("a", value, value) for value in range(6)]


def run(build: Callable[[streams.App, Any], Any]) -> tuple[list[tuple[int, int]], dict[tuple[str, str], int]]:
    """(partition, value) of what came to "out", which has 3 partitions, and what was left out."""
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    out = app.topic("out", key_type=str, value_type=int)
    build(app, stream)
    seen: list[tuple[int, int]] = []
    out.stream().peek(lambda v, ctx: seen.append((ctx.partition, v)))
    with Driver(app, partitions={"out": 3, "shop-spread-repartition": 3}) as driver:
        driver.pipe("in", RECORDS)
        return sorted(seen), driver.dropped


def choose(key: str, value: int, partitions: int) -> Any:
    return [None, 2, [0, 1], [], range(partitions), 1][value]


def test_to_a_topic() -> None:
    seen, dropped = run(lambda app, stream: stream.to("out", partitioner=choose, name="to"))
    of_key = next(partition for partition, value in seen if value == 0)
    assert [row for row in seen if row[1]] == [(0, 2), (0, 4), (1, 2), (1, 4), (1, 5), (2, 1), (2, 4)]
    assert of_key in (0, 1, 2)
    assert dropped == {("to", "no_partition"): 1}


def test_to_the_topic_that_a_function_names() -> None:
    seen, _ = run(lambda app, stream: stream.to(lambda v: "out", partitioner=lambda v, n: v % n))
    assert seen == [(0, 0), (0, 3), (1, 1), (1, 4), (2, 2), (2, 5)]


def test_a_repartition() -> None:
    def build(app: streams.App, stream: Any) -> None:
        behind = stream.repartition(name="spread", partitions=3, partitioner=lambda key, v, n: v % n)
        behind.map_values(lambda v, ctx: 10 * v + ctx.partition, value_type=int).to("out", partitioner=lambda v, n: 0)

    assert run(build)[0] == [(0, value) for value in (0, 11, 22, 30, 41, 52)]


def test_a_number_that_is_no_partition_goes_to_the_policy() -> None:
    seen, dropped = run(
        lambda app, stream: stream.to("out", partitioner=lambda v, n: v, name="to", on_error=streams.skip())
    )
    assert seen == [(0, 0), (1, 1), (2, 2)] and dropped == {("to", "skip"): 3}


def test_several_topics_and_a_retry_lose_nothing() -> None:
    failed: list[int] = []

    def fragile(value: int, partitions: int) -> int:
        if value not in failed:
            failed.append(value)
            raise ValueError("not yet")
        return 0

    def build(app: streams.App, stream: Any) -> None:
        app.topic("other", key_type=str, value_type=int).stream().map_values(lambda v: v + 10, value_type=int).to("out")
        policy = streams.retry(3, backoff="1ms")
        stream.to(lambda v: "other" if v % 2 else "out", partitioner=fragile, on_error=policy)

    seen, _ = run(build)
    assert sorted(value for _, value in seen) == [0, 2, 4, 11, 13, 15]


def test_a_wrong_signature_is_told_when_built() -> None:
    app = streams.App("shop")
    with pytest.raises(TopologyError, match=r"partitioner calls it as \(value, partitions\) or \(key, value, partit"):
        app.topic("in").stream().to("out", partitioner=lambda value: 1)
