"""What leaves a table that has a join in it: all but deletions of what was not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import streams
from streams.batch import Batch
from streams.errors import TopologyError
from streams.graph.nodes import ToStreamNode
from streams.operators.tables.to_stream import ToStreamOperator
from streams.testing import Driver


def process(batch: Batch) -> Batch | None:
    context: Any = None
    return ToStreamOperator(ToStreamNode(name="out"), context).process(batch)


def test_changes_that_change_nothing_stay_behind() -> None:
    batch = Batch.of([("a", None), ("b", 1), ("c", None)]).with_olds([None, None, 5])
    assert process(batch) is batch
    marked = batch.with_no_ops(np.array([True, False, False]))
    told = process(marked)
    assert told is not None and (told.keys, told.olds, told.no_ops) == (["b", "c"], [None, 5], None)
    assert process(marked[:1]) is None


def test_marks_go_with_their_changes() -> None:
    batch = Batch.of([("a", None), ("b", 1)]).with_no_ops(np.array([True, False]))
    made = [batch[:1], batch.take(np.array([True, False])), batch.with_values([1, 2])[:1], batch.with_olds([1, 2])[:1]]
    assert [part.no_ops is not None and part.no_ops.tolist() for part in made] == [[True]] * 4
    assert batch.with_no_ops(np.array([False, False])).no_ops is None


def test_one_step_however_often_it_is_asked_for() -> None:
    app = streams.App("shop")
    table = app.topic("a", key_type=str).table()
    joined = table.outer_join(app.topic("b", key_type=str).table(), max, name="joined")
    assert joined.to_stream().node is joined.to_stream().node
    assert joined.map_values(str).to_stream().node.name.endswith("-to-stream")
    assert table.to_stream().node is table.node


def tables() -> tuple[Any, Any]:
    app = streams.App("shop")
    table = app.topic("a", key_type=str, value_type=int).table()
    return app, table.outer_join(table, lambda a, b: (a or 0) - (b or 0), name="own", value_type=int)


def test_what_was_told_of_a_table_joined_with_itself_is_kept() -> None:
    """Its old values do not say: the two sides change one after the other."""
    app, own = tables()
    own.filter_not(lambda difference: difference == 0, name="unlike").to_stream().to("out")
    own.to_stream().to("all")
    assert {name for name in app.plan().stores if name != "a"} == {"own-to-stream-rows", "unlike-to-stream-rows"}
    with Driver(app) as driver:
        for value in (3, None, None, 4):
            driver.pipe("a", key="k", value=value, timestamp=1)
            driver.crash()
            driver.restart()
        assert driver.read("out") == []
        assert [record.value for record in driver.read("all")] == [0, 0, None, 0, 0]


def test_the_name_of_that_store_has_to_last() -> None:
    _, own = tables()
    own.filter(lambda value: True)
    twin = own.filter(lambda value: True)
    with pytest.raises(TopologyError, match=r"give the step 'own-filter-line-\d+' at .* a name="):
        twin.to_stream()
