"""The versioned layer against the algorithm it has its rules from: a latest value, and intervals behind it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.api import Changes, Checkpoint, StateError, StoreSpec, Version
from state.backends.memory import MemoryBackend
from state.keys import TIME_MAX
from state.restore import Restorer
from state.task_stores import TaskStores


class Model:
    """Kafka Streams' `RocksDBVersionedStore` without segments and bytes."""

    def __init__(self, history_ms: int) -> None:
        self.history_ms = history_ms
        self.observed = -(10**9)
        self.latest: dict[bytes, tuple[int, bytes]] = {}
        self.spans: dict[bytes, list[tuple[int, int, bytes | None]]] = {}

    @property
    def limit(self) -> int:
        return self.observed - self.history_ms

    def put(self, key: bytes, value: bytes | None, time: int) -> int | None:
        if time < self.limit:
            return None
        self.observed = max(self.observed, time)
        spans, latest = self.spans.setdefault(key, []), self.latest.get(key)
        if latest is not None and time >= latest[0]:
            if time > latest[0]:
                spans.append((latest[0], time, latest[1]))
            if value is None:
                del self.latest[key]
            else:
                self.latest[key] = time, value
            return TIME_MAX
        for at, (start, end, old) in enumerate(spans):
            if start <= time < end:
                spans[at : at + 1] = [(time, end, value)] if start == time else [(start, time, old), (time, end, value)]
                return end
        later = [start for start, _, _ in spans if start > time] + ([latest[0]] if latest else [])
        if later:
            spans.append((time, min(later), value))
            spans.sort(key=lambda span: span[:2])
            return min(later)
        if value is not None:
            self.latest[key] = time, value
        elif all(end != time for _, end, _ in spans):
            spans.append((time, time, None))
        return TIME_MAX

    def get(self, key: bytes, as_of: int | None = None) -> Version | None:
        latest = self.latest.get(key)
        if latest is not None and (as_of is None or latest[0] <= as_of):
            return Version(latest[1], latest[0], None)
        if as_of is None or as_of < self.limit:
            return None
        for start, end, value in self.spans.get(key, ()):
            if start <= as_of < end and value is not None:
                return Version(value, start, end)
        return None


class Bench:
    """The store of a task, whose changelog is a list."""

    def __init__(self, history_ms: int) -> None:
        self.history_ms = history_ms
        self.backend = MemoryBackend()
        self.log: list[tuple[bytes, bytes | None, int]] = []
        self.open()

    def open(self) -> None:
        self.stores = TaskStores(self.backend, [StoreSpec("v", "versioned", history_ms=self.history_ms)], self._log)
        self.store = self.stores.versioned("v")

    def _log(self, store: str, keys: list[bytes], values: list[bytes | None], times: list[int]) -> None:
        self.log += zip(keys, values, times, strict=True)

    def commit(self) -> None:
        self.store.expire()
        self.stores.begin_commit()
        for _ in self.stores.finish_commit({"v": Checkpoint("t", len(self.log))}):
            pass
        self.store.trim()

    def restart(self, *, restored: bool) -> None:
        """From the backend, or with nothing left but the changelog."""
        observed = self.store.observed
        self.commit()
        if restored:
            self.backend = MemoryBackend()
        self.open()
        if restored and self.log:
            restorer = Restorer(self.stores, "v", topic_id="t", log_end=len(self.log))
            restorer.feed(len(self.log), *(list(column) for column in zip(*self.log, strict=True)))  # type: ignore[arg-type]
            for _ in restorer.finish():
                pass
        self.store.advance(observed)


KEYS = [b"", b"a", b"a\x80\x00\x00\x00\x00\x00\x00\x05", b"b"]
KEY, TIME = st.sampled_from(KEYS), st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEY, st.one_of(st.none(), st.sampled_from([b"x", b"y", b""])), TIME),
        st.tuples(
            st.just("put"), st.just(b"a"), st.one_of(st.none(), st.sampled_from([b"x", b"y"])), st.integers(5, 9)
        ),
        st.tuples(st.just("get"), KEY, TIME),
        st.sampled_from([("commit",), ("restart",), ("restore",)]),
    ),
    max_size=40,
)


