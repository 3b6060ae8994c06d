"""The layers above the pending changes: typed, cached, metered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.api import Checkpoint, StateError, StoreSpec
from state.backends.memory import MemoryBackend
from state.layers.cached import CachedStore
from state.layers.metered import MeteredStore
from state.layers.typed import Codec, TypedStore, TypedWindowStore
from state.task_stores import TaskStores

CODEC: Codec[str, int] = Codec(str.encode, bytes.decode, lambda n: b"%d" % n, int)


def _stores(*specs: StoreSpec) -> TaskStores:
    return TaskStores(MemoryBackend(), specs or [StoreSpec("kv")], lambda *change: None)


def _commit(stores: TaskStores) -> None:
    stores.begin_commit()
    for _ in stores.finish_commit({name: Checkpoint("t", 1) for name in stores.specs}):
        pass


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


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcdef"), st.none() | st.integers(0, 9)),
        st.tuples(st.just("get"), st.sampled_from("abcdef"), st.none()),
        st.tuples(st.just("commit"), st.just(""), st.none()),
    )
)


@given(operations, st.integers(1, 4))
def test_cached_store_is_a_dict(steps: list[tuple[str, str, int | None]], max_entries: int) -> None:
    stores = _stores()
    store = CachedStore(TypedStore(stores.key_value("kv"), CODEC), max_entries)
    stores.attach(store)
    model: dict[str, int | None] = {}
    for step, key, value in steps:
        if step == "put":
            store.put(key, value, 0)
            model[key] = value
        elif step == "get":
            assert store.get(key) == model.get(key)
        else:
            _commit(stores)
            assert stores.pending_entries == 0
        assert len(store._cache) <= max_entries
    _commit(stores)
    with TypedStore(stores.key_value("kv"), CODEC).scan() as rows:
        assert {key: value for key, value, _ in rows} == {k: v for k, v in model.items() if v is not None}


def test_cached_changes_are_pending_and_can_be_abandoned() -> None:
    stores = _stores()
    store = CachedStore(TypedStore(stores.key_value("kv"), CODEC), 10)
    stores.attach(store)
    store.put("a", 1, 0)
    assert stores.pending_entries == 1
    _commit(stores)
    store.put("a", 2, 0)
    stores.abandon()
    assert (store.get("a"), stores.pending_entries) == (1, 0)


def test_cached_values_are_encoded_once_a_commit() -> None:
    encoded: list[int] = []
    codec: Codec[str, int] = Codec(str.encode, bytes.decode, lambda n: (encoded.append(n), b"%d" % n)[1], int)
    store = CachedStore(TypedStore(_stores().key_value("kv"), codec), 10)
    for n in range(100):
        store.put("a", (store.get("a") or 0) + n, 0)
    store.flush()
    store.flush()
    assert encoded == [sum(range(100))]


def test_a_cache_above_a_ttl_is_refused() -> None:
    with pytest.raises(StateError, match="store t has a TTL"):
        CachedStore(TypedStore(_stores(StoreSpec("t", ttl_ms=1)).key_value("t"), CODEC), 10)


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
