"""Keys and values of `__consumer_offsets` and `__transaction_state`, in Kafka's own bytes.

Sources: OffsetCommitKey, OffsetCommitValue, TransactionLogKey, TransactionLogValue in Kafka's message definitions. A
key starts with its type (int16), a value with its version (int16). Written: OffsetCommitValue 3, TransactionLogValue 0,
the highest without tagged fields; read: every version Kafka 4 reads (tagged fields are passed over).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from broker_embedded.coordinator.fields import INT16, INT32, INT64, Reader
from broker_embedded.coordinator.states import State

_OFFSET_KEY_TYPES = (0, 1)
_TRANSACTION_KEY_TYPE = 0
_OFFSET_HEAD = struct.Struct(">hqi")  # version, offset, leader epoch
_TRANSACTION_HEAD = struct.Struct(">hqhib")  # version, producer id, epoch, timeout, status
_TRANSACTION_TAIL = struct.Struct(">qq")  # last update, start


class OffsetKey(NamedTuple):
    group: str
    topic: str
    partition: int


class OffsetValue(NamedTuple):
    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    commit_timestamp: int = -1


class TransactionValue(NamedTuple):
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: State
    partitions: frozenset[tuple[str, int]]
    updated_ms: int
    started_ms: int


class UnknownRecordError(ValueError):
    """A record of an internal topic in a version or of a kind that cannot be read."""


def _string(text: str) -> bytes:
    data = text.encode()
    return INT16.pack(len(data)) + data


def encode_offset_key(group: str, topic: str, partition: int) -> bytes:
    return INT16.pack(1) + _string(group) + _string(topic) + INT32.pack(partition)


def is_offset(key: bytes) -> bool:
    """Whether a key of `__consumer_offsets` is that of a committed offset, and not of a group."""
    return INT16.unpack_from(key)[0] in _OFFSET_KEY_TYPES


def decode_offset_key(data: bytes) -> OffsetKey | None:
    """The key of a committed offset; None for other records of the topic (group metadata)."""
    if not is_offset(data):
        return None
    reader = Reader(data, INT16.size)
    return OffsetKey(reader.string(), reader.string(), reader.int32())


def encode_offset_value(value: OffsetValue) -> bytes:
    """
    >>> decode_offset_value(encode_offset_value(OffsetValue(42, 0, "note", 1_000)))
    OffsetValue(offset=42, leader_epoch=0, metadata='note', commit_timestamp=1000)
    """
    head = _OFFSET_HEAD.pack(3, value.offset, value.leader_epoch)
    return head + _string(value.metadata) + INT64.pack(value.commit_timestamp)


def decode_offset_value(data: bytes) -> OffsetValue:
    """Versions 0 to 4. Raises UnknownRecordError for others."""
    version = INT16.unpack_from(data)[0]
    if not 0 <= version <= 4:
        raise UnknownRecordError(f"committed offset in version {version}; 0 to 4 are known")
    reader = Reader(data, 2, flexible=version >= 4)
    offset = reader.int64()
    leader_epoch = reader.int32() if version >= 3 else -1
    return OffsetValue(offset, leader_epoch, reader.string(), reader.int64())


def encode_transaction_key(transactional_id: str) -> bytes:
    return INT16.pack(_TRANSACTION_KEY_TYPE) + _string(transactional_id)


def decode_transaction_key(data: bytes) -> str | None:
    """The transactional id; None for a key of another type."""
    reader = Reader(data)
    return reader.string() if reader.int16() == _TRANSACTION_KEY_TYPE else None


def encode_transaction_value(value: TransactionValue) -> bytes:
    head = _TRANSACTION_HEAD.pack(0, value.producer_id, value.producer_epoch, value.timeout_ms, value.state)
    return head + _partitions(value) + _TRANSACTION_TAIL.pack(value.updated_ms, value.started_ms)


def _partitions(value: TransactionValue) -> bytes:
    if value.state is State.EMPTY:  # Kafka writes null here, and refuses anything else
        return INT32.pack(-1)
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(value.partitions):
        topics.setdefault(topic, []).append(partition)
    parts = [INT32.pack(len(topics))]
    for topic, partitions in topics.items():
        parts += (_string(topic), struct.pack(f">i{len(partitions)}i", len(partitions), *partitions))
    return b"".join(parts)


def decode_transaction_value(data: bytes) -> TransactionValue:
    """Versions 0 and 1. Raises UnknownRecordError for others."""
    version, producer_id, epoch, timeout_ms, status = _TRANSACTION_HEAD.unpack_from(data)
    if version not in (0, 1):
        raise UnknownRecordError(f"transaction in version {version}; 0 and 1 are known")
    reader = Reader(data, _TRANSACTION_HEAD.size, flexible=version == 1)
    partitions = set()
    for _ in range(reader.count()):
        topic = reader.string()
        partitions |= {(topic, reader.int32()) for _ in range(reader.count())}
        reader.skip_tags()
    updated_ms, started_ms = reader.unpack(_TRANSACTION_TAIL)
    return TransactionValue(
        producer_id, epoch, timeout_ms, State(status), frozenset(partitions), updated_ms, started_ms
    )
