"""What a partition knows about its producers: their last batches (idempotence) and their open transactions.

The rules are Kafka's (KIP-98, KIP-185; ProducerStateManager, ProducerAppendInfo), and so is the layout of `.snapshot`.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import ItemsView
from typing import Final, NamedTuple

from fastcrc import crc32

from broker_embedded.errors import (
    InvalidProducerEpochError,
    InvalidTxnStateError,
    OutOfOrderSequenceNumberError,
    TransactionCoordinatorFencedError,
)
from broker_embedded.records import NO_PRODUCER_EPOCH, NO_SEQUENCE, BatchHeader, decode

BATCHES_KEPT: Final = 5
_MAX_SEQUENCE: Final = 2**31 - 1

_SNAPSHOT_HEAD: Final = struct.Struct(">hIi")  # version 1, CRC-32C of all that follows it, number of producers
_SNAPSHOT_ENTRY: Final = struct.Struct(">qhiqiqiq")
_CRC_END: Final = 6
_MARKER_VALUE: Final = struct.Struct(">hi")  # version, coordinator epoch


class CorruptSnapshotError(ValueError):
    """A `.snapshot` file that cannot be one; an older one, or the log itself, is read instead."""


class Batch(NamedTuple):
    """One of a producer's last batches, as it was written."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp: int


class Producer:
    """State of one producer id in this partition. `open_since` is the first offset of its open transaction, or -1."""

    __slots__ = ("batches", "coordinator_epoch", "epoch", "open_since", "seen_ms", "timestamp")

    def __init__(
        self, epoch: int = NO_PRODUCER_EPOCH, timestamp: int = -1, coordinator_epoch: int = -1, open_since: int = -1
    ) -> None:
        self.epoch = epoch
        self.timestamp = timestamp  # of its records, as the snapshot has it; they may be years old
        self.seen_ms = -1  # wall clock
        self.coordinator_epoch = coordinator_epoch
        self.open_since = open_since
        self.batches: deque[Batch] = deque(maxlen=BATCHES_KEPT)

    def enter(self, epoch: int) -> None:
        """Go on in `epoch`; a new one forgets the batches of the old."""
        if epoch != self.epoch:
            self.batches.clear()
            self.epoch = epoch


class Ended(NamedTuple):
    """A transaction that a marker has just ended."""

    first_offset: int
    last_stable_offset: int


class LastBatch(NamedTuple):
    """Where a producer's last batch ends, -1 when only markers tell of it, and its epoch."""

    last_offset: int
    epoch: int


