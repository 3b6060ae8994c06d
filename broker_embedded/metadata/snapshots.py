"""Snapshots of the metadata log: `<end offset>-<epoch>.checkpoint`, what the log said up to there (KIP-630).

Record batches as in a log, between a header and a footer. A file without its footer was cut short, and counts for
nothing; we put files in place whole, so only a disk makes one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from broker_embedded.log import disk
from broker_embedded.metadata import control
from broker_embedded.records import BatchHeader, CorruptBatchError, batches, encode, set_offset, verify

_log = logging.getLogger(__name__)

_NAME: Final = re.compile(r"(\d{20})-(\d{10})\.checkpoint")
_RECORDS_PER_BATCH: Final = 1000


class SnapshotId(NamedTuple):
    """The offset that follows on the snapshot, and the epoch of the record before it."""

    end_offset: int
    epoch: int

    def path(self, folder: Path) -> Path:
        return folder / f"{self.end_offset:020d}-{self.epoch:010d}.checkpoint"


def find(folder: Path) -> list[SnapshotId]:
    """Those in the folder of a metadata log, the oldest first."""
    found = (_NAME.fullmatch(path.name) for path in folder.glob("*.checkpoint"))
    return sorted(SnapshotId(int(match[1]), int(match[2])) for match in found if match)


def read(path: Path) -> list[tuple[BatchHeader, memoryview]] | None:
    """The batches of a snapshot; None where it is not whole, which is logged. Raises KafkaStorageError."""
    with disk.storing(path, "read"):
        data = path.read_bytes()
    try:
        found = list(batches(data))
        for _, batch in found:
            verify(batch)
        is_whole = sum(len(batch) for _, batch in found) == len(data) and _ends_with_footer(found)
    except CorruptBatchError as error:
        _log.warning("%s: %s", path, error)
        return None
    if not is_whole:
        _log.warning("%s: the snapshot was cut short", path)
        return None
    return found


def _ends_with_footer(found: list[tuple[BatchHeader, memoryview]]) -> bool:
    if not found or not found[-1][0].is_control:
        return False
    messages = control.decode_control(found[-1][1])
    return bool(messages) and isinstance(messages[-1], control.SnapshotFooter)


def write(path: Path, parts: Iterable[bytearray], epoch: int) -> None:
    """Put a snapshot of these batches in place, whole and durable. Raises KafkaStorageError."""
    offset, data = 0, bytearray()
    for header, batch in ((next(batches(part))[0], part) for part in parts):
        set_offset(batch, offset, epoch)
        offset += header.count
        data += batch
    disk.sync_replace(path, bytes(data))


def record_batch(values: Sequence[bytes], timestamp: int) -> bytearray:
    """Records without keys."""
    return encode([None] * len(values), values, [timestamp] * len(values))


def record_batches(values: Sequence[bytes], timestamp: int) -> Iterator[bytearray]:
    """Some records to a batch."""
    for start in range(0, len(values), _RECORDS_PER_BATCH):
        yield record_batch(values[start : start + _RECORDS_PER_BATCH], timestamp)
