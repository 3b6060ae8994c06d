"""Compacted segments take the place of others, in steps that a crash may cut short (Kafka's LocalLog and LogLoader).

    .cleaned    being written: after a crash it goes
    .swap       whole and on the disk: a crash from here on is finished by the next start
    in place    what it replaces is called .deleted, and unlinked later

Each step is on the disk before the next begins, so that no file system can show them in another order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from broker_embedded.log import disk
from broker_embedded.log.names import PARTS, SNAPSHOT, SUFFIXES, file_name, offset_of
from broker_embedded.log.segment import Segment

CLEANED: Final = ".cleaned"
SWAP: Final = ".swap"


def cleaned_to_swap(folder: Path, base_offset: int) -> None:
    """Make a cleaned segment, whose files are on the disk, one that a crash puts in place."""
    disk.sync_folder(str(folder))
    _rename_parts(folder, base_offset, CLEANED, SWAP)
    disk.sync_folder(str(folder))


def swap_to_place(folder: Path, base_offset: int) -> None:
    """Give the files their lasting names; not durable before the folder is synced."""
    _rename_parts(folder, base_offset, SWAP, "")


def remove(folder: Path, base_offset: int) -> None:
    """Undo what did not come to its end. The records go last: without them the rest would be taken for others' own."""
    for part in reversed(PARTS):
        for suffix in (CLEANED, SWAP):
            (folder / file_name(base_offset, part + suffix)).unlink(missing_ok=True)


def _rename_parts(folder: Path, base_offset: int, before: str, after: str) -> None:
    for part in PARTS:  # the records first
        path = folder / file_name(base_offset, part + before)
        if path.exists():
            disk.rename(path, folder / file_name(base_offset, part + after))


def finish(folder: Path, names: set[str]) -> set[str]:
    """Finish or undo what a crash cut short; `names` are those in the folder, returned are those there afterwards.

    A swap is undone if not all its files had the name when it happened: then one is still called `.cleaned`.
    """
    if not any(name.endswith((CLEANED, SWAP)) for name in names):
        return names
    undone = min((offset_of(name) for name in names if name.endswith(CLEANED)), default=None)
    swaps = {name for name in names if name.endswith(SWAP) and (undone is None or offset_of(name) < undone)}
    _unlink(folder, (name for name in names if name.endswith(SWAP) and name not in swaps))
    disk.sync_folder(str(folder))  # as long as one is called .cleaned, the others are known to be undone
    _unlink(folder, (name for name in names if name.endswith(CLEANED)))
    replaced = {other for name in swaps if name.endswith(f".log{SWAP}") for other in _replaced(folder, name, names)}
    _unlink(folder, replaced)
    disk.sync_folder(str(folder))
    for name in sorted(swaps, reverse=True):
        disk.rename(folder / name, folder / name.removesuffix(SWAP))
    disk.sync_folder(str(folder))
    return set(os.listdir(folder))


def _replaced(folder: Path, swap: str, names: set[str]) -> Iterable[str]:
    """The files of the segments that lie where a swapped one does; the snapshot at its beginning stays."""
    first, end = offset_of(swap), _end(folder, swap)
    for name in names:
        is_old = name.endswith(SUFFIXES) and name.split(".")[0].isdigit()
        if is_old and first <= offset_of(name) < end and not (name.endswith(SNAPSHOT) and offset_of(name) == first):
            yield name


def _end(folder: Path, swap: str) -> int:
    first = offset_of(swap)
    size_bytes = (folder / swap).stat().st_size
    segment = Segment(folder, first, size_bytes, created_ms=0, index_interval_bytes=0, suffix=SWAP)
    end = first + 1
    for _, header, _ in segment.walk(size_bytes):
        end = header.next_offset
    segment.release()
    return end


def _unlink(folder: Path, names: Iterable[str]) -> None:
    for name in sorted(names):
        (folder / name).unlink(missing_ok=True)
