"""repartition: records by their new key into an internal topic; those without a key are left out and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.graph.nodes import RepartitionNode
from streams.operators.sources.source import SourceOperator
from streams.partitioner import partition_for


def writing(made: Any) -> Any:
    return next(op for op in made.operators.values() if isinstance(op.node, RepartitionNode))


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_records_without_a_key_are_left_out_and_counted(bench: Callable[..., Any], decoded: bool, size: int) -> None:
    made = bench(lambda s: s.repartition(name="moved"), decoded=decoded)
    made.node = made.plan.subtopologies[0].nodes[-1]
    made.open()
    rows = [("a", 1, 5), (None, 2, 6), ("b", None, 7), (None, 3, 8), ("a", 4, 9)]
    for at in range(0, len(rows), size):
        assert writing(made).process(made.batch(rows[at : at + size])) is None
    assert made.written() == {"bench-moved-repartition": [(b"a", b"1", 5), (b"b", None, 7), (b"a", b"4", 9)]}
    assert made.counts == {"null_key": 2}


def test_a_batch_without_any_key_writes_nothing(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.repartition(name="moved"))
    made.node = made.plan.subtopologies[0].nodes[-1]
    made.open()
    writing(made).process(made.batch([(None, 1), (None, 2)]))
    assert made.written() == {}
    assert made.counts == {"null_key": 2}


def test_records_lie_in_the_partition_of_their_key(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.repartition(name="moved"), partitions=5)
    made.node = made.plan.subtopologies[0].nodes[-1]
    made.open()
    writing(made).process(made.batch([(f"k{n}", n) for n in range(40)]))
    from broker_embedded import records

    seen = 0
    for tp, data, count in made.outputs.drain():
        keys = records.decode(memoryview(data)).keys()
        assert {partition_for(key or b"", 5) for key in keys} == {tp.partition}
        seen += count
    assert seen == 40


def test_the_rows_of_a_group_by_come_out_behind_it(bench: Callable[..., Any]) -> None:
    """What the writing half writes, the reading half reads: key and value types are those of the stream."""
    made = bench(lambda s: s.select_key(lambda v: v % 2, key_type=int).repartition(name="parity"))
    assert made.node.topic.name == "bench-parity-repartition"
    assert (made.node.topic.key_type, made.node.topic.value_type) == (int, int)


@pytest.mark.parametrize("headers", [(), (("h", b"1"),)])
def test_records_without_a_key_go_to_an_outer_side_of_a_join(bench: Callable[..., Any], headers: Any) -> None:
    def build(stream: Any) -> Any:
        moved = stream.select_key(lambda v: "a" if v == 1 else None, key_type=str)
        return moved.left_join(stream, lambda left, right: (left, right), within=streams.JoinWindow(1), name="j")

    made = bench(build)
    made.node = next(node for node in made.plan.subtopologies[0].nodes if isinstance(node, RepartitionNode))
    assert made.node.keyless
    made.open()
    writing(made).process(
        made.operators["numbers-select_key"].process(made.batch([("x", 1, 1, ()), ("x", 2, 2, headers)]))
    )
    ((_, data, _),) = made.outputs.drain()
    source = next(node for sub in made.plan.subtopologies for node in sub.sources if node.topic.internal)
    (read,) = SourceOperator(source, made.context).decode([memoryview(data)], 0, 0)
    assert (read.keys, read.values, list(map(tuple, read.headers))) == (["a", None], [1, 2], [(), headers])
