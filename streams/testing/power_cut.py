"""A power cut, modelled on the data folder of a process that was killed: what was not synced may be gone.

A `Ledger` in the process has noted what was synced. RocksDB syncs its tables and the write-ahead logs that it has done
with itself: of the stores only the newest write-ahead log may lose anything.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any

from broker_embedded.log import disk
from state.backends.rocks import RocksBackend

LOCK = ".lock"
WAL = "*.log"


class Ledger:
    """What is durable, in the order it became so.

    >>> import tempfile
    >>> ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger")
    >>> ledger.note("file", "/data/log/flights-0/00000000000000000000.log", 120)
    >>> ledger.synced()
    {'/data/log/flights-0/00000000000000000000.log': 120}
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, kind: str, path: str, size_bytes: int) -> None:
        os.write(self._file, json.dumps([kind, path, size_bytes]).encode() + b"\n")

    def watch(self) -> None:
        """Notes what this process syncs from now on: files of the log, and write-ahead logs of stores."""
        disk.observer = self.note
        write = RocksBackend.write

        def noting(backend: RocksBackend, *changes: Any, sync: bool = False, **options: Any) -> None:
            write(backend, *changes, sync=sync, **options)
            if sync:
                newest = max(backend.path.glob(WAL))
                self.note("file", str(newest), newest.stat().st_size)

        RocksBackend.write = noting  # type: ignore[method-assign,assignment]

    def synced(self) -> dict[str, int]:
        """Path to how many of its first bytes are durable."""
        rows = [json.loads(line) for line in self.path.read_text().split("\n")[:-1]]
        return {path: size_bytes for kind, path, size_bytes in rows if kind == "file"}


def cut_log(folder: Path, synced: dict[str, int], draw: Random) -> int:
    """Each file of the log loses an end of its own, at random: at most what was not synced. Returns how many bytes.

    A file that was never synced may be gone altogether, a segment only if those after it are: file systems forget names
    in the order in which they were made. Instead of missing, an end may be zeros: lengths may be written before data.
    """
    lost = 0
    followed: set[Path] = set()
    for path in sorted((path for path in folder.rglob("*") if path.is_file() and path.name != LOCK), reverse=True):
        may_go = str(path) not in synced and not (path.suffix == ".log" and path.parent in followed)
        lost += _lose(path, synced.get(str(path), 0), draw, may_go=may_go)
        if path.suffix == ".log" and path.exists():
            followed.add(path.parent)
    return lost


def _lose(path: Path, synced: int, draw: Random, *, may_go: bool) -> int:
    size, fate = path.stat().st_size, draw.random()
    kept = draw.randint(min(synced, size), size)
    if may_go and fate < 0.2:
        path.unlink()
        return size
    os.truncate(path, kept)
    if fate > 0.8:
        os.truncate(path, size)
    return size - kept


def cut_stores(folder: Path, synced: dict[str, int], draw: Random) -> int:
    """The newest write-ahead log of each database below `folder` loses its end. Returns how many bytes."""
    lost = 0
    for database in sorted(path.parent for path in folder.rglob("CURRENT")):
        for newest in sorted(database.glob(WAL))[-1:]:
            size = newest.stat().st_size
            kept = draw.randint(synced.get(str(newest), 0), size)
            os.truncate(newest, kept)
            lost += size - kept
    return lost


def durable(synced: dict[str, int]) -> dict[str, bytes]:
    """The bytes of each segment that a power cut cannot take: after any number of starts they are still there."""
    return {
        path: Path(path).read_bytes()[:size_bytes]
        for path, size_bytes in synced.items()
        if path.endswith(".log") and Path(path).exists()
    }
