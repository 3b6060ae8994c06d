"""One segment: a file of whole record batches from a base offset on, with its two sparse indexes."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from broker_embedded.errors import CorruptMessageError, KafkaStorageError
from broker_embedded.log.config import LogConfig
from broker_embedded.log.disk import storage_error, storing
from broker_embedded.log.index import OFFSET_ENTRY, TIME_ENTRY, CorruptIndexError, Index
from broker_embedded.log.names import file_name
from broker_embedded.records import BATCH_OVERHEAD_BYTES, BatchHeader, CorruptBatchError, read_header

_log = logging.getLogger(__name__)

NO_TIMESTAMP: Final = -1
MAX_RELATIVE_OFFSET: Final = 2**31 - 1

_WALK_BYTES: Final = 64 << 10
_STEP: Final = struct.Struct(">qi11xi")  # base offset, length, last offset delta of a batch: enough to step over it
_STAMP: Final = struct.Struct(">qii")  # base offset, length, leader epoch: the first bytes, which the broker writes


class Segment:
    """The file and its indexes. `size_bytes` bounds what is valid: bytes beyond it are left over from a failed write.

    One file descriptor while open, none otherwise: a segment that is read opens itself, `release` closes it.
    """

    __slots__ = (
        "_fd",
        "_index_interval_bytes",
        "_loaded",
        "_path",
        "_since_index_bytes",
        "_whole_bytes",
        "base_offset",
        "created_ms",
        "first_timestamp",
        "is_synced",
        "max_timestamp",
        "max_timestamp_offset",
        "next_offset",
        "offsets",
        "size_bytes",
        "times",
    )

    def __init__(
        self,
        folder: Path,
        base_offset: int,
        size_bytes: int,
        *,
        created_ms: int,
        index_interval_bytes: int,
        suffix: str = "",
    ) -> None:
        self._path = str(folder / file_name(base_offset, f".log{suffix}"))
        self.base_offset = base_offset
        self.size_bytes = size_bytes
        self.created_ms = created_ms
        self._index_interval_bytes = index_interval_bytes
        self.offsets = Index(folder / file_name(base_offset, f".index{suffix}"), OFFSET_ENTRY)
        self.times = Index(folder / file_name(base_offset, f".timeindex{suffix}"), TIME_ENTRY)
        self.first_timestamp = NO_TIMESTAMP
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset
        self.next_offset = base_offset
        self.is_synced = False
        self._since_index_bytes = 0
        self._whole_bytes = size_bytes
        self._fd = -1
        self._loaded = False

    @classmethod
    def create(
        cls, folder: Path, base_offset: int, *, created_ms: int, index_interval_bytes: int, suffix: str = ""
    ) -> Segment:
        """A new empty one, its files on disk, their names ending in `suffix`. Raises KafkaStorageError."""
        segment = cls(
            folder, base_offset, 0, created_ms=created_ms, index_interval_bytes=index_interval_bytes, suffix=suffix
        )
        segment._loaded = True
        with storing(segment._path, "create"):
            segment._fd = os.open(segment._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            segment.write_indexes()
        except KafkaStorageError:
            segment.release()
            raise
        return segment

    @property
    def path(self) -> str:
        """Of the `.log` file."""
        return self._path

    def load(self) -> None:
        """Read the indexes, once; those that are missing or damaged are made again. Raises KafkaStorageError."""
        if self._loaded:
            return
        try:
            self.offsets.load()
            self.times.load()
        except (FileNotFoundError, CorruptIndexError) as error:
            _log.warning("%s; making the indexes of %s again", error, self._path)
            self._rebuild_indexes()
            return
        self._loaded = True
        self._restore_tail()

    def _rebuild_indexes(self) -> None:
        size_bytes = self.size_bytes
        self.reset()
        try:
            for position, header, _ in self.walk(size_bytes):
                self.note(position, header, header.last_offset)
        except CorruptBatchError as error:
            raise self._damaged(self.size_bytes, str(error)) from error
        finally:
            self.size_bytes = size_bytes
        self.seal()

    def _restore_tail(self) -> None:
        # What the indexes do not tell: the batches after their last entries.
        self.max_timestamp, self.max_timestamp_offset = NO_TIMESTAMP, self.base_offset
        if self.times.keys:
            self.max_timestamp = self.times.keys[-1]
            self.max_timestamp_offset = self.base_offset + self.times.values[-1]
        start = self.offsets.values[-1] if self.offsets.values else 0
        self.next_offset = self.base_offset
        self._whole_bytes = start
        try:
            for position, header, _ in self.walk(self.size_bytes, start):
                self._whole_bytes = position + header.length_bytes
                if header.max_timestamp > self.max_timestamp:
                    self.max_timestamp, self.max_timestamp_offset = header.max_timestamp, header.last_offset
                self.next_offset = header.next_offset
        except CorruptBatchError as error:
            raise self._damaged(start, str(error)) from error
        self._since_index_bytes = self.size_bytes - start
        self.first_timestamp = self.header(0).max_timestamp if self._whole_bytes else NO_TIMESTAMP

    @property
    def is_whole(self) -> bool:
        """Whether a batch ended where the file ended when it was loaded."""
        return self._whole_bytes == self.size_bytes

    def reset(self) -> None:
        """As if empty; `note` fills it again with the batches that are in the file."""
        self._loaded = True
        self.size_bytes = 0
        self.offsets.clear()
        self.times.clear()
        self.first_timestamp = self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = self.next_offset = self.base_offset
        self._since_index_bytes = 0

    def is_full_for(self, header: BatchHeader, last_offset: int, config: LogConfig, now_ms: int) -> bool:
        """Whether the batch must go to a new segment (Kafka's LogSegment.shouldRoll)."""
        size_bytes = self.size_bytes
        if size_bytes == 0:
            return False
        since = self.first_timestamp
        waited_ms = header.max_timestamp - since if since >= 0 else now_ms - self.created_ms
        return (
            size_bytes + header.length_bytes > config.segment_bytes
            or waited_ms > config.max_segment_ms
            or len(self.offsets.keys) >= config.segment_index_bytes // OFFSET_ENTRY.size
            or len(self.times.keys) >= config.segment_index_bytes // TIME_ENTRY.size - 1
            or last_offset - self.base_offset > MAX_RELATIVE_OFFSET
        )

    def append(self, header: BatchHeader, batch: memoryview, base_offset: int, leader_epoch: int) -> None:
        """Write one whole batch at the end, stamped with its offset and epoch. Raises KafkaStorageError.

        A write that fails leaves the segment as it was: what got to the disk lies beyond `size_bytes` and is cut.
        """
        position = self.size_bytes
        stamp = _STAMP.pack(base_offset, header.length_bytes - 12, leader_epoch)
        try:
            written = os.pwritev(self._fd, (stamp, batch[16:]), position)
            if written != header.length_bytes:
                self._write_rest(stamp + batch[16:], written)
        except OSError as error:
            # Should the cut fail too: nothing beyond size_bytes is read, and the next append writes over it.
            with suppress(OSError):
                os.ftruncate(self._fd, position)
            raise storage_error(error, self._path, "append") from error
        self.note(position, header, base_offset + header.last_offset_delta)

    def _write_rest(self, batch: bytes, written: int) -> None:
        # A disk that fills up first takes a part of the batch and fails at the next write.
        while written < len(batch):
            written += os.pwrite(self._fd, memoryview(batch)[written:], self.size_bytes + written)

    def note(self, position: int, header: BatchHeader, last_offset: int) -> None:
        """Account for the batch now at `position`, the end: size, largest timestamp, an index entry if one is due."""
        if position == 0:
            self.first_timestamp = header.max_timestamp
        if header.max_timestamp > self.max_timestamp:
            self.max_timestamp = header.max_timestamp
            self.max_timestamp_offset = last_offset
        if self._since_index_bytes > self._index_interval_bytes:
            self.offsets.append(last_offset - self.base_offset, position)
            self._note_time()
            self._since_index_bytes = 0
        self._since_index_bytes += header.length_bytes
        self.size_bytes = position + header.length_bytes
        self.next_offset = last_offset + 1

    def _note_time(self) -> None:
        if self.max_timestamp > (self.times.keys[-1] if self.times.keys else NO_TIMESTAMP):
            self.times.append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)

    def read(self, position: int, length_bytes: int) -> bytes:
        """Bytes as stored. Raises KafkaStorageError."""
        try:
            data = os.pread(self.open(), length_bytes, position)
        except OSError as error:
            raise storage_error(error, self._path, "read") from error
        if len(data) != length_bytes:
            raise KafkaStorageError(
                f"{self._path}: {length_bytes} bytes at byte {position} were written, {len(data)} are there; "
                "something else changed the file. Start again to recover the log"
            )
        return data

    def read_batches(
        self, position: int, max_bytes: int, stop: int, *, at_least_one: bool
    ) -> tuple[memoryview, int | None]:
        """Whole batches from `position` that fit into `max_bytes`, and the offset after them; None: all to `stop`."""
        if stop - position <= max_bytes:
            return memoryview(self.read(position, stop - position)), None
        data = self.read(position, max(max_bytes, 0))
        slot = self.offsets.floor_value(position + len(data) - BATCH_OVERHEAD_BYTES)
        start = max(0, self.offsets.values[slot] - position) if slot >= 0 else 0
        length_bytes, next_offset = self._whole(data, start, position)
        if length_bytes == 0 and at_least_one:
            header = self.header(position)
            return memoryview(self.read(position, header.length_bytes)), header.next_offset
        return memoryview(data)[:length_bytes], next_offset

    def _whole(self, data: bytes, start: int, position: int) -> tuple[int, int]:
        """How many bytes of `data` are whole batches, and the offset after them; a batch begins at `start`."""
        next_offset = self.base_offset
        while len(data) - start >= BATCH_OVERHEAD_BYTES:
            base_offset, length, delta = _STEP.unpack_from(data, start)
            if length < BATCH_OVERHEAD_BYTES - 12:
                raise self._damaged(position + start, f"length {length}")
            if start + 12 + length > len(data):
                return start, base_offset
            start += 12 + length
            next_offset = base_offset + delta + 1
        return start, next_offset

    def header(self, position: int) -> BatchHeader:
        """Of the batch at `position`. Raises CorruptMessageError."""
        try:
            return read_header(self.read(position, BATCH_OVERHEAD_BYTES))
        except CorruptBatchError as error:
            raise self._damaged(position, str(error)) from error

    def walk(
        self, end: int, position: int = 0, window_bytes: int = _WALK_BYTES
    ) -> Iterator[tuple[int, BatchHeader, memoryview]]:
        """(position, header, batch) of each whole batch before `end`; stops at a torn one. Raises CorruptBatchError."""
        needed_bytes = 0
        while end - position >= BATCH_OVERHEAD_BYTES:
            data = memoryview(self.read(position, min(max(window_bytes, needed_bytes), end - position)))
            start = 0
            while len(data) - start >= BATCH_OVERHEAD_BYTES:
                header = read_header(data, start)
                stop = start + header.length_bytes
                if stop > len(data):
                    break
                yield position + start, header, data[start:stop]
                start = stop
            needed_bytes = 0
            if start == 0:
                needed_bytes = read_header(data).length_bytes
                if position + needed_bytes > end:
                    return
            position += start

    def find(self, offset: int) -> tuple[int, BatchHeader] | None:
        """Position and header of the first batch that ends at or after `offset`. Raises CorruptMessageError."""
        slot = self.offsets.floor(offset - self.base_offset)
        position = self.offsets.values[slot] if slot >= 0 else 0
        try:
            for at, header, _ in self.walk(self.size_bytes, position):
                if header.last_offset >= offset:
                    return at, header
        except CorruptBatchError as error:
            raise self._damaged(position, str(error)) from error
        return None

    def cut(self, position: int) -> None:
        """Cut the file at `position`, where a batch begins; the indexes stay. Raises KafkaStorageError."""
        with storing(self._path, "truncate"):
            os.ftruncate(self.open(), position)

    def seal(self) -> None:
        """Write what the indexes must have once nothing more is appended: a last entry for the largest timestamp."""
        self._note_time()
        self.write_indexes()

    def write_indexes(self) -> None:
        """Bring both index files up to date. Raises KafkaStorageError."""
        self.offsets.write()
        self.times.write()

    def renamed(self, before: str, after: str) -> None:
        """Its files, whose names ended in `before`, have been renamed to end in `after`."""
        self._path = self._path.removesuffix(before) + after
        for index in (self.offsets, self.times):
            index.path = Path(str(index.path).removesuffix(before) + after)

    def release(self) -> None:
        """Close the file; the next read opens it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def last_modified_ms(self) -> int:
        return os.stat(self._path).st_mtime_ns // 1_000_000

    def open(self) -> int:
        """The file descriptor of the `.log` file; `append` needs it open, `read` opens it."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDWR)
        return self._fd

    def _damaged(self, position: int, what: str) -> CorruptMessageError:
        return CorruptMessageError(
            f"{self._path}: the batch at byte {position} is damaged ({what}); the disk may be failing. "
            "Restore the file from a copy, or delete the records before it"
        )
