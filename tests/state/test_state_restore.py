"""Any log that a broker may give back, cut into chunks anywhere, leaves what its records say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import restore
from state.api import Checkpoint, StateError, StoreSpec
from state.backends.memory import MemoryBackend
from state.backends.rocks import RocksBackend
from state.budget import StateMemory
from state.restore import RestoreEvent, Restorer
from state.task_stores import TaskStores
from state.testing import copy_live_folder

Row = tuple[int, bytes, bytes | None, int]

PLAIN = StoreSpec("kv")

keys = st.sampled_from([b"", b"a", b"b", b"c", b"d"])
gaps = st.integers(0, 3)
records = st.tuples(gaps, keys, st.none() | st.binary(max_size=3), st.integers(0, 9))


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Row], int]:
    """Rows with gaps between offsets (compaction, aborted data, control records), maybe at the end; and the log end."""
    rows: list[Row] = []
    offset = 0
    for gap, key, value, timestamp in draw(st.lists(records, max_size=25)):
        offset += gap
        rows.append((offset, key, value, timestamp))
        offset += 1
    return rows, offset + draw(gaps)


def _open(backend: MemoryBackend | RocksBackend, spec: StoreSpec = PLAIN) -> TaskStores:
    return TaskStores(backend, [spec], lambda *change: None, slice_entries=2)


def _content(stores: TaskStores) -> dict[bytes, tuple[bytes, int]]:
    with stores.key_value("kv").scan() as rows:
        return {key: (value, timestamp) for key, value, timestamp in rows}


def _expected(rows: list[Row]) -> dict[bytes, tuple[bytes, int]]:
    latest = {key: (value, timestamp) for _, key, value, timestamp in rows}
    return {key: (value, timestamp) for key, (value, timestamp) in latest.items() if value is not None}


def _feed(restorer: Restorer, rows: list[Row], next_offset: int) -> None:
    restorer.feed(next_offset, [row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows])


def _finish(restorer: Restorer) -> None:
    for _ in restorer.finish():
        pass


@given(logs(), st.data())
@settings(max_examples=200, deadline=None)
def test_chunks_and_crashes_anywhere(log: tuple[list[Row], int], data: st.DataObject) -> None:
    rows, end = log
    backend = MemoryBackend()
    restorer = Restorer(_open(backend), "kv", topic_id="t", log_end=end)
    while not restorer.reached:
        position = data.draw(st.integers(restorer.position + 1, end), label="fetched to")
        _feed(restorer, [row for row in rows if restorer.position <= row[0] < position], position)
        if data.draw(st.booleans(), label="crash"):
            backend = backend.copy()
            restorer = Restorer(_open(backend), "kv", topic_id="t", log_end=end)
            assert restorer.position == position
    _finish(restorer)
    stores = _open(backend)
    assert _content(stores) == _expected(rows)
    assert stores.checkpoints() == ({"kv": Checkpoint("t", end)} if end else {})
    assert stores.in_progress() == {}


def test_a_gap_at_the_end_is_passed() -> None:
    stores = _open(MemoryBackend())
    restorer = Restorer(stores, "kv", topic_id="t", log_end=10)
    _feed(restorer, [(0, b"a", b"1", 5)], 1)
    assert not restorer.reached
    with pytest.raises(StateError, match="restored to offset 1, not yet to 10"):
        _finish(restorer)
    restorer.feed(10)
    _finish(restorer)
    assert stores.checkpoints()["kv"].offset == 10


def test_nothing_to_restore_is_reached_at_once() -> None:
    assert Restorer(_open(MemoryBackend()), "kv", topic_id="t", log_end=0).reached


def test_source_topic_restores_to_the_committed_offset() -> None:
    stores = _open(MemoryBackend(), StoreSpec("kv", logged=False))
    restorer = Restorer(stores, "kv", topic_id="t", log_end=100, end=2)
    _feed(restorer, [(0, b"a", b"1", 5), (1, b"b", b"1", 5)], 2)
    assert restorer.reached


def test_events_tell_the_progress() -> None:
    events: list[RestoreEvent] = []
    stores = _open(MemoryBackend())
    restorer = Restorer(stores, "kv", topic_id="t", log_end=9, task="0_1", listener=events.append)
    _feed(restorer, [(0, b"a", b"12", 5), (4, b"b", None, 5)], 5)
    restorer.feed(9)
    _finish(restorer)
    assert [(e.state, e.position, e.restored_records, e.restored_bytes) for e in events] == [
        ("started", 0, 0, 0),
        ("progress", 5, 2, 4),
        ("progress", 9, 2, 4),
        ("done", 9, 2, 4),
    ]
    assert {(e.store, e.task, e.end, e.reason) for e in events} == {("kv", "0_1", 9, None)}


@pytest.mark.parametrize(("topic_id", "log_end", "why"), [("t", 3, "beyond the end"), ("new", 50, "another topic")])
def test_a_rebuild_empties_the_store_and_says_why(topic_id: str, log_end: int, why: str) -> None:
    backend = MemoryBackend()
    stores = _open(backend, StoreSpec("kv", ttl_ms=1000))
    stores.put("kv", b"never happened", b"1", 5)
    stores.begin_commit()
    list(stores.finish_commit({"kv": Checkpoint("t", 10)}))
    events: list[RestoreEvent] = []
    restorer = Restorer(stores, "kv", topic_id=topic_id, log_end=log_end, listener=events.append)
    assert events[0].reason is not None and why in events[0].reason
    assert restorer.position == 0
    assert backend.copy().size_bytes() < 100, "index and data are gone before anything is read"
    _feed(restorer, [(0, b"a", b"1", 5)], log_end)
    _finish(restorer)
    assert _content(stores) == {b"a": (b"1", 5)}
    assert stores.checkpoints() == {"kv": Checkpoint(topic_id, log_end)}


def test_a_crash_after_the_start_of_a_rebuild_starts_it_again() -> None:
    backend = MemoryBackend()
    stores = _open(backend)
    stores.put("kv", b"never happened", b"1", 5)
    stores.begin_commit()
    list(stores.finish_commit({"kv": Checkpoint("t", 10)}))
    Restorer(stores, "kv", topic_id="t", log_end=3)
    again = _open(backend.copy())
    assert (again.checkpoints(), _content(again)) == ({}, {})


def test_what_is_gathered_is_written_when_it_is_large_or_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "LOAD_RECORDS", 10)
    stores = _open(MemoryBackend())
    restorer = Restorer(stores, "kv", topic_id="t", log_end=100, gather_bytes=10 * 202)
    rows = [(n, b"%d" % (n % 10), b"%d" % n, n) for n in range(100)]
    for at in range(9):
        _feed(restorer, rows[at : at + 1], at + 1)
    assert (_content(stores), stores.checkpoints()) == ({}, {})
    _feed(restorer, rows[9:40], 40)
    for _ in range(10):
        restorer.feed(40)
    assert _content(stores) == _expected(rows[:40])
    assert stores.checkpoints()["kv"].offset == 40
    _feed(restorer, rows[40:42], 42)
    list(restorer.save())
    assert _content(stores) == _expected(rows[:42])
    assert stores.checkpoints()["kv"].offset == 42
    _feed(restorer, rows[42:], 100)
    _finish(restorer)
    assert _content(stores) == _expected(rows)


@given(logs(), st.data())
@settings(max_examples=100, deadline=None)
def test_gathering_leaves_the_same_whatever_it_writes_when(log: tuple[list[Row], int], data: st.DataObject) -> None:
    rows, end = log
    backend = MemoryBackend()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore, "LOAD_RECORDS", 3)
        patch.setattr(restore, "SLICE_ENTRIES", 1_000_000)
        restorer = Restorer(_open(backend), "kv", topic_id="t", log_end=end, gather_bytes=600)
        while not restorer.reached:
            position = data.draw(st.integers(restorer.position + 1, end), label="fetched to")
            _feed(restorer, [row for row in rows if restorer.position <= row[0] < position], position)
            if data.draw(st.booleans(), label="crash"):
                backend = backend.copy()
                restorer = Restorer(_open(backend), "kv", topic_id="t", log_end=end, gather_bytes=600)
        _finish(restorer)
    stores = _open(backend)
    assert _content(stores) == _expected(rows)
    assert stores.in_progress() == {}


def test_bulk_load_of_two_stores_in_rocksdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "LOAD_RECORDS", 10)
    memory = StateMemory(32 << 20)
    specs = [StoreSpec("kv"), StoreSpec("ttl", ttl_ms=5)]
    stores = TaskStores(RocksBackend(tmp_path / "a", memory), specs, lambda *change: None)
    rows = [(n, b"%d" % (n * 7 % 30), None if n % 5 == 0 else b"%d" % n, n) for n in range(100)]
    restorers = [Restorer(stores, spec.name, topic_id="t", log_end=100) for spec in specs]
    for restorer in restorers:
        for at in range(0, 100, 7):
            _feed(restorer, rows[at : at + 7], min(at + 7, 100))
    _finish(restorers[0])
    left = RocksBackend(copy_live_folder(tmp_path / "a", tmp_path / "b"), memory)
    assert _content(TaskStores(left, specs, lambda *change: None)) == _expected(rows)
    left.close()
    _finish(restorers[1])
    assert _content(stores) == _expected(rows)
    gone = stores.key_value("ttl").expire(60)  # type: ignore[union-attr]
    assert gone == sorted(key for key, (_, timestamp) in _expected(rows).items() if timestamp <= 55)
    stores.close()
