"""What two tables joined by a foreign key tell each other, on its way to the right partition."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded import records
from streams.batch import Batch
from streams.graph.definitions import TopicDef
from streams.graph.nodes import RoutedNode
from streams.operators.base import TaskContext
from streams.operators.foreign_key_joins.foreign_keys import (
    BY_KEY,
    NO_HASH,
    TELL,
    VERSION,
    Answer,
    Subscription,
    encode,
)
from streams.operators.foreign_key_joins.routed import RoutedOperator
from streams.operators.outputs import Outputs
from streams.partitioner import partition_for


def written(count: int, *rows: tuple[bytes, Any]) -> dict[int, list[bytes | None]]:
    outputs = Outputs(lambda topic: count, lambda topic: "none")
    none: Any = None
    context = TaskContext("task", 0, none, outputs, none, none)
    node = RoutedNode(name="out", topic=TopicDef(name="asked", key_type=bytes, value_type=bytes))
    batch = Batch.of([(key, encode(value)) for key, value in rows], timestamps=range(len(rows)))
    assert RoutedOperator(node, context).process(batch) is None
    return {tp.partition: list(records.decode(memoryview(data)).keys()) for tp, data, _ in outputs.drain()}


def asked(to: int) -> Subscription:
    return Subscription(VERSION, to, TELL, 2, NO_HASH, b"o1")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_subscriptions_go_by_the_foreign_key(count: int) -> None:
    keys = [b"ann", b"bob", b"cat", b""]
    found = written(count, *((key, asked(BY_KEY)) for key in keys))
    assert {key: place for place, there in found.items() for key in there} == {
        key: partition_for(key, count) for key in keys
    }


def test_those_that_refer_to_nothing_go_where_they_say_as_far_as_there_is_such_a_partition() -> None:
    assert written(3, (b"", asked(2)), (b"", asked(4))) == {2: [b""], 1: [b""]}


def test_answers_go_back_to_the_partition_that_asked() -> None:
    rows = [(b"o1", Answer(VERSION, 2, NO_HASH, b"x")), (b"o2", Answer(VERSION, 0, NO_HASH, None))]
    assert written(3, *rows) == {2: [b"o1"], 0: [b"o2"]}


def test_the_order_within_a_partition_is_that_in_which_they_came() -> None:
    rows = [(b"ann", asked(BY_KEY)), (b"", asked(0)), (b"bob", asked(BY_KEY))]
    assert written(1, *rows) == {0: [b"ann", b"", b"bob"]}
