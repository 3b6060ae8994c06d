"""A place to make logs in: folders, a clock that stands still, batches, kill -9."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_embedded import records
from broker_embedded.log import disk
from broker_embedded.log.compaction import Compaction
from broker_embedded.log.config import LogConfig
from broker_embedded.log.partition import PartitionLog

TOPIC_ID = uuid.UUID(int=7)
NOW_MS = 1_700_000_000_000


class Lab:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = itertools.count()
        self._logs: list[PartitionLog] = []
        self.now_ms = NOW_MS

    def open(
        self,
        folder: Path | None = None,
        *,
        clean: bool = True,
        recovery_point: int = 0,
        log_start_offset: int = 0,
        **config: Any,
    ) -> PartitionLog:
        """A log in `folder`; in a new one without."""
        log = PartitionLog.open(
            folder or self._root / f"orders-{next(self._numbers)}",
            "orders",
            0,
            LogConfig(**config),
            now_ms=lambda: self.now_ms,
            clean_shutdown=clean,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            topic_id=TOPIC_ID,
        )
        self._logs.append(log)
        return log

    def kill(self, log: PartitionLog) -> Path:
        """What is left after kill -9: what was written, and nothing that close would write."""
        log._release()
        return log.folder

    def crash(self, log: PartitionLog, **config: Any) -> PartitionLog:
        """Kill it and open it again."""
        return self.open(self.kill(log), clean=False, recovery_point=log.recovery_point, **config)

    def restart(self, log: PartitionLog, **config: Any) -> PartitionLog:
        """Close it and open it again."""
        log.close()
        return self.open(log.folder, **config)

    @staticmethod
    def compact(log: PartitionLog, first_dirty: int = 0, max_map_bytes: int = 1 << 20) -> int:
        """As the cleaner does, in one thread; up to where the log is clean then."""
        log.sync()
        cleanable = log.cleanable(first_dirty, log.log_end_offset)
        run = Compaction(log.plan_compaction(cleanable), max_map_bytes)
        run.read_keys()
        for group in list(run.groups()):
            cleaned = run.clean(group)
            assert log.replace(cleaned)
            disk.sync_folder(str(log.folder))
            log.settle(cleaned)
        return run.end_offset

    @staticmethod
    def keyed(*rows: tuple[str, str | None], timestamp: int = NOW_MS, **fields: Any) -> bytearray:
        """A batch of keys and values."""
        keys, values = zip(*rows, strict=True)
        data = [None if value is None else value.encode() for value in values]
        return records.encode([key.encode() for key in keys], data, [timestamp] * len(rows), **fields)

    @staticmethod
    def batch(count: int = 1, *, value_bytes: int = 20, timestamp: int = NOW_MS, **fields: Any) -> bytearray:
        values = [b"%d" % i * value_bytes for i in range(count)]
        return records.encode([b"k"] * count, values, [timestamp] * count, **fields)

    @staticmethod
    def produce(producer_id: int, sequence: int, count: int = 1, epoch: int = 0, txn: bool = False) -> bytearray:
        return Lab.batch(
            count, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, is_transactional=txn
        )

    @staticmethod
    def stored(batch: bytearray, base_offset: int) -> bytes:
        """A batch as the log has it."""
        copy = bytearray(batch)
        records.set_offset(copy, base_offset, 0)
        return bytes(copy)

    @staticmethod
    def read_all(log: PartitionLog, max_bytes: int = 1 << 20, **options: Any) -> bytes:
        offset, pieces = log.log_start_offset, []
        while (result := log.read(offset, max_bytes, **options)).data:
            assert result.next_offset > offset
            offset = result.next_offset
            pieces += result.data
        return b"".join(pieces)

    def rows(self, log: PartitionLog) -> list[tuple[int, str, str | None]]:
        """Offset, key and value of every record, markers left out."""
        found = []
        for header, batch in records.batches(self.read_all(log)):
            if not header.is_control:
                columns = records.decode(batch)
                for offset, key, value in zip(columns.offsets.tolist(), columns.keys(), columns.values(), strict=True):
                    found.append((offset, (key or b"").decode(), None if value is None else value.decode()))
        return found

    @staticmethod
    def headers(data: bytes) -> list[records.BatchHeader]:
        return [header for header, _ in records.batches(data)]

    @staticmethod
    def names(log: PartitionLog, suffix: str = "") -> list[str]:
        return sorted(path.name for path in log.folder.iterdir() if path.name.endswith(suffix))

    def release(self) -> None:
        for log in self._logs:
            if log.folder.exists():
                log._release()
        self._logs.clear()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # no power is cut in earnest, and disks are slow
    lab = Lab(tmp_path)
    yield lab
    lab.release()
