"""The lock of a data folder: one process serves it at a time, and says who it is.

`flock` on `<data>/.lock` decides, on Linux together with the lock that Apache Kafka takes on that file; the file's JSON
only tells others who holds it. The kernel gives a lock back when its holder ends, however it ends, so a lock left by
`kill -9` is taken over without a word and a reused pid means nothing.

Who serves the folder over loopback says where, `announce`, so that others reach it there instead of opening it. The
address stays in the file when the holder ends: the next one listens on the same port if it can, and whoever was
connected finds it again.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import sys
import weakref
from datetime import datetime
from pathlib import Path
from typing import Any

LOCK_NAME = ".lock"


class FolderInUseError(RuntimeError):
    """A living process holds the data folder: `pid`, `program` and `since` say which, None where it left no word.

    `address` is where it serves the folder (host:port), None if it does not.
    """

    def __init__(
        self, folder: Path, pid: int | None, program: str | None, since: str | None, address: str | None = None
    ) -> None:
        self.folder, self.pid, self.program, self.since, self.address = folder, pid, program, since, address
        who = f"process {pid} ({program}) since {since}" if pid is not None else "another process"
        stop = f"stop it first (kill {pid})" if pid is not None else "stop it first"
        if address is not None:
            stop = f"reach it at {address}, {stop}"
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

    def __init__(self, descriptor: int, holder: dict[str, object], last_address: str | None) -> None:
        self._descriptor = descriptor
        self._holder = holder
        self.last_address = last_address
        """Where the last holder served the folder."""

    @classmethod
    def take(cls, folder: Path, name: str = LOCK_NAME) -> FolderLock:
        """Lock `folder`, which exists. Raises FolderInUseError when someone holds it, this process included.

        `name` is the lock file: another one is another lock, of those who share the folder for a purpose of their own.
        """
        path = folder / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise _in_use(folder, path) from None
        except OSError:
            os.close(descriptor)
            raise
        holder: dict[str, object] = {
            "pid": os.getpid(),
            "program": _program(),
            "since": datetime.now().astimezone().isoformat("T", "seconds"),
        }
        lock = cls(descriptor, holder, _read(path).get("address"))
        lock._say(holder)
        _held.add(lock)
        return lock

    def announce(self, address: str) -> None:
        """Say where the holder serves the folder (host:port)."""
        self._holder["address"] = self.last_address = address
        self._say(self._holder)

    def _say(self, holder: dict[str, object]) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Give the folder back. A second call does nothing."""
        if self._descriptor >= 0:
            self._say({} if self.last_address is None else {"address": self.last_address})
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


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError where somebody else holds the file."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if sys.platform == "linux":
        # A broker of Apache Kafka locks ranges of bytes, which flock does not see. This kind is of the open file, as
        # flock is: the other kind is lost when any descriptor of the file is closed.
        whole = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, whole)


def _program() -> str:
    return " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:]]) if sys.argv else "python"


def _in_use(folder: Path, path: Path) -> FolderInUseError:
    holder = _read(path)
    return FolderInUseError(folder, *(holder.get(name) for name in ("pid", "program", "since", "address")))


def served_at(folder: Path) -> str | None:
    """The address at which a folder is served, or was last (host:port); None where nobody ever said one."""
    address = _read(folder / LOCK_NAME).get("address")
    return address if isinstance(address, str) else None


def held_by(folder: Path) -> int | None:
    """The process that holds a folder, as far as its lock file says; None where that names none."""
    pid = _read(folder / LOCK_NAME).get("pid")
    return pid if isinstance(pid, int) else None


def said_by(folder: Path, name: str = LOCK_NAME) -> dict[str, Any]:
    """What the holder of a folder says of itself in its lock file: pid, program, since, perhaps its address."""
    return _read(folder / name)


def is_held(folder: Path, name: str = LOCK_NAME) -> bool:
    """Whether a living process holds `folder`. To look is to hold it for a moment: whoever takes it then is refused."""
    try:
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        _lock(descriptor)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text() or "{}")
    except (ValueError, FileNotFoundError):  # taken a moment ago, its word not yet written
        return {}
    return found if isinstance(found, dict) else {}
