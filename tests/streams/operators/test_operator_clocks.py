"""Clocks and the context of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from state.api import Checkpoint, StoreSpec
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.batch import Batch
from streams.operators.clocks import Clocks
from streams.operators.row_context import RowContext


def test_what_was_saved_is_loaded_and_written_only_when_it_changed() -> None:
    written: list[Any] = []
    stores = TaskStores(MemoryBackend(), [StoreSpec("clocks")], lambda *change: written.append(change))
    clocks = Clocks(stores, "clocks")
    assert clocks.load("count") is None
    clocks.save("count", [1, -(2**62), 3])
    assert clocks.load("count") == [1, -(2**62), 3]
    assert stores.pending_entries == 1
    stores.begin_commit()
    for _ in stores.finish_commit({"clocks": Checkpoint("id", 1)}):
        pass
    clocks.save("count", [1, -(2**62), 3])
    assert stores.pending_entries == 0
    again = Clocks(stores, "clocks")
    assert again.load("count") == [1, -(2**62), 3]
    again.save("count", [1, -(2**62), 3])
    assert stores.pending_entries == 0
    again.save("count", [2])
    assert stores.pending_entries == 1


def test_a_row_knows_its_place(bench: Callable[..., Any]) -> None:
    context = bench(lambda s: s.filter(lambda v: v)).context
    batch = Batch.of([("a", 1), ("b", 2), ("c", 3)], timestamps=[5, 30, 20], topic="numbers", partition=3)
    batch.headers = [[("h", b"1")], [], []]
    rows = [RowContext(batch, at, context) for at in range(3)]
    assert [(r.topic, r.partition, r.offset, r.timestamp, r.task) for r in rows] == [
        ("numbers", 3, 0, 5, "task-0"),
        ("numbers", 3, 1, 30, "task-0"),
        ("numbers", 3, 2, 20, "task-0"),
    ]
    assert [list(r.headers) for r in rows] == [[("h", b"1")], [], []]
    assert [r.stream_time for r in rows] == [5, 30, 30]
    context.stream_time_seen = 25
    assert [r.stream_time for r in rows] == [25, 30, 30]
