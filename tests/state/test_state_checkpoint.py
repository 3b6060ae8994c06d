"""When a store may go on from its checkpoint; and power cuts that take the end of a store, of its log, or of both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.api import Changes, Checkpoint, StoreSpec
from state.backends.memory import MemoryBackend
from state.checkpoint import needs_rebuild
from state.restore import Restorer
from state.task_stores import TaskStores


@pytest.mark.parametrize(
    ("checkpoint", "mark", "log_start", "log_end", "reason"),
    [
        (None, None, 0, 0, None),
        (None, None, 5, 9, None),
        (("t", 9), None, 0, 9, None),
        (("t", 9), None, 9, 9, None),
        (("t", 9), ("t", 12), 0, 12, None),
        (None, ("t", 12), 0, 12, None),
        (("t", 9), None, 0, 8, "beyond the end"),
        (("t", 9), ("t", 12), 0, 11, "unfinished commit .* beyond the end"),
        (None, ("t", 12), 0, 11, "unfinished commit .* beyond the end"),
        (("old", 9), None, 0, 20, "another topic"),
        (("t", 9), ("old", 12), 0, 20, "another topic"),
        (("t", 9), None, 10, 20, "now begins at offset 10"),
    ],
)
def test_needs_rebuild(
    checkpoint: tuple[str, int] | None, mark: tuple[str, int] | None, log_start: int, log_end: int, reason: str | None
) -> None:
    found = needs_rebuild(
        Checkpoint(*checkpoint) if checkpoint else None, Checkpoint(*mark) if mark else None, "t", log_end, log_start
    )
    assert (found is None) if reason is None else re.search(reason, found or ""), found


class Recording(MemoryBackend):
    """Keeps what the backend was after each batch: what a power cut may leave of unsynced batches."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[MemoryBackend] = [self.copy()]

    def write(self, changes: Sequence[Changes], *, durable: bool = True, sync: bool = False) -> None:
        super().write(changes)
        self.history.append(self.copy())


SPECS = [StoreSpec("kv"), StoreSpec("win", "window")]
Log = dict[str, list[tuple[bytes, bytes | None, int]]]

commits = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=2), max_size=3),
        st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 5)), max_size=4),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=5,
)


@given(commits, st.data())
@settings(max_examples=300, deadline=None)
def test_power_cut_of_store_and_log(work: list[Any], data: st.DataObject) -> None:
    backend, log = Recording(), _log()
    stores = _open(backend, log)
    for values, windows, expired in work:
        for key, value in values.items():
            stores.put("kv", key, value, 1)
        for key, start in windows:
            stores.window("win").put(key, start, b"w", start)
        stores.window("win").expire(expired)
        stores.begin_commit()
        for _ in stores.finish_commit({store: Checkpoint("t", len(rows)) for store, rows in log.items()}):
            pass
    left = data.draw(st.sampled_from(backend.history), label="store as of batch")
    for _ in range(2):  # the second time the cut comes in the middle of the restore, which writes too
        kept = {store: rows[: data.draw(st.integers(0, len(rows)), label=store)] for store, rows in log.items()}
        backend = Recording()
        backend._maps = left.copy()._maps
        _catch_up(_open(backend, _log()), kept)
        for store, rows in kept.items():
            expected = {key: value for key, value, _ in rows}
            with backend.scan(store) as entries:
                found = {key: stored[8:] for key, stored in entries}
            assert found == {key: value for key, value in expected.items() if value is not None}
        left, log = data.draw(st.sampled_from(backend.history), label="restore as of batch"), kept


def test_a_restore_keeps_the_mark_of_an_unfinished_commit() -> None:
    """Until it has read that far again: what the commit wrote beyond may be all that is left of those records."""
    backend, log = MemoryBackend(), _log()
    stores = _open(backend, log)
    stores.put_many("kv", [b"%d" % n for n in range(6)], [b"v"] * 6, [0] * 6)
    stores.begin_commit()
    next(stores.finish_commit({"kv": Checkpoint("t", 6)}))
    again = _open(backend.copy(), log)
    restorer = Restorer(again, "kv", topic_id="t", log_end=6)
    columns = [[row[column] for row in log["kv"]] for column in range(3)]
    restorer.feed(4, *(column[:4] for column in columns))  # type: ignore[arg-type]
    assert (again.checkpoints()["kv"].offset, again.in_progress()["kv"].offset) == (4, 6)
    assert _open(again.backend.copy(), log).in_progress()["kv"].offset == 6  # type: ignore[attr-defined]
    restorer.feed(6, *(column[4:] for column in columns))  # type: ignore[arg-type]
    assert _open(again.backend.copy(), log).in_progress() == {}  # type: ignore[attr-defined]


def _log() -> Log:
    return {spec.name: [] for spec in SPECS}


def _open(backend: MemoryBackend, log: Log) -> TaskStores:
    def changelog(store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
        log[store].extend(zip(keys, values, timestamps, strict=True))

    return TaskStores(backend, SPECS, changelog, slice_entries=2)


def _catch_up(stores: TaskStores, log: Log) -> None:
    for store, rows in log.items():
        restorer = Restorer(stores, store, topic_id="t", log_end=len(rows))
        for at in range(restorer.position, len(rows), 3):
            part = rows[at : at + 3]
            restorer.feed(at + len(part), *([row[column] for row in part] for column in range(3)))  # type: ignore[arg-type]
        for _ in restorer.finish():
            pass
