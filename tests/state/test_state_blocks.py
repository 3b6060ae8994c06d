"""Blocks of columns put into a store: whatever else happens around them, it is as if their records were put singly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from state.api import Checkpoint, StoreSpec
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.spans import Spans

KEYS = [b"", b"a", b"b", b"bb", b"c", b"d", b"e\xff"]
keys = st.sampled_from(KEYS)
values = st.none() | st.binary(max_size=3)
entries = st.lists(st.tuples(keys, values, st.integers(0, 50)), max_size=5)
blocks = st.lists(st.tuples(keys, values, st.integers(0, 50)), max_size=6, unique_by=lambda entry: entry[0])


def spans(pieces: list[bytes | None]) -> Spans:
    stops = np.cumsum([len(piece or b"") for piece in pieces], dtype=np.int64)
    starts = stops - np.array([len(piece or b"") for piece in pieces], np.int64)
    null = np.array([piece is None for piece in pieces], bool)
    return Spans(b"".join(piece or b"" for piece in pieces), np.where(null, -1, starts), np.where(null, -1, stops))


class Stores:
    def __init__(self, spec: StoreSpec) -> None:
        self.backend = MemoryBackend()
        self.log: list[tuple[bytes, bytes | None, int]] = []
        self.stores = TaskStores(self.backend, [spec], self._write, slice_entries=2)
        self.inner = self.stores._inner(spec.name)

    def _write(self, store: str, keys: Any, values: Any, timestamps: Any) -> None:
        if isinstance(keys, Spans):
            keys, values, timestamps = keys.cut(), values.cut(), timestamps.tolist()
        self.log += zip(keys, values, timestamps, strict=True)


class BlocksAreEntries(RuleBasedStateMachine):
    """Two stores, one of them given blocks, the other the same records one by one."""

    spec = StoreSpec("s")

    def __init__(self) -> None:
        super().__init__()
        self.mine, self.plain = Stores(self.spec), Stores(self.spec)
        self.both = (self.mine, self.plain)
        self.since: set[bytes] = set()
        self.committing = False

    @rule(entry=st.tuples(keys, values, st.integers(0, 50)))
    def put(self, entry: tuple[bytes, bytes | None, int]) -> None:
        for one in self.both:
            one.stores.put("s", *entry)

    @rule(chosen=entries)
    def put_many(self, chosen: list[tuple[bytes, bytes | None, int]]) -> None:
        for one in self.both:
            one.stores.put_many(
                "s", *(list(column) for column in zip(*chosen, strict=True)) if chosen else ([], [], [])
            )

    @rule(chosen=blocks, more=st.booleans())
    def put_block(self, chosen: list[tuple[bytes, bytes | None, int]], more: bool) -> None:
        mine = {key for key, _, _ in chosen}
        more, self.since = more and not mine & self.since, self.since | mine
        times = np.array([time for _, _, time in chosen], np.int64)
        columns = spans([key for key, _, _ in chosen]), spans([value for _, value, _ in chosen]), times
        self.mine.stores.put_block("s", *columns, more=more)
        for entry in chosen:
            self.plain.stores.put("s", *entry)

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        assert self.mine.stores.get("s", key) == self.plain.stores.get("s", key)
        assert self.mine.inner.get(key) == self.plain.inner.get(key)

    @rule(chosen=st.lists(keys, max_size=4))
    def get_many(self, chosen: list[bytes]) -> None:
        assert self.mine.stores.get_many("s", chosen) == self.plain.stores.get_many("s", chosen)

    @rule(start=st.none() | keys, stop=st.none() | keys, reverse=st.booleans())
    def scan(self, start: bytes | None, stop: bytes | None, reverse: bool) -> None:
        mine, plain = (self._scan(one, start, stop, reverse) for one in self.both)
        assert mine == plain

    def _scan(self, one: Stores, start: bytes | None, stop: bytes | None, reverse: bool) -> list[Any]:
        with one.inner.scan(start, stop, reverse=reverse) as rows:
            return list(rows)

    @rule(chosen=st.lists(keys, max_size=4), time=st.integers(0, 50))
    def delete_many(self, chosen: list[bytes], time: int) -> None:
        for one in self.both:
            one.inner.delete_many(list(dict.fromkeys(chosen)), [time] * len(set(chosen)))

    @rule(stop=keys, time=st.integers(0, 50))
    def clear_before(self, stop: bytes, time: int) -> None:
        for one in self.both:
            one.inner.clear_before(stop, time)

    @rule(time=st.integers(0, 50))
    def older_than(self, time: int) -> None:
        assert sorted(self.mine.inner.older_than(time)) == sorted(self.plain.inner.older_than(time))

    @precondition(lambda self: not self.committing)
    @rule()
    def begin_commit(self) -> None:
        self.committing = True
        self.since.clear()
        for one in self.both:
            one.log.clear()
            one.stores.begin_commit()
        assert sorted(self.mine.log, key=str) == sorted(self.plain.log, key=str)

    @precondition(lambda self: self.committing)
    @rule()
    def finish_commit(self) -> None:
        self.committing = False
        for one in self.both:
            for _ in one.stores.finish_commit({"s": Checkpoint("t", 1)}):
                pass
        assert self.mine.backend._maps == self.plain.backend._maps

    @rule()
    def abandon(self) -> None:
        self.committing = False
        self.since.clear()
        for one in self.both:
            one.stores.abandon()

    @invariant()
    def as_many_are_pending(self) -> None:
        assert self.mine.inner.pending_entries == self.plain.inner.pending_entries
        assert self.mine.inner.clean == self.plain.inner.clean


class ExpiringBlocksAreEntries(BlocksAreEntries):
    spec = StoreSpec("s", ttl_ms=10)

    @rule(time=st.integers(0, 50))
    def expire(self, time: int) -> None:
        assert self.mine.stores.expire("s", time) == self.plain.stores.expire("s", time)


TestBlocksAreEntries = BlocksAreEntries.TestCase
TestBlocksAreEntries.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestExpiringBlocksAreEntries = ExpiringBlocksAreEntries.TestCase
TestExpiringBlocksAreEntries.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_a_commit_of_blocks_cuts_nothing_before_the_changelog(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, type]] = []
    stores = TaskStores(
        MemoryBackend(),
        [StoreSpec("s")],
        lambda store, keys, values, times: written.append((len(times), type(keys))),
        slice_entries=3,
    )
    monkeypatch.setattr(Spans, "cut", lambda _: pytest.fail("a block was cut"))
    for at in (0, 4):
        mine = [b"%d" % n for n in range(at, at + 4)]
        stores.put_block("s", spans(mine), spans(mine), np.arange(4), more=at > 0)
    assert stores.pending_entries == 8
    assert stores.pending_bytes > 0
    stores.begin_commit()
    assert written == [(3, Spans), (1, Spans), (3, Spans), (1, Spans)]
