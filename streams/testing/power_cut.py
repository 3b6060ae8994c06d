"""A power cut, modelled on the data folder of a process that was killed: what was not synced may be gone.

Of the log, a `Ledger` in the process has noted what was synced; of the stores, RocksDB syncs its tables itself, and the
newest write-ahead log may lose any part of its end.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from random import Random

LOCK = ".lock"


class Ledger:
    """What is durable, in the order it became so. `note` is an observer for `broker_embedded.log.disk`.

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

    def synced(self) -> dict[str, int]:
        """Path to how many of its first bytes are durable."""
        rows = [json.loads(line) for line in self.path.read_text().split("\n")[:-1]]
        return {path: size_bytes for kind, path, size_bytes in rows if kind == "file"}


def cut_log(folder: Path, synced: dict[str, int], draw: Random) -> None:
    """Each file of the log loses an end of its own, at random: at most what was not synced.

    A file that was never synced may be gone altogether, and instead of missing an end may be zeros (file systems write
    the length before the data).
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LOCK):
        safe, size = min(synced.get(str(path), 0), path.stat().st_size), path.stat().st_size
        if safe < size or str(path) not in synced:
            _lose(path, draw.randint(safe, size), size, draw, may_go=str(path) not in synced)


def _lose(path: Path, kept: int, size: int, draw: Random, *, may_go: bool) -> None:
    fate = draw.random()
    if may_go and fate < 0.2:
        path.unlink()
        return
    os.truncate(path, kept)
    if fate > 0.8:
        os.truncate(path, size)


def cut_stores(folder: Path, draw: Random) -> None:
    """The newest write-ahead log of each task's RocksDB loses its end."""
    for task in sorted(path for path in folder.iterdir() if path.is_dir()):
        logs = sorted(task.glob("*.log"))
        if logs:
            os.truncate(logs[-1], draw.randint(0, logs[-1].stat().st_size))


def synced_digests(synced: dict[str, int]) -> dict[str, str]:
    """What the durable bytes of each segment are, to be compared with what is there after a start."""
    return {
        path: sha256(Path(path).read_bytes()[:size_bytes]).hexdigest()
        for path, size_bytes in synced.items()
        if path.endswith(".log") and Path(path).exists()
    }