def check(bench: Bench, model: Model) -> None:
    for key in KEYS:
        assert bench.store.get(key) == model.get(key)
        for time in range(-1, 33):
            assert bench.store.get(key, time) == model.get(key, time), (key, time)


@settings(max_examples=400, deadline=None)
@given(history_ms=st.sampled_from([0, 1, 3, 10, 100]), steps=STEPS)
def test_it_answers_as_the_model(history_ms: int, steps: list[tuple[Any, ...]]) -> None:
    bench, model = Bench(history_ms), Model(history_ms)
    for what, *arguments in steps:
        if what == "put":
            assert bench.store.put(*arguments) == model.put(*arguments)
        elif what == "get":
            assert bench.store.get(*arguments) == model.get(*arguments)
        elif what == "commit":
            bench.commit()
        else:
            bench.restart(restored=what == "restore")
    check(bench, model)
    bench.restart(restored=True)
    check(bench, model)


def test_what_is_too_old_leaves_store_and_changelog() -> None:
    bench = Bench(10)
    for time in range(200):
        bench.store.put(b"a", b"%d" % time, time)
        if time % 7 == 0:
            bench.commit()
    bench.commit()
    with bench.backend.scan("v") as rows:
        assert len(list(rows)) <= 10 + 5 + 2
    left = {key: value for key, value, _ in bench.log}
    assert sum(value is not None for value in left.values()) <= 10 + 5 + 2
    assert [version.valid_from for version in bench.store.history(b"a")] == list(range(189, 200))


def test_deleted_keys_leave_nothing_for_ever() -> None:
    bench = Bench(10)
    for number in range(50):
        bench.store.put(b"%d" % number, b"x", number)
        bench.store.put(b"%d" % number, None, number + 1)
    bench.store.put(b"last", b"x", 1000)
    bench.commit()
    with bench.backend.scan("v") as rows:
        assert len(list(rows)) == 1


def test_latest_and_delete() -> None:
    bench = Bench(100)
    for key, time in ((b"b", 5), (b"a", 6), (b"b", 9), (b"c", 7)):
        bench.store.put(key, b"%d" % time, time)
    assert bench.store.delete(b"c", 8) == Version(b"7", 7, None)
    assert bench.store.delete(b"b", 7) == Version(b"5", 5, 9)
    latest = [(b"a", b"6", 6), (b"b", b"9", 9)]
    for bounds, expected in (((), latest), ((b"b",), latest[1:]), ((None, b"b"), latest[:1])):
        for reverse in (False, True):
            with bench.store.scan(*bounds, reverse=reverse) as rows:
                assert list(rows) == (expected[::-1] if reverse else expected)
    assert bench.store.history(b"none") == []
    assert bench.store.get(b"b", 8) is None and bench.store.get(b"b", 6) == Version(b"5", 5, 7)


def test_time_that_is_held_back_takes_what_is_late() -> None:
    bench = Bench(10)
    bench.store.bound = 5
    bench.store.put(b"a", b"x", 100)
    assert bench.store.put(b"a", b"y", 0) == 100
    bench.store.bound = 50
    assert bench.store.put(b"a", b"z", 30) is None


def test_after_abandon_it_is_as_it_was_committed() -> None:
    bench = Bench(10)
    bench.store.put(b"a", b"x", 1)
    bench.commit()
    bench.store.put(b"a", b"y", 2)
    bench.stores.abandon()
    assert bench.store.get(b"a") == Version(b"x", 1, None)


def test_errors() -> None:
    for bad in ({"kind": "versioned"}, {"history_ms": 1}, {"kind": "versioned", "history_ms": -1}):
        with pytest.raises(StateError, match="history_ms"):
            StoreSpec("v", **bad)  # type: ignore[arg-type]
    backend = MemoryBackend()
    TaskStores(backend, [StoreSpec("v")], lambda *change: None)
    backend.write([Changes("v", [b"k"], [b"v"])])
    with pytest.raises(StateError, match="is a key_value store on disk and versioned in the topology"):
        TaskStores(backend, [StoreSpec("v", "versioned", history_ms=1)], lambda *change: None)
