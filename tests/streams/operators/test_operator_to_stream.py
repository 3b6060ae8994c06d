"""What leaves a table that has a join in it: all but deletions of what was not there."""

from __future__ import annotations

from typing import Any

import numpy as np

import streams
from streams.batch import Batch
from streams.graph.nodes import ToStreamNode
from streams.operators.to_stream import ToStreamOperator


def process(batch: Batch) -> Batch | None:
    context: Any = None
    return ToStreamOperator(ToStreamNode(name="out"), context).process(batch)


def test_changes_that_change_nothing_stay_behind() -> None:
    batch = Batch.of([("a", None), ("b", 1), ("c", None)]).with_olds([None, None, 5])
    assert process(batch) is batch
    marked = batch.with_idle(np.array([True, False, False]))
    told = process(marked)
    assert told is not None and (told.keys, told.olds, told.idle) == (["b", "c"], [None, 5], None)
    assert process(marked[:1]) is None


def test_marks_go_with_their_changes() -> None:
    batch = Batch.of([("a", None), ("b", 1)]).with_idle(np.array([True, False]))
    made = [batch[:1], batch.take(np.array([True, False])), batch.with_values([1, 2])[:1], batch.with_olds([1, 2])[:1]]
    assert [part.idle is not None and part.idle.tolist() for part in made] == [[True]] * 4
    assert batch.with_idle(np.array([False, False])).idle is None


def test_one_step_however_often_it_is_asked_for() -> None:
    app = streams.App("shop")
    table = app.topic("a", key_type=str).table()
    joined = table.outer_join(app.topic("b", key_type=str).table(), max, name="joined")
    assert joined.to_stream().node is joined.to_stream().node
    assert joined.map_values(str).to_stream().node.name.endswith("-to-stream")
    assert table.to_stream().node is table.node
