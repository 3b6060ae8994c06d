"""Random work with commits, aborts, crashes between any two slices, and restores, against dicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.api import Backend, Checkpoint, StoreSpec
from state.backends.memory import MemoryBackend
from state.backends.rocks import RocksBackend
from state.budget import StateMemory
from state.keys import split_window_key, time_prefix, window_key
from state.restore import Restorer
from state.task_stores import TaskStores
from state.testing import copy_live_folder
from state.ttl import index_name

TTL_MS = 10
SPECS = [StoreSpec("kv"), StoreSpec("win", "window"), StoreSpec("ttl", ttl_ms=TTL_MS)]
TOPIC_ID = "t"

Table = dict[bytes, tuple[bytes, int]]
Step = tuple[Any, ...]
Row = tuple[int, bytes, bytes | None, int]


@dataclass
class World:
    """A task's stores, the changelogs they write to, and what must be in them."""

    backend: Backend
    crash: Callable[[Backend], Backend]
    log: dict[str, list[Row]] = field(default_factory=lambda: {spec.name: [] for spec in SPECS})
    ends: dict[str, int] = field(default_factory=lambda: {spec.name: 0 for spec in SPECS})
    sent: dict[str, list[Row]] = field(default_factory=dict)
    committed: dict[str, Table] = field(default_factory=lambda: {spec.name: {} for spec in SPECS})
    current: dict[str, Table] = field(default_factory=lambda: {spec.name: {} for spec in SPECS})
    time: int | None = None

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.stores = TaskStores(self.backend, SPECS, self.send, slice_entries=2)
        self.time = None

    def send(self, store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
        for key, value, timestamp in zip(keys, values, timestamps, strict=True):
            self.sent.setdefault(store, []).append((self.ends[store], key, value, timestamp))
            self.ends[store] += 1

    # -- what a task does -----------------------------------------------------------------------------------------

    def put(self, store: str, key: bytes, value: bytes | None, timestamp: int) -> None:
        self.stores.put(store, key, value, timestamp)
        _apply(self.current[store], key, value, timestamp)

    def put_many(self, store: str, entries: list[tuple[bytes, bytes | None, int]]) -> None:
        keys, values, timestamps = ([entry[at] for entry in entries] for at in range(3))
        self.stores.put_many(store, keys, values, timestamps)  # type: ignore[arg-type]
        for key, value, timestamp in entries:
            _apply(self.current[store], key, value, timestamp)

    def put_window(self, key: bytes, start: int, value: bytes | None) -> None:
        self.stores.window("win").put(key, start, value, start + 1)
        _apply(self.current["win"], window_key(start, key), value, start + 1)

    def expire_windows(self, before: int) -> None:
        gone = [key for key in self.current["win"] if split_window_key(key)[0] < before]
        self.stores.window("win").expire(before)
        for key in gone:
            del self.current["win"][key]

    def expire_entries(self, time: int) -> None:
        self.time = max(time, self.time or 0)
        gone = sorted(key for key, (_, timestamp) in self.current["ttl"].items() if timestamp + TTL_MS <= self.time)
        assert self.stores.key_value("ttl").expire(time) == gone  # type: ignore[union-attr]
        for key in gone:
            del self.current["ttl"][key]

    def do(self, steps: list[Step]) -> None:
        for name, *arguments in steps:
            getattr(self, name)(*arguments)
            self.check()

    # -- how a commit ends ----------------------------------------------------------------------------------------

    def commit(self, slices: int | None, meanwhile: list[Step]) -> None:
        """The transaction commits, work goes on, the local write stops after so many slices (None: it ends)."""
        self.stores.begin_commit()
        self._land()
        new = {store: Checkpoint(TOPIC_ID, end) for store, end in self.ends.items()}
        self.do(meanwhile)
        for number, _ in enumerate(self.stores.finish_commit(new)):
            if number == slices:
                assert set(self.stores.in_progress().values()) <= set(new.values())
                self.restart()
                return
        assert self.stores.in_progress() == {}
        assert self.stores.checkpoints() == new
        self.check()
        self.check_backend()

    def abort(self) -> None:
        """The transaction aborts: its records stay in the log as a gap."""
        self.stores.begin_commit()
        self.sent.clear()
        self.stores.abandon()
        self.current = {store: dict(table) for store, table in self.committed.items()}

    def lose_outcome(self) -> None:
        """The transaction committed, and nobody knows."""
        self.stores.begin_commit()
        self.stores.abandon()
        self._land()
        self.restore(None, keep=True)

    def restart(self, stop: int | None = None, keep: bool = False) -> None:
        """Crash and restore; with `stop`, crash once more after so many records of each store."""
        self.sent.clear()
        self.current = {store: dict(table) for store, table in self.committed.items()}
        self.backend = self.crash(self.backend)
        self.open()
        self.restore(stop, keep)

    def restore(self, stop: int | None, keep: bool) -> None:
        for store in self.log:
            restorer = Restorer(self.stores, store, topic_id=TOPIC_ID, log_end=self.ends[store])
            assert restorer.reason is None
            if stop is not None:
                self._feed(restorer, store, stop)
                for _ in restorer.save() if keep else ():
                    pass
        if stop is not None:
            return self.restart()
        for store in self.log:
            restorer = Restorer(self.stores, store, topic_id=TOPIC_ID, log_end=self.ends[store])
            self._feed(restorer, store, len(self.log[store]))
            restorer.feed(self.ends[store])
            for _ in restorer.finish():
                pass

    def _feed(self, restorer: Restorer, store: str, most: int) -> None:
        rows = [row for row in self.log[store] if row[0] >= restorer.position][:most]
        for at in range(0, len(rows), 3):
            part = rows[at : at + 3]
            restorer.feed(part[-1][0] + 1, [row[1] for row in part], [row[2] for row in part], [row[3] for row in part])

    def _land(self) -> None:
        for store, rows in self.sent.items():
            self.log[store].extend(rows)
            for _, key, value, timestamp in rows:
                _apply(self.committed[store], key, value, timestamp)
        self.sent.clear()
        self.ends = {store: end + 1 for store, end in self.ends.items()}  # the control record
        for store, table in self.committed.items():
            assert table == self.current[store], "the changelog does not say what the stores hold"

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        for store, table in self.current.items():
            fresh = {key: found for key, found in table.items() if store != "ttl" or self._lives(found[1])}
            with self.stores._inner(store).scan() as rows:
                assert list(rows) == [(key, *table[key]) for key in sorted(table)]
            for key in table:
                assert self.stores._inner(store).get(key) == table[key][0]
            keys = [b"", b"a", b"b", window_key(3, b"a")]
            assert self.stores.get_many(store, keys) == [fresh.get(key) for key in keys]
            assert [self.stores.get(store, key) for key in keys] == [fresh.get(key) for key in keys]
        assert self.stores.window("win").starts() == sorted({split_window_key(key)[0] for key in self.current["win"]})

    def check_backend(self) -> None:
        """Nothing is pending now: the backend holds exactly the tables, and the index every entry that may expire."""
        with self.backend.scan(index_name("ttl")) as entries:
            index = {key for key, _ in entries}
        assert index >= {time_prefix(timestamp) + key for key, (_, timestamp) in self.committed["ttl"].items()}

    def _lives(self, timestamp: int) -> bool:
        return self.time is None or timestamp + TTL_MS > self.time


def _apply(table: Table, key: bytes, value: bytes | None, timestamp: int) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = (value, timestamp)


keys = st.sampled_from([b"", b"a", b"b", b"\xff"])
values = st.none() | st.binary(max_size=3)
times = st.integers(0, 30)
tables = st.sampled_from(["kv", "ttl"])
work = st.one_of(
    st.tuples(st.just("put"), tables, keys, values, times),
    st.tuples(st.just("put_many"), tables, st.lists(st.tuples(keys, values, times), max_size=5)),
    st.tuples(st.just("put_window"), keys, st.integers(0, 4), values),
    st.tuples(st.just("expire_windows"), st.integers(0, 5)),
    st.tuples(st.just("expire_entries"), times),
)
ends = st.one_of(
    st.tuples(st.just("commit"), st.none() | st.integers(0, 5), st.lists(work, max_size=6)),
    st.tuples(st.just("commit"), st.none(), st.lists(work, max_size=6)),
    st.tuples(st.just("abort")),
    st.tuples(st.just("lose_outcome")),
    st.tuples(st.just("restart"), st.none() | st.integers(0, 4), st.booleans()),
)
rounds = st.lists(st.tuples(st.lists(work, min_size=2, max_size=8), ends), min_size=3, max_size=8)
operations = rounds.map(lambda parts: [step for part, end in parts for step in (*part, end)])


def run(world: World, steps: list[Step]) -> None:
    world.do(steps)
    world.commit(None, [])
    world.check()
    world.check_backend()
    world.restart()
    world.check()
    rebuilt = World(MemoryBackend(), lambda backend: backend, log=world.log, ends=world.ends)
    rebuilt.current = rebuilt.committed = world.committed
    rebuilt.restore(None, keep=True)
    rebuilt.check()
    rebuilt.check_backend()


@given(operations)
@settings(max_examples=150, deadline=None)
def test_memory(steps: list[Step]) -> None:
    run(World(MemoryBackend(), lambda backend: backend.copy()), steps)  # type: ignore[attr-defined]


def run_on_rocks(steps: list[Step]) -> None:
    memory, numbers = StateMemory(32 << 20), count()
    with TemporaryDirectory() as folder:

        def crash(backend: Backend) -> Backend:
            assert isinstance(backend, RocksBackend)
            left = copy_live_folder(backend.path, Path(folder, f"{next(numbers)}"))
            backend.close()
            return RocksBackend(left, memory)

        world = World(RocksBackend(Path(folder, "first"), memory), crash)
        run(world, steps)
        world.stores.close()


@given(operations)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rocks(steps: list[Step]) -> None:
    run_on_rocks(steps)


@pytest.mark.slow
@given(operations)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rocks_in_many(steps: list[Step]) -> None:
    run_on_rocks(steps)
