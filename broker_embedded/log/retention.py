"""Which segments may go, and the files of those that went: renamed at once, removed after `file.delete.delay.ms`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from broker_embedded.log import disk
from broker_embedded.log.config import LogConfig
from broker_embedded.log.names import SUFFIXES, file_name
from broker_embedded.log.segment import Segment


def expired_count(segments: Sequence[Segment], config: LogConfig, log_start_offset: int, now_ms: int) -> int:
    """How many of the oldest segments are to go: below the start of the log, beyond the size, or too old.

    Old is a segment whose largest timestamp is (Kafka's UnifiedLog.deleteOldSegments). An empty last segment stays.
    """
    count = 0
    excess_bytes = sum(segment.size_bytes for segment in segments) - config.retention_bytes
    for number, segment in enumerate(segments):
        following = segments[number + 1].base_offset if number + 1 < len(segments) else None
        gone = following is not None and following <= log_start_offset
        excess_bytes -= segment.size_bytes
        if not gone and config.deletes:
            gone = config.retention_bytes >= 0 and excess_bytes >= 0
            gone = gone or 0 <= config.retention_ms < now_ms - _largest_timestamp(segment)
        if not gone or (following is None and segment.size_bytes == 0):
            break
        count += 1
    return count


def _largest_timestamp(segment: Segment) -> int:
    segment.load()
    return segment.max_timestamp if segment.max_timestamp >= 0 else segment.last_modified_ms()


class DeletedFiles:
    """Files on their way out: whoever still reads them may finish."""

    def __init__(self) -> None:
        self._due: deque[tuple[int, Path]] = deque()

    def add(self, folder: Path, base_offset: int, due_ms: int, suffixes: Sequence[str] = SUFFIXES) -> None:
        """Rename all files of a segment to `.deleted`; `remove` unlinks them at `due_ms`."""
        for suffix in suffixes:
            path = folder / file_name(base_offset, suffix)
            if path.exists():
                deleted = Path(f"{path}.deleted")
                disk.rename(path, deleted)
                self._due.append((due_ms, deleted))

    def remove(self, now_ms: int) -> int:
        """Unlink what is due; how many files."""
        count = 0
        while self._due and self._due[0][0] <= now_ms:
            self._due.popleft()[1].unlink(missing_ok=True)
            count += 1
        return count
