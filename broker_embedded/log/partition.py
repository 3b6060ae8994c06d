"""One partition's log: append, roll, sync, retain, cut, close. It knows record batches and nothing of requests.

Longer than most files: appending, syncing in another thread and removing segments share one state, and reading, opening
and retention are taken out already (`reading.py`, `recovery.py`, `retention.py`).
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

from broker_embedded.errors import (
    CorruptMessageError,
    InconsistentTopicIdError,
    InvalidRecordError,
    KafkaError,
    KafkaStorageError,
    OffsetOutOfRangeError,
    PolicyViolationError,
)
from broker_embedded.log import checkpoints, disk, swap
from broker_embedded.log.acceptance import accept, check_batch, is_strict
from broker_embedded.log.cleanable import Cleanable, find_cleanable
from broker_embedded.log.compaction import Cleaned, Plan
from broker_embedded.log.config import LogConfig
from broker_embedded.log.index import AbortedTransaction
from broker_embedded.log.names import PARTS, SNAPSHOT, SUFFIXES, file_name
from broker_embedded.log.reading import Reader
from broker_embedded.log.recovery import Loaded, Loader
from broker_embedded.log.retention import DeletedFiles, expired_count
from broker_embedded.log.segment import Segment
from broker_embedded.records import BatchHeader, CorruptBatchError, batches, encode_control, read_header, verify

_READ_BYTES: Final = 1 << 20
_SMALL_FILES: Final = (checkpoints.PARTITION_METADATA, checkpoints.LEADER_EPOCHS)

Isolation = Literal["read_uncommitted", "read_committed"]


class Appended(NamedTuple):
    """Where a batch is; a duplicate is where it was written first.

    `log_append_time_ms` is -1 with CreateTime; of a duplicate it is the largest timestamp, as in Kafka.
    """

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    is_duplicate: bool


class ReadResult(NamedTuple):
    """Whole batches as stored, from the one that holds the offset asked for on; read on at `next_offset`.

    `data` is a list of views of one or more batches each. `aborted` are (producer id, first offset) of the aborted
    transactions among them, for read_committed only.
    """

    data: list[memoryview]
    next_offset: int
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    aborted: list[tuple[int, int]]


class PartitionLog:
    """The log of one partition in its folder. One thread uses it; `sync` may run in another at the same time.

    >>> import tempfile
    >>> from broker_embedded.records import decode, encode
    >>> with tempfile.TemporaryDirectory() as data:
    ...     log = PartitionLog.open(
    ...         Path(data) / "orders-0",
    ...         "orders",
    ...         0,
    ...         LogConfig(),
    ...         now_ms=lambda: 0,
    ...         clean_shutdown=True,
    ...         topic_id=uuid.UUID(int=1),
    ...     )
    ...     log.append(encode([b"a", b"b"], [b"1", b"2"], [10, 20]))
    ...     log.offset_for_timestamp(15)
    ...     result = log.read(1, max_bytes=1 << 20)
    ...     result.next_offset, decode(result.data[0]).offsets.tolist()
    ...     log.close()
    Appended(base_offset=0, last_offset=1, log_append_time_ms=-1, is_duplicate=False)
    (20, 1)
    (2, [0, 1])
    """

    def __init__(
        self,
        folder: Path,
        topic: str,
        partition: int,
        topic_id: uuid.UUID,
        config: LogConfig,
        now_ms: Callable[[], int],
        loaded: Loaded,
    ) -> None:
        """Use `open`."""
        self.folder = folder
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.configure(config)
        self.recovery_point = 0
        self.revocable_offset: int | None = 0
        """From here on a power cut may take back what is decided (see agreement.py); the owner of all logs knows."""
        self._where = f"{topic}-{partition}"
        self._now_ms = now_ms
        self._deleted = DeletedFiles()
        self._synced_ms = now_ms()
        self._dirty_folders: set[str] = set()
        self._closed = False
        self._files = threading.RLock()  # held while files come and go, so that `sync` sees a whole picture
        self._syncing = threading.Lock()  # held during a sync, and by what must not meet one
        self._adopt(loaded)
        self.leader_epoch = max(0, self.epochs.latest)

    def _adopt(self, loaded: Loaded) -> None:
        self.producers = loaded.producers
        self.epochs = loaded.epochs
        self.log_start_offset = loaded.log_start_offset
        self._segments = loaded.segments
        self._active = loaded.segments[-1]
        self.log_end_offset = self._active.next_offset
        self._aborted = loaded.aborted
        self._reader = Reader(self._segments)
        self._changed = loaded.changed  # the active file is not on the disk as it is, whatever the recovery point says
        self._sealed_offset = self.log_end_offset

    @classmethod
    def open(
        cls,
        folder: Path,
        topic: str,
        partition: int,
        config: LogConfig,
        *,
        now_ms: Callable[[], int],
        clean_shutdown: bool,
        recovery_point: int = 0,
        log_start_offset: int = 0,
        topic_id: uuid.UUID,
    ) -> PartitionLog:
        """Open the log in `folder`, or make it; without a clean shutdown it is recovered from `recovery_point` on.

        Raises InconsistentTopicIdError when the folder belongs to another topic, KafkaStorageError.
        """
        where = f"{topic}-{partition}"
        is_new = not folder.exists()
        with disk.storing(folder, "open"):
            folder.mkdir(exist_ok=True)
            if not checkpoints.is_partition_of(folder / checkpoints.PARTITION_METADATA, topic_id):
                raise InconsistentTopicIdError(
                    f"{where}: {folder} does not belong to topic id {topic_id}: the topic was deleted and made again. "
                    "Move the folder away"
                )
            loaded = Loader(folder, where, config, now_ms()).load(
                clean_shutdown=clean_shutdown, recovery_point=recovery_point, log_start_offset=log_start_offset
            )
        log = cls(folder, topic, partition, topic_id, config, now_ms, loaded)
        end = log.log_end_offset
        log.recovery_point = end if clean_shutdown else min(recovery_point, end)
        if loaded.changed:
            log._dirty_folders.add(str(folder))
        if is_new:
            log._dirty_folders.add(str(folder.parent))
        try:
            log.epochs.assign(log.leader_epoch, end)
        except KafkaStorageError:
            log._release()
            raise
        return log

    def configure(self, config: LogConfig) -> None:
        """Go on under other settings; those of segments hold from the next one on."""
        self.config = config
        self._is_strict = is_strict(config)

    @property
    def high_watermark(self) -> int:
        """The log end offset: there is one replica."""
        return self.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """What a read_committed reader may read up to: the first offset of the oldest open transaction, or the end."""
        return max(self.producers.last_stable_offset(self.log_end_offset), self.log_start_offset)

    @property
    def size_bytes(self) -> int:
        """Of all segments."""
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def can_free_space(self) -> bool:
        """Whether a whole segment lies before the start of the log."""
        return len(self._segments) > 1 and self._segments[1].base_offset <= self.log_start_offset

    def open_transactions(self) -> dict[int, int]:
        """Producer id to first offset of each open transaction."""
        return dict(self.producers.open_transactions)

    def append(self, batch: bytes | bytearray | memoryview, *, verified: bool = False) -> Appended:
        """Append one whole batch; its offset and epoch are set on the way to the disk, `batch` stays as it is.

        `verified` batches were made in this process: their CRC and keys are not checked again.
        Raises CorruptMessageError, MessageTooLargeError, RecordListTooLargeError, InvalidRecordError, and what
        `ProducerStateManager.check` and the disk raise; nothing is appended then.
        """
        with self._raising(CorruptMessageError):
            header = read_header(batch) if verified else verify(batch)
        check_batch(header, len(batch), self.config, self._where)
        if header.producer_id >= 0:
            if header.base_sequence < 0 and not verified:
                raise InvalidRecordError(f"{self._where}: producer {header.producer_id} sent no sequence number")
            repeated = self.producers.check(header)
            if repeated is not None:
                return Appended(repeated.first_offset, repeated.last_offset, repeated.timestamp, True)
        now_ms = self._now_ms()
        append_time_ms = -1
        if self._is_strict:
            with self._raising(InvalidRecordError):
                batch, header, append_time_ms = accept(
                    batch, header, self.config, now_ms, self._where, verified=verified
                )
            check_batch(header, len(batch), self.config, self._where)
        base_offset = self._write(header, batch, now_ms)
        if header.producer_id >= 0:
            self.producers.record(header, base_offset, now_ms)
            if header.is_transactional and self.revocable_offset is None:
                self.revocable_offset = base_offset
        return Appended(base_offset, base_offset + header.last_offset_delta, append_time_ms, False)

    @contextmanager
    def _raising(self, kind: type[KafkaError]) -> Iterator[None]:
        try:
            yield
        except CorruptBatchError as error:
            raise kind(f"{self._where}: {error}") from error

    def append_marker(
        self, producer_id: int, producer_epoch: int, *, commit: bool, coordinator_epoch: int = 0
    ) -> Appended:
        """End a producer's transaction here: append its marker.

        Raises InvalidProducerEpochError, TransactionCoordinatorFencedError, KafkaStorageError; nothing is written then.
        """
        self.producers.check_marker(producer_id, producer_epoch, coordinator_epoch)
        now_ms = self._now_ms()
        batch = encode_control(
            commit=commit,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            coordinator_epoch=coordinator_epoch,
            timestamp=now_ms,
        )
        offset = self._write(read_header(batch), batch, now_ms)
        ended = self.producers.end(producer_id, producer_epoch, coordinator_epoch, offset, now_ms, now_ms)
        if ended is not None and not commit:
            self._aborted.append(AbortedTransaction(producer_id, ended.first_offset, offset, ended.last_stable_offset))
        return Appended(offset, offset, -1, False)

    def append_control(self, batch: bytes | bytearray) -> int:
        """Append a control batch that ends no transaction, as metadata logs have them; its offset."""
        return self._write(read_header(batch), batch, self._now_ms())

    def begin_epoch(self, epoch: int) -> None:
        """Append under this leader epoch from now on; one that is not newer changes nothing."""
        if epoch > self.leader_epoch:
            self.leader_epoch = epoch
            self.epochs.assign(epoch, self.log_end_offset)

    def _write(self, header: BatchHeader, batch: bytes | bytearray | memoryview, now_ms: int) -> int:
        base_offset = self.log_end_offset
        segment = self._active
        if segment.is_full_for(header, base_offset + header.last_offset_delta, self.config, now_ms):
            segment = self._roll(now_ms)
        segment.append(header, memoryview(batch), base_offset, self.leader_epoch)
        self.log_end_offset = segment.next_offset
        return base_offset

    def _roll(self, now_ms: int) -> Segment:
        """Begin a new segment at the end of the log, with a snapshot of the producers beside it."""
        with self._files:
            left = self._active
            self._seal()
            self._active = Segment.create(
                self.folder,
                self.log_end_offset,
                created_ms=now_ms,
                index_interval_bytes=self.config.index_interval_bytes,
            )
            self._segments.append(self._active)
            left.is_synced = False
            left.release()
            self._dirty_folders.add(str(self.folder))
            return self._active

    def _seal(self) -> None:
        """Write what stays in memory while a segment is appended to."""
        self._active.seal()
        self._aborted.write(self._active.base_offset)
        snapshot = self.folder / file_name(self.log_end_offset, SNAPSHOT)
        disk.write_file(snapshot, self.producers.to_snapshot())

    def read(
        self,
        offset: int,
        max_bytes: int,
        *,
        isolation: Isolation = "read_uncommitted",
        at_least_one: bool = True,
    ) -> ReadResult:
        """Whole batches from the one that holds `offset` on, up to `max_bytes`; one more only if not even it fits.

        A reader filters out what lies before `offset`. Reading on at `next_offset` does no search.
        Raises OffsetOutOfRangeError, KafkaStorageError, CorruptMessageError.
        """
        end = self.log_end_offset
        start = self.log_start_offset
        if not start <= offset <= end:
            raise OffsetOutOfRangeError(
                f"{self._where}: offset {offset} is outside of the log, which goes from {start} to {end}"
            )
        if self._closed:
            raise KafkaStorageError(f"{self._where}: the log is closed")
        stable = self.last_stable_offset
        committed = isolation == "read_committed"
        limit = stable if committed else end
        if offset >= limit:
            return ReadResult([], offset, end, stable, start, [])
        data, next_offset = self._reader.read(offset, max_bytes, limit, at_least_one=at_least_one)
        aborted = self._aborted.between(offset, next_offset) if committed else []
        return ReadResult([data] if data else [], next_offset, end, stable, start, aborted)

    def read_all(self, start: int = 0) -> Iterator[tuple[BatchHeader, memoryview]]:
        """Every batch from that of `start` on, as far as it is there; decided or not, control batches too."""
        offset = max(start, self.log_start_offset)
        while offset < self.log_end_offset:
            result = self.read(offset, _READ_BYTES)
            for piece in result.data:
                yield from batches(piece)
            offset = result.next_offset

    def offset_for_timestamp(self, timestamp: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record at or after `timestamp` (ms); None when there is none.

        Raises CorruptMessageError, KafkaStorageError.
        """
        with self._raising(CorruptMessageError):
            return self._reader.find_timestamp(timestamp, self.log_start_offset)

    def max_timestamp_offset(self) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record with the largest timestamp; None in an empty log.

        Raises CorruptMessageError, KafkaStorageError.
        """
        with self._raising(CorruptMessageError):
            return self._reader.find_max_timestamp(self.log_start_offset)

    def needs_sync(self) -> bool:
        """Whether flush.messages or flush.ms asks for a sync, or a segment was finished since the last one."""
        unsynced = self.log_end_offset - self.recovery_point
        if unsynced <= 0:
            return False
        return (
            unsynced >= self.config.flush_messages
            or self._active.base_offset > self.recovery_point
            or self._now_ms() - self._synced_ms >= self.config.flush_ms
        )

    def sync(self, end: int | None = None) -> None:
        """Make all that was appended before the call durable, and move the recovery point there, or to `end`.

        Who syncs several logs names the ends they had at one moment: what is written meanwhile is on the disk in one
        and not in another. May run in another thread than the rest. Raises KafkaStorageError: the recovery point stays
        where it was.
        """
        self._sync(end, closing=False)

    def _sync(self, until: int | None = None, *, closing: bool) -> None:
        with self._syncing, ExitStack() as opened, disk.storing(self.folder, "sync"):
            with self._files:
                end = self.log_end_offset if until is None else min(until, self.log_end_offset)
                finished = [s for s in self._segments if not s.is_synced and (closing or s is not self._active)]
                paths = [path for segment in finished for path in _files_of(self.folder, segment)]
                # The indexes of the active segment are left out: after a crash they are made again.
                if end > self.recovery_point or self._changed:
                    paths.append(self._active.path)
                if self.epochs.is_changed:
                    self._dirty_folders.add(str(self.folder))
                    self.epochs.is_changed = False
                if str(self.folder) in self._dirty_folders:
                    paths += [str(self.folder / name) for name in _SMALL_FILES]
                files = [(opened.enter_context(open(path, "rb", buffering=0)), path) for path in paths]
                folders, self._dirty_folders, self._changed = self._dirty_folders, set(), False
            try:
                for file, path in files:
                    disk.sync_file(file.fileno(), path)
                for folder in folders:
                    disk.sync_folder(folder)
            except KafkaStorageError:
                self._dirty_folders |= folders
                self._changed = True
                raise
            for segment in finished:
                segment.is_synced = True
            self.recovery_point = max(self.recovery_point, end)
            self._synced_ms = self._now_ms()

    def delete_records(self, before_offset: int) -> int:
        """Let the log begin at `before_offset` (-1: at its end); the new start. The space is freed by retention.

        Raises OffsetOutOfRangeError, and PolicyViolationError for a topic that is only compacted (KIP-107).
        """
        if not self.config.deletes:
            raise PolicyViolationError(f"{self._where}: cleanup.policy={self.config.cleanup_policy} keeps all records")
        offset = self.log_end_offset if before_offset == -1 else before_offset
        if not 0 <= offset <= self.log_end_offset:
            raise OffsetOutOfRangeError(
                f"{self._where}: cannot delete records before {before_offset}, the log ends at {self.log_end_offset}"
            )
        self._advance_start(offset)
        return self.log_start_offset

    def _advance_start(self, offset: int) -> None:
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self.epochs.truncate_start(offset)
            self._dirty_folders.add(str(self.folder))

    def enforce_retention(self) -> int:
        """Remove the oldest segments that time, size or the start of the log let go; how many.

        Their files are unlinked by a later call, after file.delete.delay.ms. Producers not heard of for
        producer.id.expiration.ms are forgotten.
        """
        now_ms = self._now_ms()
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms)
        with disk.storing(self.folder, "remove segments"):
            self._deleted.remove(now_ms)
            count = expired_count(self._segments, self.config, self.log_start_offset, now_ms)
            if count:
                self._remove_oldest(count, now_ms)
        return count

    def _remove_oldest(self, count: int, now_ms: int) -> None:
        with self._files:
            if count == len(self._segments):
                self._roll(now_ms)
            gone = self._segments[:count]
            del self._segments[:count]
            first = self._segments[0].base_offset
            self._advance_start(first)
            self._aborted.drop_before(first)
            for segment in gone:
                segment.release()
                self._deleted.add(self.folder, segment.base_offset, now_ms + self.config.file_delete_delay_ms)
            self._dirty_folders.add(str(self.folder))

    def cleanable(self, first_dirty: int, limit: int) -> Cleanable:
        """What compaction may clean below `limit`, when it was clean up to `first_dirty`."""
        decided = min(limit, self.last_stable_offset, self.recovery_point)
        if not self.log_start_offset <= first_dirty <= self.log_end_offset:
            first_dirty = self.log_start_offset
        return find_cleanable(
            self._segments, self.config, first_dirty=first_dirty, limit=decided, now_ms=self._now_ms()
        )

    def roll_beyond(self, size_bytes: int) -> None:
        """Begin a new segment if the open one is larger. Raises KafkaStorageError."""
        if self._active.size_bytes > size_bytes:
            self._roll(self._now_ms())

    def plan_compaction(self, cleanable: Cleanable) -> Plan:
        """All that a compaction in another thread has to know of this log."""
        return Plan(
            self.folder,
            self.config,
            [segment for segment in self._segments if segment.base_offset < cleanable.end],
            cleanable.first_dirty,
            cleanable.end,
            tuple(self._aborted.entries),
            self.producers.last_batches(self.recovery_point),
            self._now_ms(),
        )

    def replace(self, cleaned: Cleaned) -> bool:
        """Let a compacted segment take the place of others; False if they are gone. `settle` is the second half.

        Between the two the folder is to be synced. Raises KafkaStorageError: the next start brings it to an end.
        """
        segment, replaced, aborted = cleaned
        with self._files, disk.storing(self.folder, "replace segments"):
            start = self._segments.index(replaced[0]) if replaced[0] in self._segments else len(self._segments)
            end = start + len(replaced)
            if self._closed or self._segments[start:end] != replaced:
                return False
            self._reader.release()
            self._aborted.replace(segment.base_offset, self._segments[end].base_offset, aborted)
            self._segments[start:end] = [segment]
            self._reader = Reader(self._segments)
            due_ms = self._now_ms() + self.config.file_delete_delay_ms
            for number, old in enumerate(replaced):
                old.release()
                gone = SUFFIXES if number else PARTS  # the snapshot at the beginning stays as it is
                self._deleted.add(self.folder, old.base_offset, due_ms, gone)
        return True

    def settle(self, cleaned: Cleaned) -> None:
        """Give the files of a segment that `replace` has put in place their lasting names."""
        with self._files:
            if not self._closed and cleaned.segment in self._segments:
                swap.swap_to_place(self.folder, cleaned.segment.base_offset)
                cleaned.segment.renamed(swap.SWAP, "")

    def truncate_to(self, offset: int) -> int:
        """Cut the log so that it ends at `offset`, or before the batch that holds it; the new end."""
        if offset >= self.log_end_offset:
            return self.log_end_offset
        with self._syncing, self._files, disk.storing(self.folder, "truncate"):
            self._reader.release()
            self._active.release()
            keep = max(1, sum(segment.base_offset <= offset for segment in self._segments))
            for segment in self._segments[keep:]:
                self._deleted.add(self.folder, segment.base_offset, self._now_ms())
            last = self._segments[keep - 1]
            last.load()
            found = last.find(offset)
            end = last.next_offset if found is None else found[1].base_offset
            if found is not None:
                last.cut(found[0])
            last.release()
            self._reload(end)
        return self.log_end_offset

    def _reload(self, end: int) -> None:
        self._deleted.remove(self._now_ms())
        loaded = Loader(self.folder, self._where, self.config, self._now_ms()).load(
            clean_shutdown=False, recovery_point=end, log_start_offset=min(self.log_start_offset, end)
        )
        self._adopt(loaded)
        self.recovery_point = min(self.recovery_point, end)
        self._dirty_folders.add(str(self.folder))

    def close(self) -> None:
        """Write all that a clean shutdown leaves: full indexes, a snapshot of the producers, everything synced.

        Raises KafkaStorageError; the next start must then recover the log.
        """
        if self._closed:
            return
        as_opened = self.log_end_offset == self._sealed_offset and not self._dirty_folders
        if not (as_opened and not self.epochs.is_changed and all(segment.is_synced for segment in self._segments)):
            with self._files:
                self._seal()
                self._active.is_synced = False
                self._dirty_folders.add(str(self.folder))
            self._sync(closing=True)
        self._release()

    def abandon(self) -> None:
        """Close its files and write nothing more, if that is not done: the next start recovers the log."""
        self._release()

    def _release(self) -> None:
        self._closed = True
        self._reader.release()
        self._active.release()

    def delete(self) -> None:
        """Remove the folder with all that is in it. Raises KafkaStorageError."""
        with self._syncing, self._files, disk.storing(self.folder, "delete"):
            self._release()
            doomed = disk.aside(self.folder, "-delete")
            os.rename(self.folder, doomed)
            shutil.rmtree(doomed)


def _files_of(folder: Path, segment: Segment) -> list[str]:
    """The files of a segment that is appended to no more, and the snapshot taken when it was left."""
    paths = [folder / file_name(segment.base_offset, part) for part in PARTS]
    paths.append(folder / file_name(segment.next_offset, SNAPSHOT))
    return [str(path) for path in paths if path.exists()]
