from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from broker_embedded.errors import KafkaStorageError

CHILD = """
import resource, sys, uuid
from pathlib import Path
from broker_embedded import records
from broker_embedded.errors import KafkaStorageError
from broker_embedded.log.config import LogConfig
from broker_embedded.log.partition import PartitionLog

folder = Path(sys.argv[1])
log = PartitionLog.open(folder, "orders", 0, LogConfig(index_interval_bytes=0), now_ms=lambda: 0,
                        clean_shutdown=True, topic_id=uuid.UUID(int=7))
batch = records.encode([None], [b"v" * 1000], [0])
limit = 10 * len(batch) + len(batch) // 2  # half of the eleventh batch fits
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
for number in range(20):
    try:
        log.append(batch)
    except KafkaStorageError as error:
        print(number, error.code, (folder / f"{0:020d}.log").stat().st_size // len(batch), error)
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append(batch)
print(log.log_end_offset, len(log.read(0, 1 << 20).data[0]) // len(batch))
"""


def test_a_file_that_may_not_grow(lab: Any, tmp_path: Any) -> None:
    folder = tmp_path / "orders-0"
    child = subprocess.run([sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, check=True)
    first, second = child.stdout.splitlines()
    assert first.startswith(f"10 56 10 {folder}/{0:020d}.log: append failed: File too large; raise the limit")
    assert second == "11 11"
    log = lab.open(folder, clean=False)
    assert [header.base_offset for header in lab.headers(lab.read_all(log))] == list(range(11))


class FullDisk:
    """Takes the first `left_bytes` bytes, then no more."""

    def __init__(self, left_bytes: int) -> None:
        self.left_bytes = left_bytes

    def pwritev(self, fd: int, buffers: Any, position: int) -> int:
        return self.pwrite(fd, b"".join(buffers), position)

    def pwrite(self, fd: int, data: Any, position: int) -> int:
        taken = min(self.left_bytes, len(data))
        if taken == 0:
            raise OSError(28, "No space left on device")
        self.left_bytes -= taken
        with open(f"/proc/self/fd/{fd}", "r+b") as file:
            file.seek(position)
            file.write(bytes(data[:taken]))
        return taken


@pytest.mark.parametrize("left_bytes", [0, 1, 16, 61, 80])
def test_no_space_leaves_the_log_as_it_was(lab: Any, monkeypatch: pytest.MonkeyPatch, left_bytes: int) -> None:
    log = lab.open()
    log.append(lab.produce(5, 0))
    before = lab.read_all(log)
    with monkeypatch.context() as full:
        disk = FullDisk(left_bytes)
        full.setattr(os, "pwritev", disk.pwritev)
        full.setattr(os, "pwrite", disk.pwrite)
        with pytest.raises(KafkaStorageError, match="No space left on device; the disk is full: free space"):
            log.append(lab.produce(5, 1))
    assert (log.folder / f"{0:020d}.log").stat().st_size == len(before)
    assert lab.read_all(log) == before
    assert log.append(lab.produce(5, 1)) == (1, 1, -1, False)
    log.sync()
    assert len(lab.headers(lab.read_all(lab.crash(log)))) == 2


def test_no_space_to_roll(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = lab.open(segment_bytes=100)
    log.append(lab.produce(5, 0))
    real_open = os.open

    def refuse(path: Any, flags: int, *rest: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(28, "No space left on device")
        return real_open(path, flags, *rest)

    with monkeypatch.context() as full:
        full.setattr(os, "open", refuse)
        with pytest.raises(KafkaStorageError, match="disk is full"):
            log.append(lab.produce(5, 1))
    assert log.append(lab.produce(5, 1)).base_offset == 1
    assert lab.names(log, ".log") == [f"{base:020d}.log" for base in (0, 1)]
    assert len(lab.headers(lab.read_all(lab.crash(log)))) == 2
