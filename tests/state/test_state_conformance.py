"""Both backends pass the published suite; and the suite notices backends that break a rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from state.api import Changes
from state.backends.memory import MemoryBackend
from state.backends.rocks import RocksBackend
from state.budget import StateMemory
from state.testing import check_store, copy_live_folder


def test_memory_backend_passes() -> None:
    check_store(MemoryBackend, crash=lambda backend: backend.copy())


def test_rocks_backend_passes(tmp_path: Path) -> None:
    numbers, memory = count(), StateMemory(32 << 20)

    def make() -> RocksBackend:
        return RocksBackend(tmp_path / f"{next(numbers)}", memory)

    def crash(backend: RocksBackend) -> RocksBackend:
        return RocksBackend(copy_live_folder(backend.path, tmp_path / f"{next(numbers)}"), memory)

    check_store(make, crash=crash)


class Unsorted(MemoryBackend):
    @contextmanager
    def scan(
        self, store: str, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        with super().scan(store, start, stop) as entries:
            yield entries


class ClearsLast(MemoryBackend):
    def write(self, changes: Sequence[Changes], *, durable: bool = True, sync: bool = False) -> None:
        super().write([change._replace(cleared=None) for change in changes])
        super().write([Changes(change.store, [], [], change.cleared) for change in changes])


class TearsBatches(MemoryBackend):
    def copy(self) -> MemoryBackend:
        twin = super().copy()
        if "b" in twin.stores():
            twin.write([Changes("b", [b"n"], [None])])
        return twin


class ForgetsLast(MemoryBackend):
    """A crash takes the last change of the last batch: the checkpoint of a commit."""

    def copy(self) -> MemoryBackend:
        twin = super().copy()
        if "kv" in twin.stores():
            twin.write([Changes("kv", [], [], (b"", b"9"))])
        return twin


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Unsorted, "check_scans"),
        (ClearsLast, "check_cleared"),
        (TearsBatches, "check_crash_keeps_batches"),
        (ForgetsLast, "check_crash_in_commit"),
    ],
)
def test_suite_notices(broken: type[MemoryBackend], check: str) -> None:
    with pytest.raises(AssertionError, match=check):
        check_store(broken, crash=lambda backend: backend.copy())
