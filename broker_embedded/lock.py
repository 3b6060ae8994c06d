"""The lock of a data folder: one process serves it at a time, and says who it is.

`flock` on `<data>/.lock` decides; the file's JSON only tells others who holds it. The kernel gives a lock back when its
holder ends, however it ends, so a lock left by `kill -9` is taken over without a word and a reused pid means nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import weakref
from datetime import datetime
from pathlib import Path

LOCK_NAME = ".lock"


class FolderInUseError(RuntimeError):
    """A living process holds the data folder: `pid`, `program` and `since` say which, None where it left no word."""

    def __init__(self, folder: Path, pid: int | None, program: str | None, since: str | None) -> None:
        self.folder, self.pid, self.program, self.since = folder, pid, program, since
        who = f"process {pid} ({program}) since {since}" if pid is not None else "another process"
        stop = f"stop it first (kill {pid})" if pid is not None else "stop it first"
        super().__init__(
            f"data folder {folder} is in use by {who}. One process serves a folder at a time: "
            f"{stop}, or give this one a folder of its own (data_dir)."
        )


class FolderLock:
    """Holds a data folder until `release`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> lock = FolderLock.take(folder)
    >>> try:
    ...     FolderLock.take(folder)
    ... except FolderInUseError as error:
    ...     error.pid == os.getpid()
    True
    >>> lock.release()
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> FolderLock:
        """Lock `folder`, which exists. Raises FolderInUseError when someone holds it, this process included."""
        path = folder / LOCK_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _in_use(folder, path) from None
        except OSError:
            os.close(descriptor)
            raise
        holder = {
            "pid": os.getpid(),
            "program": _program(),
            "since": datetime.now().astimezone().isoformat("T", "seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        lock = cls(descriptor)
        _held.add(lock)
        return lock

    def release(self) -> None:
        """Give the folder back. A second call does nothing."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1
            _held.discard(self)


_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A forked child shares the lock and would hold the folder beyond its parent's death.
    for lock in _held:
        os.close(lock._descriptor)
        lock._descriptor = -1
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _program() -> str:
    return " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:]]) if sys.argv else "python"


def _in_use(folder: Path, path: Path) -> FolderInUseError:
    try:
        holder = json.loads(path.read_text())
        return FolderInUseError(folder, holder["pid"], holder["program"], holder["since"])
    except (ValueError, KeyError, TypeError):  # taken a moment ago, its word not yet written
        return FolderInUseError(folder, None, None, None)
