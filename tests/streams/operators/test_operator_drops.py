"""What rules leave out, counted: records without something, and changes of a versioned table that are out of order."""

from __future__ import annotations

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import Node
from streams.operators.drops import latest_only, present_only
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.policies import stop


def failures() -> Failures:
    return Failures(stop(), Outputs(lambda topic: 1, lambda topic: "none"), "dead")


def changes(latest: list[bool] | None) -> Batch:
    batch = Batch.of([("a", 1), ("b", 2), ("a", 3)]).with_olds([None, 5, 1])
    return batch.with_latest(None if latest is None else np.array(latest))


def test_latest_goes_with_the_records() -> None:
    batch = changes([True, False, True])
    assert batch.olds == [None, 5, 1]
    assert batch[1:].latest.tolist() == [False, True]  # type: ignore[union-attr]
    assert batch.take(np.array([True, True, False])).latest.tolist() == [True, False]  # type: ignore[union-attr]
    assert batch.with_values([7, 8, 9]).latest is batch.latest


def test_what_is_not_the_latest_is_left_out_and_counted() -> None:
    told, node = failures(), Node(name="step")
    found = latest_only(changes([True, False, True]), node, told)
    assert (found.values, found.olds, found.latest) == ([1, 3], [None, 1], None)
    assert dict(told.counts) == {("step", "out_of_order"): 1}


def test_other_tables_hand_on_all() -> None:
    told, batch = failures(), changes(None)
    assert latest_only(batch, Node(name="step"), told) is batch
    assert not told.counts


def test_what_is_not_there_is_left_out_and_counted() -> None:
    told, node, batch = failures(), Node(name="step"), Batch.of([("a", 1), (None, 2), ("c", 3)])
    assert present_only(batch, node, told, batch.keys, "null_key").values == [1, 3]
    assert dict(told.counts) == {("step", "null_key"): 1}


def test_where_all_is_there_the_batch_is_the_same() -> None:
    told, batch = failures(), Batch.of([("a", 1), ("b", 2)])
    assert present_only(batch, Node(name="step"), told, batch.keys, "null_key") is batch
    assert not told.counts
