"""Keys and values of `__transaction_state`, in Kafka's own bytes.

Sources: TransactionLogKey and TransactionLogValue in Kafka's message definitions, and its TransactionLog. A key starts
with its type (int16), a value with its version (int16). Written: version 1, as Kafka does with transaction.version=2,
in which tagged fields tell of the producer ids before and after this one (KIP-890); read: versions 0 and 1.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from broker_embedded.coordinator.fields import INT16, INT64, Reader, UnknownRecordError, Writer
from broker_embedded.coordinator.transactions.states import State

_KEY_TYPE = 0
_HEAD = struct.Struct(">hqhib")  # version, producer id, epoch, timeout, status
_TAIL = struct.Struct(">qq")  # last update, start
_VERSION = 1
_PREVIOUS_ID, _NEXT_ID, _CLIENT_VERSION = 0, 1, 2  # tags


class TransactionValue(NamedTuple):
    """`client_version` is the transaction.version that the last request spoke: 0, or 2 since KIP-890."""

    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: State
    partitions: frozenset[tuple[str, int]]
    updated_ms: int
    started_ms: int
    previous_producer_id: int = -1
    next_producer_id: int = -1
    client_version: int = 0


def encode_transaction_key(transactional_id: str) -> bytes:
    return Writer().int16(_KEY_TYPE).string(transactional_id).data()


def decode_transaction_key(data: bytes) -> str | None:
    """The transactional id; None for a key of another type."""
    reader = Reader(data)
    return reader.string() if reader.int16() == _KEY_TYPE else None


def encode_transaction_value(value: TransactionValue) -> bytes:
    """
    >>> ready = TransactionValue(7, 3, 60_000, State.EMPTY, frozenset(), 1_000, -1, previous_producer_id=6)
    >>> decode_transaction_value(encode_transaction_value(ready)) == ready
    True
    """
    writer = Writer(flexible=True)
    if value.state is State.EMPTY:  # Kafka writes null here, and refuses anything else
        writer.count(-1)
    else:
        topics: dict[str, list[int]] = {}
        for topic, partition in sorted(value.partitions):
            topics.setdefault(topic, []).append(partition)
        writer.count(len(topics))
        for topic, partitions in topics.items():
            writer.string(topic).count(len(partitions))
            for partition in partitions:
                writer.int32(partition)
            writer.tags()
    head = _HEAD.pack(_VERSION, value.producer_id, value.producer_epoch, value.timeout_ms, value.state)
    tail = _TAIL.pack(value.updated_ms, value.started_ms) + Writer(flexible=True).tags(_tags(value)).data()
    return head + writer.data() + tail


def _tags(value: TransactionValue) -> dict[int, bytes]:
    """What differs from its default."""
    tags = {}
    if value.previous_producer_id != -1:
        tags[_PREVIOUS_ID] = INT64.pack(value.previous_producer_id)
    if value.next_producer_id != -1:
        tags[_NEXT_ID] = INT64.pack(value.next_producer_id)
    if value.client_version:
        tags[_CLIENT_VERSION] = INT16.pack(value.client_version)
    return tags


def decode_transaction_value(data: bytes) -> TransactionValue:
    """Versions 0 and 1. Raises UnknownRecordError for others."""
    version, producer_id, epoch, timeout_ms, status = _HEAD.unpack_from(data)
    if version not in (0, 1):
        raise UnknownRecordError(f"transaction in version {version}; 0 and 1 are known")
    reader = Reader(data, _HEAD.size, flexible=version == 1)
    partitions = set()
    for _ in range(reader.count()):
        topic = reader.string()
        partitions |= {(topic, reader.int32()) for _ in range(reader.count())}
        reader.tags()
    updated_ms, started_ms = reader.unpack(_TAIL)
    tags = reader.tags()
    return TransactionValue(
        producer_id,
        epoch,
        timeout_ms,
        State(status),
        frozenset(partitions),
        updated_ms,
        started_ms,
        INT64.unpack(tags.get(_PREVIOUS_ID, b"\xff" * 8))[0],
        INT64.unpack(tags.get(_NEXT_ID, b"\xff" * 8))[0],
        INT16.unpack(tags.get(_CLIENT_VERSION, b"\0\0"))[0],
    )
