"""The one seam to durable storage: every fsync, and every file put in place by a rename, goes through here.

`observer`, when set, is told of each: `("file", path, size_bytes)` once that many bytes of a file are durable,
`("folder", path, 0)` once the names in a folder are. A model of a power cut needs nothing else.
"""

from __future__ import annotations

import errno
import os
import resource
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from broker_embedded.errors import KafkaStorageError

observer: Callable[[str, str, int], None] | None = None

_FEW, _THREADS = 8, 8


def sync_file(fd: int, path: str) -> None:
    """Make the bytes written to `fd` so far durable. Raises KafkaStorageError; what is on disk is then unknown."""
    with storing(path, "fsync"):
        size_bytes = os.fstat(fd).st_size
        os.fsync(fd)
    if observer is not None:
        observer("file", path, size_bytes)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable: files created, renamed or removed. Raises KafkaStorageError."""
    with storing(path, "fsync"):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    if observer is not None:
        observer("folder", path, 0)


@contextmanager
def storing(path: Path | str, doing: str) -> Iterator[None]:
    """Let an OSError from `doing` something with `path` come out as a KafkaStorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, str(path), doing) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a small file as a whole, not durable. Raises KafkaStorageError."""
    with storing(path, "write"):
        path.write_bytes(data)


def sync_replace(path: Path, data: bytes) -> None:
    """Put a durable file in the place of another: after a crash either the old or the new one is there, whole."""
    temporary = str(path) + ".tmp"
    with storing(path, "replace"), open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        sync_file(file.fileno(), temporary)
        _renaming(str(path), len(data))
        os.replace(temporary, path)
    sync_folder(str(path.parent))


def rename(path: Path, target: Path) -> None:
    """Give a durable file another name, which is durable once the folder is synced. Raises KafkaStorageError."""
    with storing(path, "rename"):
        _renaming(str(target), path.stat().st_size)
        os.rename(path, target)


def _renaming(target: str, size_bytes: int) -> None:
    # Told before it is done: a kill in between must not leave a durable file that nobody knows to be one.
    if observer is not None:
        observer("file", target, size_bytes)


def side_by_side(works: Sequence[Callable[[], None]]) -> None:
    """Do what waits for the disk, many at a time: a disk takes the syncs of many files together.

    500 logs took 0.5 s instead of 7. A few are done in their order. Raises the first error when all others are done.
    """
    if len(works) < _FEW:
        for work in works:
            work()
        return
    from concurrent.futures import ThreadPoolExecutor  # its module comes when it is first needed

    with ThreadPoolExecutor(_THREADS) as threads:
        for done in [threads.submit(work) for work in works]:
            done.result()


def allow_open_files() -> None:
    """Let this process open as many files as its hard limit allows, as a JVM does: each partition keeps one open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # systems that take no number for "unlimited" keep what they have
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


_LONGEST_NAME_BYTES = 255


def aside(folder: Path, suffix: str) -> Path:
    """A name beside `folder` that nobody has, for when it is no longer to be found under its own.

    Cut to what file systems take, as in Kafka (LocalLog): the longest name of a topic leaves no room.

    >>> found = aside(Path("data") / ("x" * 249 + "-0"), "-delete").name
    >>> len(found), found.startswith("xxx"), found.endswith("-delete")
    (255, True, True)
    """
    ending = f".{uuid.uuid4().hex}{suffix}"
    return folder.with_name(folder.name[: _LONGEST_NAME_BYTES - len(ending)] + ending)


_ADVICE = {
    errno.ENOSPC: "the disk is full: free space, or lower retention.bytes; the log is as it was before",
    errno.EDQUOT: "the disk quota is used up: free space, or lower retention.bytes; the log is as it was before",
    errno.EFBIG: "raise the limit on file sizes, or lower segment.bytes; the log is as it was before",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.EBADF: "the log is closed",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "check the owner and permissions of the data folder",
    errno.EIO: "the disk fails: stop, check it, and start again to recover the log",
}


def storage_error(error: OSError, path: str, doing: str) -> KafkaStorageError:
    """An error that says which file, what was tried, and what to do."""
    advice = _ADVICE.get(error.errno or 0, "check the disk, then start again to recover the log")
    return KafkaStorageError(f"{path}: {doing} failed: {error.strerror or error}; {advice}")
