"""Which of a task's partitions goes next, and what it waits for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import streams
from broker_embedded import records
from streams.operators.sources.source import SourceOperator
from streams.runtime.choice import Choice
from streams.runtime.queue import PartitionQueue
from streams.transport.contract import Fetched, TopicPartition


class Bench:
    """Partitions "a" and "b" of one task, and a clock."""

    def __init__(self, max_idle_ms: int = 0, *, internal: bool = False) -> None:
        self.now_ms = 0
        self.internal = internal
        self.queues = [self._queue(name) for name in "ab"]
        self.choice = Choice(self.queues, max_idle_ms, lambda: self.now_ms)

    def _queue(self, name: str) -> PartitionQueue:
        node = streams.App("bench").topic(name, key_type=str, value_type=int).stream().node
        if self.internal:
            node.topic = replace(node.topic, internal=True)
        return PartitionQueue(TopicPartition(name, 0), SourceOperator(node, None), 0)  # type: ignore[arg-type]

    def offer(self, name: str, *times: int, known: int | None = None) -> None:
        """Records with these timestamps come; the log is `known` to go on to there."""
        queue = self.queues["ab".index(name)]
        start = queue.fetch_offset
        count = len(times)
        data = records.encode([b"k"] * count, [b"1"] * count, list(times), base_offset=start) if times else b""
        end = start + len(times)
        log = known or end
        queue.offer(Fetched(queue.tp, [memoryview(data)] if times else [], start, end, log, log, 0))

    @property
    def next(self) -> Any:
        chosen = self.choice.next()
        return None if chosen is None else (chosen.queue.tp.topic, chosen.until)

    def take(self) -> str:
        chosen = self.choice.next()
        assert chosen is not None
        run = chosen.queue.take(1_000, chosen.until)
        return f"{chosen.queue.tp.topic}{run.timestamps.tolist()}"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([10], [20], ("a", 20)),
        ([20], [10], ("b", 19)),  # of equal timestamps the earlier partition's goes first
        ([10], [10], ("a", 10)),
        ([10], [], ("a", None)),
        ([], [], None),
    ],
)
def test_the_earliest_goes_first_up_to_the_next_one(a: list[int], b: list[int], expected: Any) -> None:
    bench = Bench()
    for name, times in (("a", a), ("b", b)):
        if times:
            bench.offer(name, *times)
    assert bench.next == expected


@pytest.mark.parametrize(("max_idle_ms", "expected"), [(0, None), (5, None), (-1, ("a", None))])
def test_what_is_known_to_be_in_the_log_is_waited_for(max_idle_ms: int, expected: Any) -> None:
    bench = Bench(max_idle_ms)
    bench.offer("a", 10)
    bench.offer("b", known=3)
    assert bench.next == expected


def test_what_may_yet_come_is_waited_for_so_long() -> None:
    bench = Bench(max_idle_ms=100)
    bench.offer("a", 10)
    assert (bench.next, bench.choice.waits_until_ms) == (None, 100)
    bench.now_ms = 99
    assert bench.next is None
    bench.now_ms = 100
    assert (bench.next, bench.choice.waits_until_ms) == (("a", None), None)


def test_a_partition_that_had_something_is_waited_for_anew() -> None:
    bench = Bench(max_idle_ms=100)
    bench.offer("a", 10, 50)
    assert bench.next is None
    bench.now_ms = 60
    bench.offer("b", 20)
    bench.take()  # of a, up to 20
    bench.take()  # of b
    assert (bench.next, bench.choice.waits_until_ms) == (None, 160)


def test_nobody_waits_for_nothing() -> None:
    bench = Bench(max_idle_ms=100)
    assert (bench.next, bench.choice.waits_until_ms) == (None, None)


def test_partitions_that_end_get_nothing_more() -> None:
    bench = Bench(max_idle_ms=100)
    bench.offer("a", 10)
    bench.queues[1].ends = True
    assert bench.next == ("a", None)


def test_of_equal_timestamps_behind_repartitions_each_goes_in_turn() -> None:
    """What came of one record is together in both (a priority queue in Kafka Streams' `PartitionGroup`)."""
    bench = Bench(internal=True)
    bench.offer("a", 10, 10, 9, 11)
    bench.offer("b", 10, 10, 11)
    assert [bench.take() for _ in range(5)] == ["a[10]", "b[10]", "a[10]", "a[9]", "b[10]"]
    assert (bench.choice.takes_turns, bench.choice.dump()) == (True, ["a", "b"])


def test_turns_go_on_after_a_restart() -> None:
    bench = Bench(internal=True)
    bench.choice.load(["b", "a"])
    bench.offer("a", 10, 10)
    bench.offer("b", 10)
    assert [bench.take() for _ in range(2)] == ["b[10]", "a[10, 10]"]
