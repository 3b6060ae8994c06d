"""The stores of a task: bounds, commits, what reaches the changelog, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from state.api import Backend, Checkpoint, StateError, StoreSpec, UnknownStoreError
from state.backends.memory import MemoryBackend
from state.commit import SLICE_BYTES
from state.keys import session_key, time_prefix, window_key
from state.layers.pending import ENTRY_OVERHEAD_BYTES
from state.task_stores import TaskStores
from state.ttl import index_name


class Task:
    """Stores over memory, and the records of their changelogs."""

    def __init__(self, *specs: StoreSpec, backend: Backend | None = None, **settings: int) -> None:
        self.backend = MemoryBackend() if backend is None else backend
        self.records: list[tuple[str, bytes, bytes | None, int]] = []
        self.calls: list[int] = []
        self.stores = TaskStores(self.backend, specs, self._log, **settings)

    def _log(self, store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
        self.calls.append(len(keys))
        self.records += [(store, *row) for row in zip(keys, values, timestamps, strict=True)]

    def commit(self) -> int:
        """Commit; returns the number of slices."""
        self.stores.begin_commit()
        new = {name: Checkpoint("t", len(self.records)) for name in self.stores.specs}
        return sum(1 for _ in self.stores.finish_commit(new))


def test_changes_are_coalesced_and_sorted_for_the_changelog() -> None:
    task = Task(StoreSpec("kv"))
    task.stores.put_many("kv", [b"b", b"a", b"b"], [b"1", b"2", b"3"], [1, 2, 3])
    task.stores.put("kv", b"a", None, 4)
    task.commit()
    assert task.records == [("kv", b"a", None, 4), ("kv", b"b", b"3", 3)]
    assert task.backend.get("kv", b"b") == b"\0\0\0\0\0\0\0\x033"


def test_sessions_put_and_expired_between_commits_vanish() -> None:
    task = Task(StoreSpec("visits", "session"))
    visits = task.stores.session("visits")
    visits.put(b"stored", 0, 5, b"1", 5)
    task.commit()
    visits.put(b"k", 3, 19, b"1", 19)
    visits.put(b"k", 3, 20, b"2", 20)
    visits.expire(20)
    task.commit()
    kept = session_key(3, 20, b"k")
    assert task.records[1:] == [("visits", session_key(0, 5, b"stored"), None, 20), ("visits", kept, b"2", 20)]
    with visits.entries(20) as entries:
        assert list(entries) == [(3, 20, b"k", b"2", 20)]
    with pytest.raises(StateError, match="is a session store, not window"):
        task.stores.window("visits")


def test_windows_put_and_expired_between_commits_vanish() -> None:
    task = Task(StoreSpec("win", "window"))
    window = task.stores.window("win")
    window.put(b"stored", 0, b"1", 0)
    task.commit()
    task.records.clear()
    for start in (0, 10, 20):
        window.put(b"k", start, b"1", start)
    window.expire(20)
    task.commit()
    assert task.records == [("win", window_key(0, b"stored"), None, 20), ("win", window_key(20, b"k"), b"1", 20)]
    assert window.starts() == [20]


def test_expiry_reaches_the_backend_as_one_range() -> None:
    backend = MemoryBackend()
    written: list[int] = []
    write = backend.write
    backend.write = lambda changes, **how: (
        written.extend(len(c.keys) for c in changes if c.store == "win"),
        write(changes, **how),
    )  # type: ignore[method-assign,misc,assignment,func-returns-value]
    task = Task(StoreSpec("win", "window"), backend=backend)
    for n in range(100):
        task.stores.window("win").put(b"%d" % n, n, b"1", n)
    task.commit()
    written.clear()
    task.stores.window("win").expire(100)
    assert task.stores.window("win").starts() == []
    task.commit()
    assert sum(written) == 0
    assert backend.size_bytes() < 200


def test_a_put_after_the_expiry_of_its_window_stays() -> None:
    task = Task(StoreSpec("win", "window"))
    window = task.stores.window("win")
    window.put(b"a", 0, b"1", 0)
    window.put(b"b", 0, b"1", 0)
    task.commit()
    window.expire(5)
    window.put(b"a", 0, b"2", 0)
    window.expire(0)
    task.records.clear()
    task.commit()
    assert (window.get(b"a", 0), window.get(b"b", 0)) == (b"2", None)
    assert task.records == [("win", window_key(0, b"b"), None, 5), ("win", window_key(0, b"a"), b"2", 0)]


def test_an_expiry_during_a_commit_belongs_to_the_next() -> None:
    task = Task(StoreSpec("win", "window"))
    window = task.stores.window("win")
    window.put(b"a", 0, b"1", 0)
    task.commit()
    window.put(b"b", 0, b"1", 0)
    task.stores.begin_commit()
    window.expire(5)
    for _ in task.stores.finish_commit({"win": Checkpoint("t", 2)}):
        assert (window.get(b"a", 0), window.get(b"b", 0), window.starts()) == (None, None, [])
    assert (window.get(b"a", 0), window.get(b"b", 0), window.starts()) == (None, None, [])
    task.commit()
    assert task.backend.stores() == ["win"] and task.backend.get("win", window_key(0, b"a")) is None


def test_entries_that_expire_between_commits_vanish() -> None:
    task = Task(StoreSpec("ttl", ttl_ms=10))
    store = task.stores.key_value("ttl")
    store.put(b"stored", b"1", 0)
    store.put(b"fresh", b"1", 0)
    task.commit()
    task.records.clear()
    store.put(b"brief", b"1", 1)
    store.put(b"fresh", b"2", 5)
    assert store.expire(11) == [b"brief", b"stored"]  # type: ignore[union-attr]
    task.commit()
    assert task.records == [("ttl", b"fresh", b"2", 5), ("ttl", b"stored", None, 10)]
    with task.backend.scan(index_name("ttl")) as entries:
        assert [key for key, _ in entries] == [time_prefix(5) + b"fresh"]


def test_what_has_expired_is_looked_at_once_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(StoreSpec("ttl", ttl_ms=10))
    store = task.stores.key_value("ttl")
    store.put_many([b"%02d" % n for n in range(50)], [b"1"] * 50, list(range(50)))
    task.commit()
    looked: list[bytes] = []
    get_many = task.stores._pending["ttl"].get_many
    monkeypatch.setattr(task.stores._pending["ttl"], "get_many", lambda keys: looked.extend(keys) or get_many(keys))
    assert [store.expire(10 + n) for n in range(50)] == [[b"%02d" % n] for n in range(50)]  # type: ignore[union-attr]
    assert len(looked) == 50
    task.commit()
    with task.backend.scan(index_name("ttl")) as entries:
        assert list(entries) == []


def test_an_entry_put_again_outlives_its_old_index_entry() -> None:
    task = Task(StoreSpec("ttl", ttl_ms=10))
    store = task.stores.key_value("ttl")
    for timestamp in (0, 8):
        store.put(b"k", b"%d" % timestamp, timestamp)
        task.commit()
    assert store.expire(17) == []  # type: ignore[union-attr]
    task.commit()
    assert store.get(b"k") == b"8"
    assert store.expire(18) == [b"k"]  # type: ignore[union-attr]


def test_expired_entries_are_hidden_before_they_are_removed() -> None:
    task = Task(StoreSpec("ttl", ttl_ms=10))
    store = task.stores.key_value("ttl")
    store.put_many([b"a", b"b"], [b"1", b"1"], [0, 5])
    store.advance(10)  # type: ignore[union-attr]
    store.advance(3)  # type: ignore[union-attr]  # time does not go back
    assert (store.get(b"a"), store.get(b"b")) == (None, b"1")
    assert task.stores.get_many("ttl", [b"a", b"b"]) == [None, (b"1", 5)]
    with store.scan() as rows:
        assert list(rows) == [(b"b", b"1", 5)]


def test_a_ttl_may_come_change_and_go() -> None:
    backend = MemoryBackend()
    task = Task(StoreSpec("kv"), backend=backend)
    task.stores.put("kv", b"a", b"1", 0)
    task.commit()
    for ttl_ms, time, gone in ((100, 50, []), (20, 19, []), (20, 20, [b"a"])):
        task = Task(StoreSpec("kv", ttl_ms=ttl_ms), backend=backend)
        assert task.stores.key_value("kv").expire(time) == gone  # type: ignore[union-attr]
    Task(StoreSpec("kv"), backend=backend)
    assert backend.stores() == ["kv"]


def test_reads_see_changes_at_every_stage_of_a_commit() -> None:
    task = Task(StoreSpec("kv"))
    stores = task.stores
    stores.put("kv", b"old", b"1", 1)
    stores.begin_commit()
    assert stores.pending_entries == 0
    stores.put("kv", b"new", b"2", 2)
    stores.put("kv", b"old", None, 3)
    assert stores.get_many("kv", [b"old", b"new", b"none"]) == [None, (b"2", 2), None]
    for _ in stores.finish_commit({"kv": Checkpoint("t", 1)}):
        assert stores.get("kv", b"old") is None
    assert stores.pending_entries == 2
    task.commit()
    assert task.records == [("kv", b"old", b"1", 1), ("kv", b"new", b"2", 2), ("kv", b"old", None, 3)]


def test_unlogged_changes_reach_no_changelog() -> None:
    task = Task(StoreSpec("kv", logged=False))
    task.stores.put("kv", b"a", b"1", 1)
    task.stores.begin_commit()
    for _ in task.stores.finish_commit({}):
        pass
    assert (task.records, task.stores.get("kv", b"a")) == ([], (b"1", 1))


def test_slices_are_bounded_by_entries_and_bytes() -> None:
    task = Task(StoreSpec("kv"), slice_entries=10)
    task.stores.put_many("kv", [b"%d" % n for n in range(95)], [b"v"] * 95, [0] * 95)
    assert task.commit() == 10
    assert max(task.calls) == 10
    task.calls.clear()
    task.stores.put_many("kv", [b"%d" % n for n in range(6)], [bytes(SLICE_BYTES // 2)] * 6, [0] * 6)
    task.commit()
    assert max(task.calls) <= 2


def test_small_commits_of_several_stores_share_a_slice() -> None:
    task = Task(StoreSpec("a"), StoreSpec("b"), StoreSpec("c", ttl_ms=5))
    for store in "abc":
        task.stores.put(store, b"k", b"v", 0)
    assert task.commit() == 1
    assert task.commit() == 1


@pytest.mark.parametrize(("settings", "over"), [({"max_pending_entries": 3}, 3), ({"max_pending_bytes": 700}, 3)])
def test_bounds(settings: dict[str, int], over: int) -> None:
    task = Task(StoreSpec("a"), StoreSpec("b"), **settings)
    for n in range(over):
        assert not task.stores.over_bound()
        task.stores.put("a" if n % 2 else "b", b"%d" % n, bytes(30), 0)
        task.stores.put("a" if n % 2 else "b", b"%d" % n, bytes(33), 0)
    assert task.stores.over_bound()
    task.commit()
    assert not task.stores.over_bound()


def test_pending_bytes_follow_what_is_kept() -> None:
    task = Task(StoreSpec("kv"))
    for _ in range(1000):
        task.stores.put("kv", b"key", bytes(100), 0)
        task.stores.put_many("kv", [b"key", b"yek"], [bytes(100)] * 2, [0, 0])
    assert 0.5 * 206 < task.stores.pending_bytes - 2 * ENTRY_OVERHEAD_BYTES < 2 * 206


def test_abandoned_changes_are_gone() -> None:
    task = Task(StoreSpec("kv"), StoreSpec("win", "window"))
    task.stores.put("kv", b"a", b"1", 0)
    task.commit()
    task.stores.put("kv", b"a", b"2", 0)
    task.stores.begin_commit()
    task.stores.put("kv", b"a", b"3", 0)
    task.stores.abandon()
    assert task.stores.get("kv", b"a") == (b"1", 0)
    assert task.stores.pending_entries == task.stores.pending_bytes == 0
    task.commit()


def test_stores_of_an_older_topology_are_named_and_dropped() -> None:
    backend = MemoryBackend()
    task = Task(StoreSpec("old", ttl_ms=5), StoreSpec("kept"), backend=backend)
    task.stores.put("old", b"a", b"1", 0)
    task.commit()
    task = Task(StoreSpec("new"), StoreSpec("kept"), backend=backend)
    assert task.stores.undeclared_stores() == ["old"]
    assert task.stores.undeclared_stores(["old", "new"]) == ["kept"]
    task.stores.drop_store("old")
    assert task.stores.undeclared_stores() == []
    assert set(task.stores.checkpoints()) == {"kept"}
    assert backend.stores() == ["kept", "new"]
    again = Task(StoreSpec("old", "window"), backend=backend)
    assert again.stores.window("old").starts() == []


def _declare(name: str) -> Callable[[], object]:
    return lambda: StoreSpec(name)


@pytest.mark.parametrize(
    ("use", "error", "says"),
    [
        (_declare("a b"), StateError, "letters, digits"),
        (_declare(""), StateError, "letters, digits"),
        (lambda: StoreSpec("a", "window", ttl_ms=5), StateError, "windows use expire"),
        (lambda: StoreSpec("a", ttl_ms=0), StateError, "above 0"),
        (lambda: Task(StoreSpec("a")).stores.get("b", b""), UnknownStoreError, "store b is not declared; declared: a"),
        (lambda: Task(StoreSpec("a")).stores.window("a"), StateError, "a is a key_value store, not window"),
        (lambda: Task(StoreSpec("a")).stores.drop_store("a"), StateError, "declared by the topology"),
    ],
)
def test_refusals(use: Callable[[], object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        use()


def test_a_store_of_another_kind_is_refused() -> None:
    backend = MemoryBackend()
    task = Task(StoreSpec("a", ttl_ms=1), backend=backend)
    task.stores.put("a", b"k", b"v", 0)
    task.commit()
    with pytest.raises(StateError, match=r"key_value store on disk and window in the topology.*reset APP --store a"):
        Task(StoreSpec("a", "window"), backend=backend)
    task.stores.clear("a")
    Task(StoreSpec("a", "window"), backend=backend)
    with pytest.raises(StateError, match="window store on disk and key_value in the topology"):
        window = Task(StoreSpec("a", "window"), backend=backend)
        window.stores.window("a").put(b"k", 0, b"v", 0)
        window.commit()
        Task(StoreSpec("a"), backend=backend)


def test_a_commit_begun_twice_is_refused() -> None:
    task = Task(StoreSpec("a"))
    task.stores.put("a", b"k", b"v", 0)
    task.stores.begin_commit()
    with pytest.raises(StateError, match="last commit is not finished"):
        task.stores.begin_commit()


def test_changes_without_a_checkpoint_are_refused() -> None:
    task = Task(StoreSpec("a"))
    task.stores.put("a", b"k", b"v", 0)
    task.stores.begin_commit()
    with pytest.raises(StateError, match="needs its new checkpoint"):
        next(task.stores.finish_commit({}))


def test_an_expiry_that_finds_nothing_needs_no_checkpoint() -> None:
    task = Task(StoreSpec("win", "window"))
    task.stores.window("win").expire(100)
    task.stores.begin_commit()
    assert sum(1 for _ in task.stores.finish_commit({})) == 1
    assert task.records == []
