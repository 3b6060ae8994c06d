"""Opening a partition's folder: quickly after a clean shutdown, and after a crash by reading what may not be whole.

After a crash everything from the segment of the recovery point on is checked, batch by batch, and cut at the first that
is torn or damaged; indexes and producer state are made again on the way (Kafka's LogLoader).
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker_embedded.errors import CorruptMessageError, KafkaStorageError
from broker_embedded.log import checkpoints, swap
from broker_embedded.log.config import LogConfig
from broker_embedded.log.epochs import LeaderEpochs
from broker_embedded.log.index import AbortedTransaction, AbortedTransactions, CorruptIndexError
from broker_embedded.log.names import PARTS, SNAPSHOT, SUFFIXES, file_name, offset_of
from broker_embedded.log.producers import CorruptSnapshotError, ProducerStateManager, coordinator_epoch
from broker_embedded.log.segment import MAX_RELATIVE_OFFSET, Segment
from broker_embedded.records import BatchHeader, CorruptBatchError, read_control, verify

_log = logging.getLogger(__name__)

_CHECK_WINDOW_BYTES: Final = 1 << 20
_LEFT_OVERS: Final = (".deleted", ".tmp")


@dataclass(slots=True)
class Loaded:
    """What a partition's folder holds."""

    segments: list[Segment]
    producers: ProducerStateManager
    aborted: AbortedTransactions
    epochs: LeaderEpochs
    log_start_offset: int
    changed: bool  # files were made or cut, so their names and sizes are not durable yet


