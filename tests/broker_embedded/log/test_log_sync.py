from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log import disk

fast = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Durable:
    """What a disk holds after a power cut: the names in synced folders, and of each file the bytes that were synced."""

    def __init__(self) -> None:
        self.size_bytes: dict[str, int] = {}
        self.names: set[str] = set()

    def __call__(self, event: str, path: str, size_bytes: int) -> None:
        if event == "file":
            self.size_bytes[path] = size_bytes
        else:
            self.names = {name for name in self.names if os.path.dirname(name) != path}
            self.names |= {os.path.join(path, name) for name in os.listdir(path)}

    def cut_power(self, folder: Path, draw: Any) -> None:
        """Of what was not synced any part may be there: a name or not, a file whole, cut, or with zeros in it."""
        if str(folder) not in self.names:
            shutil.rmtree(folder)
            return
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            synced = min(self.size_bytes.get(str(path), 0), len(content))
            kept = draw(st.integers(synced, len(content)))
            if str(path) not in self.names and draw(st.booleans()):
                path.unlink()
            elif draw(st.booleans()):
                path.write_bytes(content[:synced] + bytes(kept - synced))
            else:
                path.write_bytes(content[:kept])


@pytest.fixture
def durable() -> Iterator[Durable]:
    disk.observer = Durable()
    yield disk.observer
    disk.observer = None


STEPS = st.lists(st.sampled_from(["append", "append", "big", "txn", "commit", "abort", "sync", "restart"]), max_size=40)


@fast
@given(STEPS, st.data())
def test_power_cut_keeps_what_was_synced(lab: Any, durable: Durable, steps: list[str], data: Any) -> None:
    config = {"segment_bytes": 500, "index_interval_bytes": 100}
    log = lab.open(**config)
    synced = sequence = recovery_point = 0
    for step in steps:
        if step in ("append", "big"):
            log.append(lab.batch(value_bytes=200 if step == "big" else 1))
        elif step == "txn":
            log.append(lab.produce(5, sequence, txn=True))
            sequence += 1
        elif step in ("commit", "abort"):
            log.append_marker(5, 0, commit=step == "commit")
        elif step == "sync":
            log.sync()
            synced, recovery_point = log.log_end_offset, log.recovery_point
            assert recovery_point == synced
        else:
            log = lab.restart(log, **config)
            synced = log.log_end_offset
    before = lab.read_all(log)
    folder = lab.kill(log)
    durable.cut_power(folder, data.draw)
    log = lab.open(folder, clean=False, recovery_point=recovery_point, **config)
    after = lab.read_all(log)
    assert log.log_end_offset >= synced
    assert before.startswith(after)
    opened: dict[int, int] = {}
    for header in lab.headers(after):
        if header.is_control:
            opened.pop(header.producer_id, None)
        elif header.is_transactional:
            opened.setdefault(header.producer_id, header.base_offset)
    assert log.open_transactions() == opened
    lab.release()


def test_close_syncs_all(lab: Any, durable: Durable) -> None:
    log = lab.open(segment_bytes=300)
    for sequence in range(10):
        log.append(lab.produce(5, sequence, txn=True))
    log.append_marker(5, 0, commit=False)
    log.close()
    for path in log.folder.iterdir():
        assert str(path) in durable.names
        if path.suffix in (".log", ".index", ".timeindex", ".txnindex", ".snapshot"):
            assert durable.size_bytes.get(str(path)) == path.stat().st_size, path.name


def test_a_clean_log_is_closed_without_a_sync(lab: Any, durable: Durable) -> None:
    log = lab.restart(_with(lab, 3))
    durable.size_bytes.clear()
    log.close()
    assert durable.size_bytes == {}


def test_what_is_made_again_is_synced_by_close(lab: Any, durable: Durable) -> None:
    log = lab.open(segment_bytes=300)
    for sequence in range(6):
        log.append(lab.produce(5, sequence, txn=True))
        log.append_marker(5, 0, commit=False)
    log.close()
    first = log.folder / f"{0:020d}.txnindex"
    first.write_bytes(b"damaged")
    durable.size_bytes.clear()
    lab.restart(lab.open(log.folder, segment_bytes=300))
    assert durable.size_bytes[str(first)] == first.stat().st_size
    assert len(lab.names(log, ".log")) > 2


def _with(lab: Any, count: int, **config: Any) -> Any:
    log = lab.open(**config)
    for _ in range(count):
        log.append(lab.batch())
    return log


def test_only_the_last_segment_is_synced_again(lab: Any, durable: Durable) -> None:
    log = _with(lab, 10, segment_bytes=300)
    log.sync()
    durable.size_bytes.clear()
    log.append(lab.batch())
    log.sync()
    assert list(durable.size_bytes) == [str(log.folder / lab.names(log, ".log")[-1])]
    durable.size_bytes.clear()
    log.sync()
    assert durable.size_bytes == {}


@pytest.mark.parametrize(
    ("config", "appends", "later_ms", "needed"),
    [
        ({}, 0, 10**9, False),
        ({}, 3, 10**9, False),
        ({"flush_messages": 4}, 3, 0, False),
        ({"flush_messages": 3}, 3, 0, True),
        ({"flush_ms": 100}, 3, 99, False),
        ({"flush_ms": 100}, 3, 100, True),
        ({"flush_ms": 100}, 0, 100, False),
        ({"segment_bytes": 200}, 3, 0, True),
    ],
)
def test_needs_sync(lab: Any, config: dict[str, Any], appends: int, later_ms: int, needed: bool) -> None:
    log = _with(lab, appends, **config)
    lab.now_ms += later_ms
    assert log.needs_sync() == needed
    log.sync()
    assert not log.needs_sync()
    assert log.recovery_point == appends


def test_sync_in_another_thread(lab: Any) -> None:
    log = lab.open(segment_bytes=2_000, index_interval_bytes=100, retention_bytes=10_000, retention_ms=-1)
    stop = threading.Event()
    failures: list[Exception] = []

    def keep_syncing() -> None:
        while not stop.is_set():
            try:
                log.sync()
            except (KafkaStorageError, OSError) as error:
                failures.append(error)
                return

    thread = threading.Thread(target=keep_syncing)
    thread.start()
    for number in range(1_500):
        log.append(lab.batch(value_bytes=number % 50))
        if number % 100 == 0:
            log.enforce_retention()
        if number % 400 == 0:
            log.truncate_to(log.log_end_offset - 3)
    stop.set()
    thread.join()
    log.sync()
    assert failures == []
    assert log.recovery_point == log.log_end_offset
    data = lab.read_all(log)
    assert lab.read_all(lab.crash(log)) == data


def test_a_failed_sync_moves_nothing(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _with(lab, 2)

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(KafkaStorageError, match=r"\.log: fsync failed: Input/output error; the disk fails: stop"):
            log.sync()
    assert log.recovery_point == 0
    log.sync()
    assert log.recovery_point == 2


def test_an_epoch_is_on_the_disk_after_a_clean_stop(lab: Any, durable: Durable) -> None:
    log = lab.restart(lab.open())
    log.begin_epoch(3)
    durable.size_bytes.clear()
    log.close()
    path = log.folder / "leader-epoch-checkpoint"
    assert durable.size_bytes[str(path)] == path.stat().st_size
