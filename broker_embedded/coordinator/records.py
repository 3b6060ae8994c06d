"""Keys and values of `__consumer_offsets` and `__transaction_state`, in Kafka's own bytes.

Sources: OffsetCommitKey, OffsetCommitValue, TransactionLogKey, TransactionLogValue in Kafka's message definitions. A
key starts with its type (int16), a value with its version (int16). Written: OffsetCommitValue 3, TransactionLogValue 0,
the highest without tagged fields; read: every version Kafka 4 reads (tagged fields are passed over).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from broker_embedded.coordinator.states import State

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_OFFSET_KEY_TYPES = (0, 1)
_TRANSACTION_KEY_TYPE = 0
_OFFSET_HEAD = struct.Struct(">hqi")  # version, offset, leader epoch
_INT64 = struct.Struct(">q")
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
    return _INT16.pack(len(data)) + data


class _Reader:
    """Walks over the fields of one key or value; `flexible` values have compact lengths."""

    def __init__(self, data: bytes, position: int = 0, flexible: bool = False) -> None:
        self.data, self.position, self.flexible = data, position, flexible

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        values = layout.unpack_from(self.data, self.position)
        self.position += layout.size
        return values

    def _unsigned_varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def string(self) -> str:
        length = self._unsigned_varint() - 1 if self.flexible else self.unpack(_INT16)[0]
        start, self.position = self.position, self.position + length
        return self.data[start : self.position].decode()

    def count(self) -> int:
        """Of an array; a null one counts as empty."""
        return max(0, self._unsigned_varint() - 1 if self.flexible else self.unpack(_INT32)[0])

    def skip_tags(self) -> None:
        if self.flexible:
            for _ in range(self._unsigned_varint()):
                self._unsigned_varint()  # the tag's number
                size = self._unsigned_varint()
                self.position += size


def encode_offset_key(group: str, topic: str, partition: int) -> bytes:
    return _INT16.pack(1) + _string(group) + _string(topic) + _INT32.pack(partition)


def decode_offset_key(data: bytes) -> OffsetKey | None:
    """The key of a committed offset; None for other records of the topic (group metadata)."""
    reader = _Reader(data)
    if reader.unpack(_INT16)[0] not in _OFFSET_KEY_TYPES:
        return None
    return OffsetKey(reader.string(), reader.string(), reader.unpack(_INT32)[0])


def encode_offset_value(value: OffsetValue) -> bytes:
    """
    >>> decode_offset_value(encode_offset_value(OffsetValue(42, 0, "note", 1_000)))
    OffsetValue(offset=42, leader_epoch=0, metadata='note', commit_timestamp=1000)
    """
    head = _OFFSET_HEAD.pack(3, value.offset, value.leader_epoch)
    return head + _string(value.metadata) + _INT64.pack(value.commit_timestamp)


def decode_offset_value(data: bytes) -> OffsetValue:
    """Versions 0 to 4. Raises UnknownRecordError for others."""
    version = _INT16.unpack_from(data)[0]
    if not 0 <= version <= 4:
        raise UnknownRecordError(f"committed offset in version {version}; 0 to 4 are known")
    reader = _Reader(data, 2, flexible=version >= 4)
    offset = reader.unpack(_INT64)[0]
    leader_epoch = reader.unpack(_INT32)[0] if version >= 3 else -1
    return OffsetValue(offset, leader_epoch, reader.string(), reader.unpack(_INT64)[0])


def encode_transaction_key(transactional_id: str) -> bytes:
    return _INT16.pack(_TRANSACTION_KEY_TYPE) + _string(transactional_id)


def decode_transaction_key(data: bytes) -> str | None:
    """The transactional id; None for a key of another type."""
    reader = _Reader(data)
    return reader.string() if reader.unpack(_INT16)[0] == _TRANSACTION_KEY_TYPE else None


def encode_transaction_value(value: TransactionValue) -> bytes:
    head = _TRANSACTION_HEAD.pack(0, value.producer_id, value.producer_epoch, value.timeout_ms, value.state)
    return head + _partitions(value) + _TRANSACTION_TAIL.pack(value.updated_ms, value.started_ms)


def _partitions(value: TransactionValue) -> bytes:
    if value.state is State.EMPTY:  # Kafka writes null here, and refuses anything else
        return _INT32.pack(-1)
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(value.partitions):
        topics.setdefault(topic, []).append(partition)
    parts = [_INT32.pack(len(topics))]
    for topic, partitions in topics.items():
        parts += (_string(topic), struct.pack(f">i{len(partitions)}i", len(partitions), *partitions))
    return b"".join(parts)


def decode_transaction_value(data: bytes) -> TransactionValue:
    """Versions 0 and 1. Raises UnknownRecordError for others."""
    version, producer_id, epoch, timeout_ms, status = _TRANSACTION_HEAD.unpack_from(data)
    if version not in (0, 1):
        raise UnknownRecordError(f"transaction in version {version}; 0 and 1 are known")
    reader = _Reader(data, _TRANSACTION_HEAD.size, flexible=version == 1)
    partitions = set()
    for _ in range(reader.count()):
        topic = reader.string()
        partitions |= {(topic, reader.unpack(_INT32)[0]) for _ in range(reader.count())}
        reader.skip_tags()
    updated_ms, started_ms = reader.unpack(_TRANSACTION_TAIL)
    return TransactionValue(
        producer_id, epoch, timeout_ms, State(status), frozenset(partitions), updated_ms, started_ms
    )
