"""Transactional ids and their latest transactions, as `__transaction_state` has them (Kafka: TransactionMetadata)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker_embedded import records
from broker_embedded.coordinator.placement import partition_for
from broker_embedded.coordinator.transactions.records import (
    TransactionValue,
    decode_transaction_key,
    decode_transaction_value,
    encode_transaction_key,
    encode_transaction_value,
)
from broker_embedded.coordinator.transactions.spans import HEADER, NO_TOPIC, Span, decode_spans, encode_spans
from broker_embedded.coordinator.transactions.states import State
from broker_embedded.topics import TRANSACTIONS_TOPIC, Partition

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

EPOCH_MAX = 32_767


@dataclass(slots=True)
class Transaction:
    """A transactional id with its present producer and its latest transaction."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: State = State.EMPTY
    partitions: set[Partition] = field(default_factory=set)
    updated_ms: int = -1
    started_ms: int = -1
    previous_producer_id: int = -1
    """Before the last move: who got a new id and did not hear of it is known by the old one."""
    next_producer_id: int = -1
    """Of a decided transaction that took the last epoch: who goes on after it."""
    client_version: int = 0
    """The transaction.version that the last request spoke: 0, or 2 since KIP-890."""
    spans: Mapping[Partition, Span] = field(default_factory=dict)
    """Of a decided commit: where its data is."""
    last_epoch: int = -1
    """Before the present one, if the same instance went on: a retry gets the same answer. Not in the log."""
    ending: bool = False
    """A commit waits for the disk: nothing else may happen to the transaction."""

    @property
    def is_exhausted(self) -> bool:
        """Whether no epoch is left to give out: the very last one is kept for fencing."""
        return self.producer_epoch >= EPOCH_MAX - 1

    def value(self) -> TransactionValue:
        """What a record says of it."""
        return TransactionValue(
            self.producer_id,
            self.producer_epoch,
            self.timeout_ms,
            self.state,
            frozenset(self.partitions),
            self.updated_ms,
            self.started_ms,
            self.previous_producer_id,
            self.next_producer_id,
            self.client_version,
        )

    def become(self, value: TransactionValue, spans: Mapping[Partition, Span]) -> None:
        """Take over what a record says."""
        self.producer_id, self.producer_epoch = value.producer_id, value.producer_epoch
        self.timeout_ms, self.state, self.partitions = value.timeout_ms, value.state, set(value.partitions)
        self.updated_ms, self.started_ms, self.spans = value.updated_ms, value.started_ms, spans
        self.previous_producer_id, self.next_producer_id = value.previous_producer_id, value.next_producer_id
        self.client_version = value.client_version


class TransactionLog:
    """Writes and reads `__transaction_state`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def write(self, txn: Transaction, value: TransactionValue) -> None:
        """Write down what `txn` is to become, then let it. Raises KafkaStorageError, and nothing has changed then."""
        spans = self._spans(value) if value.state is State.PREPARE_COMMIT else {}
        headers = [[(HEADER, encode_spans(spans))]] if spans else None
        data = encode_transaction_value(value)
        self._append(txn.transactional_id, records.encode([self._key(txn)], [data], [value.updated_ms], headers))
        txn.become(value, spans)

    def remove(self, txn: Transaction) -> None:
        """Write down that an id is forgotten."""
        self._append(txn.transactional_id, records.encode([self._key(txn)], [None], [self._cluster.now_ms()]))

    def _key(self, txn: Transaction) -> bytes:
        return encode_transaction_key(txn.transactional_id)

    def _append(self, transactional_id: str, batch: bytearray) -> None:
        partitions = self._cluster.topics[TRANSACTIONS_TOPIC].partitions
        partitions[partition_for(transactional_id, len(partitions))].append(batch, verified=True)

    def _spans(self, value: TransactionValue) -> dict[Partition, Span]:
        spans = {}
        for partition in value.partitions:
            source = self._cluster.find_log(*partition)
            if source is None:
                spans[partition] = Span(NO_TOPIC, -1, -1)
            else:
                first = source.open_transactions().get(value.producer_id, -1)
                spans[partition] = Span(source.topic_id, first, source.log_end_offset)
        return spans

    def read(self) -> dict[str, Transaction]:
        """The newest of each id."""
        newest: dict[bytes | None, tuple[bytes | None, bytes | None]] = {}
        for state_log in self._cluster.topics[TRANSACTIONS_TOPIC].partitions:
            for _, batch in self._cluster.read_all(state_log):
                columns = records.decode(batch)
                spans: list[bytes | None] = [None] * len(columns)
                if columns.has_headers:
                    spans = [dict(row).get(HEADER) for row in columns.headers()]
                newest.update(zip(columns.keys(), zip(columns.values(), spans, strict=True), strict=True))
        found = {}
        for key, (data, packed) in newest.items():
            transactional_id = decode_transaction_key(key or b"")
            if transactional_id is not None and data is not None:
                value = decode_transaction_value(data)
                txn = Transaction(transactional_id, value.producer_id, value.producer_epoch, value.timeout_ms)
                txn.become(value, decode_spans(packed, value.partitions) if packed is not None else {})
                found[transactional_id] = txn
        return found