class Loader:
    """Reads one partition's folder; `where` names the partition in messages."""

    def __init__(self, folder: Path, where: str, config: LogConfig, now_ms: int) -> None:
        self._folder = folder
        self._where = where
        self._config = config
        self._now_ms = now_ms
        self._producers = ProducerStateManager(where)
        self._aborted = AbortedTransactions(folder)
        self._names = self._clear_left_overs()

    def load(self, *, clean_shutdown: bool, recovery_point: int, log_start_offset: int) -> Loaded:
        """The log as it was closed or, after a crash, its longest sound beginning. Raises KafkaStorageError."""
        self._epochs = self._load_epochs(clean_shutdown)
        self._synced_to = sys.maxsize if clean_shutdown else recovery_point
        segments = self._segments()
        dirty = self._load_transactions(segments[: self._first_dirty(segments, clean_shutdown, recovery_point)])
        changed = dirty < len(segments)
        for segment in segments[:dirty]:
            segment.is_synced = True
        if segments:
            log_start_offset = max(log_start_offset, segments[0].base_offset)
            self._replay(segments, dirty)
        if segments and segments[-1].next_offset < log_start_offset:
            _log.warning("%s: ends before its start offset %d; starting anew there", self._where, log_start_offset)
            self._remove(segments, 0)
            self._producers.clear()
            self._aborted.truncate(0)
        if not segments:
            segments.append(self._create(log_start_offset))
            changed = True
        self._epochs.truncate_end(segments[-1].next_offset)
        self._epochs.truncate_start(log_start_offset)
        segments[-1].open()
        return Loaded(segments, self._producers, self._aborted, self._epochs, log_start_offset, changed)

    def _clear_left_overs(self) -> set[str]:
        names = swap.finish(self._folder, set(os.listdir(self._folder)))
        orphans = {name for name in names if name.endswith(_LEFT_OVERS)}
        orphans |= {name for name in names if name.endswith(PARTS[1:]) and f"{name.split('.')[0]}.log" not in names}
        for name in sorted(orphans):
            (self._folder / name).unlink()
        return names - orphans

    def _load_epochs(self, clean_shutdown: bool) -> LeaderEpochs:
        path = self._folder / checkpoints.LEADER_EPOCHS
        try:
            return LeaderEpochs.load(path)
        except KafkaStorageError as error:
            if clean_shutdown:
                raise
            # A power cut may leave a part of the file; the batches that are checked name their epochs.
            _log.warning("%s: %s", self._where, error)
            return LeaderEpochs(path, [])

    def _create(self, base_offset: int) -> Segment:
        return Segment.create(
            self._folder,
            base_offset,
            created_ms=self._now_ms,
            index_interval_bytes=self._config.index_interval_bytes,
        )

    def _segments(self) -> list[Segment]:
        found = []
        for base_offset in sorted(offset_of(name) for name in self._names if name.endswith(".log")):
            size_bytes = os.stat(self._folder / file_name(base_offset, ".log")).st_size
            segment = Segment(
                self._folder,
                base_offset,
                size_bytes,
                created_ms=self._now_ms,
                index_interval_bytes=self._config.index_interval_bytes,
            )
            found.append(segment)
        return found

    def _first_dirty(self, segments: list[Segment], clean_shutdown: bool, recovery_point: int) -> int:
        """The number of the first segment that must be checked; their count when none.

        One that ends at the recovery point too: a sync before it was finished left its indexes out.
        """
        if clean_shutdown and (not segments or self._ends_whole(segments[-1])):
            return len(segments)
        if clean_shutdown:
            return len(segments) - 1
        return max(0, sum(segment.base_offset < recovery_point for segment in segments) - 1)

    def _ends_whole(self, segment: Segment) -> bool:
        try:
            segment.load()
        except CorruptMessageError as error:
            _log.warning("%s: %s", self._where, error)
            return False
        return segment.is_whole

    def _load_transactions(self, segments: list[Segment]) -> int:
        """The number of the first segment whose transaction index is damaged, and so is to be checked."""
        for number, segment in enumerate(segments):
            if file_name(segment.base_offset, ".txnindex") in self._names:
                try:
                    self._aborted.load(segment.base_offset)
                except CorruptIndexError as error:
                    _log.warning("%s: %s; making it again", self._where, error)
                    self._aborted.truncate(segment.base_offset)
                    return number
        return len(segments)

    def _replay(self, segments: list[Segment], dirty: int) -> None:
        """Producer state up to the end of the log; the segments from number `dirty` on are checked as well."""
        ends = [segment.base_offset for segment in segments[1:]] + [segments[-1].next_offset]
        known = self._load_snapshot(segments[dirty].base_offset if dirty < len(segments) else ends[-1])
        for segment, end in zip(segments[:dirty], ends, strict=False):
            if end > known:
                self._replay_segment(segment, known)
        for number in range(dirty, len(segments)):
            following = segments[number + 1].base_offset if number + 1 < len(segments) else None
            if not self._check(segments[number], following):
                self._remove(segments, number + 1)
                return

    def _load_snapshot(self, limit: int) -> int:
        """The newest producer state not beyond `limit`, and the offset it is of; newer files are removed."""
        known = 0
        for offset in sorted((offset_of(name) for name in self._names if name.endswith(SNAPSHOT)), reverse=True):
            path = self._folder / file_name(offset, SNAPSHOT)
            if offset <= limit and known == 0:
                try:
                    self._producers.load_snapshot(path.read_bytes(), self._now_ms)
                    known = offset
                    continue
                except CorruptSnapshotError as error:
                    _log.warning("%s: %s; reading an older one, or the log", path, error)
            # Each close leaves one; those that go with a segment stay for the day the log is cut there.
            if offset > limit or file_name(offset, ".log") not in self._names:
                path.unlink()
        return known

    def _replay_segment(self, segment: Segment, offset: int) -> None:
        segment.load()
        found = segment.find(offset)
        if found is not None:
            for _, header, batch in segment.walk(segment.size_bytes, found[0], _CHECK_WINDOW_BYTES):
                self._replay_batch(header, batch)
        segment.release()

    def _replay_batch(self, header: BatchHeader, batch: memoryview) -> AbortedTransaction | None:
        """Take note of one batch as when it was appended; the transaction it aborted, if it did."""
        producer_id = header.producer_id
        if producer_id < 0:
            return None
        if not header.is_control:
            self._producers.record(header, header.base_offset, self._now_ms)
            return None
        # Compaction leaves an empty control batch behind once nothing of its transaction is left.
        commit = read_control(batch) if header.count else None
        if commit is None:
            return None
        offset = header.base_offset
        ended = self._producers.end(
            producer_id, header.producer_epoch, coordinator_epoch(batch), offset, header.max_timestamp, self._now_ms
        )
        if ended is None or commit:
            return None
        return AbortedTransaction(producer_id, ended.first_offset, offset, ended.last_stable_offset)

    def _check(self, segment: Segment, following: int | None) -> bool:
        """Keep the sound beginning of a segment and make its indexes again; whether the log may go on after it."""
        size_bytes = segment.size_bytes
        segment.reset()
        fault = "its last batch is torn"
        try:
            for position, header, batch in segment.walk(size_bytes, 0, _CHECK_WINDOW_BYTES):
                self._check_batch(segment, header, batch)
                aborted = self._replay_batch(header, batch)
                segment.note(position, header, header.last_offset)
                if aborted is not None:
                    self._aborted.append(aborted)
                self._epochs.assign(header.leader_epoch, header.base_offset)
        except CorruptBatchError as error:
            fault = str(error)
        cut_bytes = size_bytes - segment.size_bytes
        if cut_bytes:
            _log.warning(
                "%s: %d bytes cut from the end of %s, the log ends before offset %d: %s",
                self._where,
                cut_bytes,
                segment.path,
                segment.next_offset,
                fault,
            )
            segment.cut(segment.size_bytes)
        segment.seal()
        self._aborted.write(segment.base_offset)
        segment.release()
        return not (cut_bytes or self._has_lost(segment.next_offset, following))

    def _has_lost(self, next_offset: int, following: int | None) -> bool:
        """Whether there is a hole before the segment that begins with `following`, and compaction did not make it.

        Compaction, of now or of the time before a change of settings, touches nothing but what is synced.
        """
        if following is None or next_offset == following:
            return False
        return following > self._synced_to

    def _check_batch(self, segment: Segment, header: BatchHeader, batch: memoryview) -> None:
        """Raises CorruptBatchError. The CRC does not cover the offset: it must follow the batch before it."""
        verify(batch)
        expected = segment.next_offset
        has_gap = header.base_offset != expected and header.base_offset > self._synced_to
        if (
            has_gap
            or not expected <= header.base_offset <= header.last_offset <= segment.base_offset + MAX_RELATIVE_OFFSET
        ):
            raise CorruptBatchError(f"batch has offset {header.base_offset}, {expected} is next")

    def _remove(self, segments: list[Segment], start: int) -> None:
        """Remove the segments from number `start` on, with all their files."""
        for segment in segments[start:]:
            _log.warning("%s: removing %s, the log ends before it", self._where, segment.path)
            segment.release()
            for suffix in SUFFIXES:
                (self._folder / file_name(segment.base_offset, suffix)).unlink(missing_ok=True)
        del segments[start:]