class ProducerStateManager:
    """The producers of one partition, `where` being its name in messages.

    >>> producers = ProducerStateManager("orders-0")
    >>> producers.last_stable_offset(42)
    42
    """

    __slots__ = ("_producers", "_where", "open_transactions")

    def __init__(self, where: str) -> None:
        self._where = where
        self._producers: dict[int, Producer] = {}
        # Transactions begin at rising offsets, so the first entry is the oldest.
        self.open_transactions: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._producers)

    def get(self, producer_id: int) -> Producer | None:
        return self._producers.get(producer_id)

    def items(self) -> ItemsView[int, Producer]:
        """Producers by id."""
        return self._producers.items()

    def last_stable_offset(self, end_offset: int) -> int:
        """The first offset of the oldest open transaction; `end_offset` when none is open."""
        for first_offset in self.open_transactions.values():
            return first_offset
        return end_offset

    def check(self, header: BatchHeader) -> Batch | None:
        """Whether the batch may be appended; the batch it repeats, if it was written before.

        A batch without sequence numbers (-1), as the broker writes itself, is checked for its epoch only.
        Raises InvalidProducerEpochError, OutOfOrderSequenceNumberError, InvalidTxnStateError.
        """
        producer = self._producers.get(header.producer_id)
        if producer is None:
            return None
        first = header.base_sequence
        if first >= 0 and header.producer_epoch == producer.epoch:
            last = _last_sequence(header)
            for batch in producer.batches:
                if batch.first_sequence == first and batch.last_sequence == last:
                    return batch
        self._check_epoch(header.producer_id, header.producer_epoch, producer)
        if first >= 0:
            self._check_sequence(header, producer)
        if producer.open_since >= 0 and not header.is_transactional:
            raise InvalidTxnStateError(
                f"{self._where}: producer {header.producer_id} has a transaction open since offset "
                f"{producer.open_since}, and sent a batch outside of it; commit or abort it first"
            )
        return None

    def _check_epoch(self, producer_id: int, epoch: int, producer: Producer) -> None:
        if epoch < producer.epoch:
            raise InvalidProducerEpochError(
                f"{self._where}: producer {producer_id} writes with epoch {epoch}, but {producer.epoch} has been seen: "
                "a newer instance has taken over"
            )

    def _check_sequence(self, header: BatchHeader, producer: Producer) -> None:
        first = header.base_sequence
        if header.producer_epoch != producer.epoch:
            expected = 0
        else:
            last = producer.batches[-1].last_sequence if producer.batches else NO_SEQUENCE
            expected = 0 if last == _MAX_SEQUENCE else last + 1
        if first != expected:
            raise OutOfOrderSequenceNumberError(
                f"{self._where}: producer {header.producer_id} epoch {header.producer_epoch} sent sequence {first}, "
                f"{expected} is next: a batch before it was lost or is still under way"
            )

    def record(self, header: BatchHeader, first_offset: int, now_ms: int) -> None:
        """Take note of a batch of records that was appended at `first_offset`."""
        producer_id = header.producer_id
        producer = self._producers.get(producer_id)
        if producer is None:
            producer = self._producers[producer_id] = Producer()
        producer.enter(header.producer_epoch)
        last_offset = first_offset + header.last_offset_delta
        producer.batches.append(
            Batch(header.base_sequence, _last_sequence(header), first_offset, last_offset, header.max_timestamp)
        )
        producer.timestamp = header.max_timestamp
        producer.seen_ms = now_ms
        if header.is_transactional and producer.open_since < 0:
            producer.open_since = first_offset
            self.open_transactions[producer_id] = first_offset

    def check_marker(self, producer_id: int, epoch: int, coordinator_epoch: int) -> None:
        """Whether a marker may be written. Raises InvalidProducerEpochError, TransactionCoordinatorFencedError."""
        producer = self._producers.get(producer_id)
        if producer is None:
            return
        self._check_epoch(producer_id, epoch, producer)
        if coordinator_epoch < producer.coordinator_epoch:
            raise TransactionCoordinatorFencedError(
                f"{self._where}: a marker for producer {producer_id} comes from coordinator epoch {coordinator_epoch}, "
                f"but {producer.coordinator_epoch} has been seen"
            )

    def end(
        self, producer_id: int, epoch: int, coordinator_epoch: int, offset: int, timestamp: int, now_ms: int
    ) -> Ended | None:
        """Take note of a marker at `offset`; the transaction it ended, or None when none was open."""
        producer = self._producers.get(producer_id)
        if producer is None:
            producer = self._producers[producer_id] = Producer()
        producer.enter(epoch)
        producer.coordinator_epoch = coordinator_epoch
        producer.timestamp = timestamp
        producer.seen_ms = now_ms
        first_offset = producer.open_since
        if first_offset < 0:
            return None
        producer.open_since = -1
        del self.open_transactions[producer_id]
        return Ended(first_offset, self.last_stable_offset(offset + 1))

    def expire(self, now_ms: int, after_ms: int) -> int:
        """Forget producers not heard of for `after_ms` and without an open transaction; how many.

        Kafka goes by the timestamp of their records, which would forget at once who writes records of last year.
        """
        old = [
            producer_id
            for producer_id, producer in self._producers.items()
            if producer.open_since < 0 and now_ms - producer.seen_ms >= after_ms
        ]
        for producer_id in old:
            del self._producers[producer_id]
        return len(old)

    def last_batches(self, before: int) -> dict[int, LastBatch]:
        """By producer id, the last batch of each that ends before `before`: what compaction must leave."""
        return {
            producer_id: LastBatch(
                max((batch.last_offset for batch in producer.batches if batch.last_offset < before), default=-1),
                producer.epoch,
            )
            for producer_id, producer in self._producers.items()
        }

    def clear(self) -> None:
        self._producers.clear()
        self.open_transactions.clear()

    def to_snapshot(self) -> bytes:
        """The bytes of a `.snapshot` file (version 1): of each producer its last batch and its open transaction."""
        rows = [_SNAPSHOT_ENTRY.pack(*_snapshot_row(*item)) for item in self._producers.items()]
        body = struct.pack(">i", len(rows)) + b"".join(rows)
        return struct.pack(">hI", 1, crc32.iscsi(body)) + body

    def load_snapshot(self, data: bytes, now_ms: int) -> None:
        """Become what `to_snapshot` wrote. Raises CorruptSnapshotError, unchanged."""
        if len(data) < _SNAPSHOT_HEAD.size:
            raise CorruptSnapshotError(f"{len(data)} bytes are too few for a snapshot")
        version, crc, count = _SNAPSHOT_HEAD.unpack_from(data)
        if version != 1:
            raise CorruptSnapshotError(f"version {version} is not known, 1 is")
        if crc32.iscsi(data[_CRC_END:]) != crc or len(data) != _SNAPSHOT_HEAD.size + count * _SNAPSHOT_ENTRY.size:
            raise CorruptSnapshotError("the checksum is wrong")
        self.clear()
        for (
            producer_id,
            epoch,
            last_sequence,
            last_offset,
            delta,
            timestamp,
            coordinator_epoch,
            open_since,
        ) in _SNAPSHOT_ENTRY.iter_unpack(data[_SNAPSHOT_HEAD.size :]):
            producer = Producer(epoch, timestamp, coordinator_epoch, open_since)
            producer.seen_ms = now_ms
            if last_offset >= 0:
                first_sequence = _decrement(last_sequence, delta)
                producer.batches.append(
                    Batch(first_sequence, last_sequence, last_offset - delta, last_offset, timestamp)
                )
            self._producers[producer_id] = producer
        opened = sorted((p.open_since, i) for i, p in self._producers.items() if p.open_since >= 0)
        self.open_transactions.update((producer_id, first_offset) for first_offset, producer_id in opened)


def coordinator_epoch(marker: memoryview) -> int:
    """Of the transaction coordinator that wrote a marker (a control batch)."""
    value = decode(marker).values()[0]
    return int(_MARKER_VALUE.unpack_from(value)[1]) if value else -1


def _snapshot_row(producer_id: int, producer: Producer) -> tuple[int, ...]:
    last = producer.batches[-1] if producer.batches else Batch(0, NO_SEQUENCE, -1, -1, -1)
    return (
        producer_id,
        producer.epoch,
        last.last_sequence,
        last.last_offset,
        last.last_offset - last.first_offset,
        producer.timestamp,
        producer.coordinator_epoch,
        producer.open_since,
    )


def _last_sequence(header: BatchHeader) -> int:
    first = header.base_sequence
    if first < 0:
        return NO_SEQUENCE
    return (first + header.last_offset_delta) & _MAX_SEQUENCE


def _decrement(sequence: int, by: int) -> int:
    return sequence if sequence < 0 else (sequence - by) & _MAX_SEQUENCE
