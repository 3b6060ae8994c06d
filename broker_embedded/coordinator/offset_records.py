"""Keys and values of committed offsets in `__consumer_offsets`, in Kafka's own bytes.

Sources: OffsetCommitKey and OffsetCommitValue in Kafka's message definitions. A key starts with its type (int16), a
value with its version (int16). Written: OffsetCommitValue 4, or 3 where no topic id is known; read: every version that
Kafka 4 reads.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from uuid import UUID

from broker_embedded.coordinator.fields import INT16, INT32, INT64, Reader, UnknownRecordError, Writer

_OFFSET_KEY_TYPES = (0, 1)
_TOPIC_ID_TAG = bytes((1, 0, 16))  # one tagged field, number 0, 16 bytes
_OFFSET_HEAD = struct.Struct(">hqi")  # version, offset, leader epoch


class OffsetKey(NamedTuple):
    group: str
    topic: str
    partition: int


class OffsetValue(NamedTuple):
    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    commit_timestamp: int = -1
    topic_id: UUID | None = None


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
    OffsetValue(offset=42, leader_epoch=0, metadata='note', commit_timestamp=1000, topic_id=None)
    """
    topic_id = value.topic_id
    head = _OFFSET_HEAD.pack(3 if topic_id is None else 4, value.offset, value.leader_epoch)
    metadata = Writer(flexible=topic_id is not None).string(value.metadata).data()
    tail = b"" if topic_id is None else _TOPIC_ID_TAG + topic_id.bytes
    return head + metadata + INT64.pack(value.commit_timestamp) + tail


def decode_offset_value(data: bytes) -> OffsetValue:
    """Versions 0 to 4. Raises UnknownRecordError for others."""
    version = INT16.unpack_from(data)[0]
    if not 0 <= version <= 4:
        raise UnknownRecordError(f"committed offset in version {version}; 0 to 4 are known")
    reader = Reader(data, 2, flexible=version >= 4)
    offset = reader.int64()
    leader_epoch = reader.int32() if version >= 3 else -1
    metadata, commit_timestamp = reader.string(), reader.int64()
    topic_id = reader.tags().get(0)
    return OffsetValue(offset, leader_epoch, metadata, commit_timestamp, UUID(bytes=topic_id) if topic_id else None)
