"""The layers above the pending changes: typed, metered."""

from __future__ import annotations

from state.api import StoreSpec
from state.backends.memory import MemoryBackend
from state.layers.metered import MeteredStore
from state.layers.typed import Codec, TypedStore, TypedWindowStore
from state.task_stores import TaskStores

CODEC: Codec[str, int] = Codec(str.encode, bytes.decode, lambda n: b"%d" % n, int)


def _stores(*specs: StoreSpec) -> TaskStores:
    return TaskStores(MemoryBackend(), specs or [StoreSpec("kv")], lambda *change: None)


def test_typed_store() -> None:
    store = TypedStore(_stores().key_value("kv"), CODEC)
    store.put_many(["c", "a", "b"], [3, 1, None], [30, 10, 20])
    store.put("d", 4, 40)
    assert (store.get("a"), store.get("b"), store.get_stamped("c"), store.get_stamped("x")) == (1, None, (3, 30), None)
    assert store.get_many(["d", "b"]) == [(4, 40), None]
    with store.scan("b", reverse=True) as rows:
        assert list(rows) == [("d", 4, 40), ("c", 3, 30)]
    with store.scan(stop="c") as rows:
        assert list(rows) == [("a", 1, 10)]


def test_typed_window_store() -> None:
    store = TypedWindowStore(_stores(StoreSpec("w", "window")).window("w"), CODEC)
    store.put("a", -10, 1, 5)
    store.put("b", -10, 2, 6)
    store.put("a", 0, 3, 7)
    store.put("b", -10, None, 8)
    assert (store.get("a", -10), store.get("b", -10)) == (1, None)
    with store.block(-10) as rows:
        assert list(rows) == [("a", 1, 5)]


def test_metered_store_counts() -> None:
    store = MeteredStore(_stores().key_value("kv"))
    store.put_many([b"a", b"b"], [b"1", None], [0, 0])
    store.put(b"c", b"1", 0)
    store.get(b"a")
    store.get_stamped(b"a")
    assert store.get_many([b"a", b"x"]) == [(b"1", 0), None]
    with store.scan() as rows:
        assert store.metrics.open_iterators == 1
        assert len(list(rows)) == 2
    metrics = store.metrics
    assert (metrics.get_total, metrics.put_total, metrics.delete_total, metrics.range_total) == (4, 2, 1, 1)
    assert metrics.open_iterators == 0
    assert metrics.get_ns_total > 0 and metrics.put_ns_total > 0
