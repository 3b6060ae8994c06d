"""What compaction keeps of a batch, and the batch made of that (Kafka's Cleaner, MemoryRecords.filterTo, KIP-534).

Offsets stay: a batch keeps its first and last one, also when records between them go, and with the last one its
producer's last sequence number. Records are kept as the bytes they are; only a delete horizon, which takes the place of
the base timestamp, changes the timestamp deltas in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from broker_embedded.log.cleaned_transactions import CleanedTransactions
from broker_embedded.log.offset_map import OffsetMap
from broker_embedded.log.producers import LastBatch
from broker_embedded.records import BatchHeader, Records, decode, set_offset, verify
from broker_embedded.records.batch_header import (
    BATCH_OVERHEAD_BYTES,
    CONTROL,
    DELETE_HORIZON,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    write_header,
)
from broker_embedded.records.compression import compress
from broker_embedded.records.varint import encode_varint, read_varint

Mask = NDArray[np.bool_]

_KEPT_OF_EMPTY: Final = LOG_APPEND_TIME | TRANSACTIONAL | CONTROL


class Retention(NamedTuple):
    """What is decided by: the newest offsets of keys (known up to before `known_end`), transactions, producers, time.

    The batch that ends at `end` stays even when it is empty, and so does the last one of each producer.
    """

    newest: OffsetMap
    known_end: int
    end: int
    transactions: CleanedTransactions
    last_batches: Mapping[int, LastBatch]
    now_ms: int
    delete_retention_ms: int

    def keep(self, header: BatchHeader, batch: memoryview) -> memoryview | bytearray | None:
        """The batch as it is, one made of what is left of it, or None. Raises CorruptBatchError."""
        verify(batch)  # damage must not get a new checksum
        horizon = header.base_timestamp if header.has_delete_horizon else None
        if header.is_control:
            over = self.transactions.may_go(header, batch)
            gone = over and horizon is not None and horizon <= self.now_ms
            if header.count and not gone:
                return self._with_horizon(header, batch) if over and horizon is None else batch
            return self._emptied(header)
        if self.transactions.is_aborted(header) or not header.count:
            return self._emptied(header)
        return self._keep_records(header, batch, horizon)

    def _keep_records(
        self, header: BatchHeader, batch: memoryview, horizon: int | None
    ) -> memoryview | bytearray | None:
        records = decode(batch)
        tombstone = records.value_start < 0
        stays = (records.offsets >= self.newest.find(records.keys())) & (records.key_start >= 0)
        if horizon is not None and horizon <= self.now_ms:
            stays &= ~tombstone
        stays |= records.offsets >= self.known_end
        if not stays.any():
            return self._emptied(header)
        if horizon is None and (tombstone & stays).any():
            horizon = self.now_ms + self.delete_retention_ms
        elif stays.all():
            return batch
        return rewritten(header, records, stays, horizon)

    def _with_horizon(self, header: BatchHeader, batch: memoryview) -> bytearray:
        stays = np.ones(header.count, np.bool_)
        return rewritten(header, decode(batch), stays, self.now_ms + self.delete_retention_ms)

    def _emptied(self, header: BatchHeader) -> bytearray | None:
        return emptied(header) if header.next_offset == self.end or self._is_last(header) else None

    def _is_last(self, header: BatchHeader) -> bool:
        last = self.last_batches.get(header.producer_id)
        if last is None:
            return False
        if last.last_offset >= 0:
            return header.last_offset == last.last_offset
        return header.is_control and header.producer_epoch == last.epoch  # it tells the producer's epoch


def emptied(header: BatchHeader) -> bytearray:
    """A batch of the same offsets, producer and sequence, without records."""
    batch = bytearray(BATCH_OVERHEAD_BYTES)
    _seal(batch, header, header.attributes & _KEPT_OF_EMPTY, -1, header.max_timestamp, 0)
    return batch


def rewritten(header: BatchHeader, records: Records, stays: Mask, horizon: int | None) -> bytearray:
    """A batch of the records that stay of all that it had, under the delete horizon that is given or it has."""
    payload = records.buffer  # of one batch: they begin at its first byte
    attributes, base = header.attributes, header.base_timestamp
    spans = zip(_spans(payload, header.count), stays.tolist(), records.timestamps.tolist(), strict=True)
    if horizon is None or header.has_delete_horizon:
        parts = [payload[start:stop] for (start, stop), kept, _ in spans if kept]
    else:
        attributes, base = attributes | DELETE_HORIZON, horizon
        parts = [_from(payload, start, stop, time - horizon) for (start, stop), kept, time in spans if kept]
    made = bytearray(BATCH_OVERHEAD_BYTES)
    made += compress(header.codec, b"".join(parts))
    latest = header.max_timestamp if header.is_log_append_time else int(records.timestamps[stays].max())
    _seal(made, header, attributes, base, latest, len(parts))
    return made


def _spans(payload: bytes, count: int) -> Iterator[tuple[int, int]]:
    """Where each record begins and ends."""
    position = 0
    for _ in range(count):
        length, body = read_varint(payload, position)
        stop = body + length
        yield position, stop
        position = stop


def _from(payload: bytes, start: int, stop: int, delta_ms: int) -> bytes:
    """A record whose timestamp is `delta_ms` from the base."""
    _, attributes = read_varint(payload, start)
    _, rest = read_varint(payload, attributes + 1)
    body = payload[attributes : attributes + 1] + encode_varint(delta_ms) + payload[rest:stop]
    return encode_varint(len(body)) + body


def _seal(batch: bytearray, header: BatchHeader, attributes: int, base: int, latest: int, count: int) -> None:
    write_header(
        batch,
        attributes=attributes,
        base_offset=header.base_offset,
        last_offset_delta=header.last_offset_delta,
        base_timestamp=base,
        max_timestamp=latest,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        count=count,
    )
    set_offset(batch, header.base_offset, header.leader_epoch)
