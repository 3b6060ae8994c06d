"""Key and value of a classic group in `__consumer_offsets`, in Kafka's own bytes.

Sources: GroupMetadataKey, GroupMetadataValue in Kafka's message definitions. Written: version 3, the highest that older
Kafkas read as well, and the one Kafka writes; read: 0 to 4.
"""

from __future__ import annotations

from typing import NamedTuple

from broker_embedded.coordinator.fields import INT16, Reader, UnknownRecordError, Writer

KEY_TYPE = 2
_WRITTEN, _NEWEST = 3, 4


class MemberValue(NamedTuple):
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


class GroupValue(NamedTuple):
    """A generation of a group; without members it is an empty group. `state_since_ms` is -1 where it is not known."""

    protocol_type: str
    generation: int
    protocol: str | None
    leader: str | None
    state_since_ms: int = -1
    members: tuple[MemberValue, ...] = ()


def encode_group_key(group_id: str) -> bytes:
    """
    >>> decode_group_key(encode_group_key("readers"))
    'readers'
    """
    return Writer().int16(KEY_TYPE).string(group_id).data()


def decode_group_key(data: bytes) -> str:
    return Reader(data, INT16.size).string()


def encode_group_value(value: GroupValue) -> bytes:
    """
    >>> decode_group_value(encode_group_value(GroupValue("consumer", 3, "range", "a-1", 99)))
    GroupValue(protocol_type='consumer', generation=3, protocol='range', leader='a-1', state_since_ms=99, members=())
    """
    writer = Writer().int16(_WRITTEN).string(value.protocol_type).int32(value.generation)
    writer.string(value.protocol).string(value.leader).int64(value.state_since_ms).count(len(value.members))
    for member in value.members:
        writer.string(member.member_id).string(member.instance_id).string(member.client_id).string(member.client_host)
        writer.int32(member.rebalance_timeout_ms).int32(member.session_timeout_ms)
        writer.binary(member.subscription).binary(member.assignment)
    return writer.data()


def decode_group_value(data: bytes) -> GroupValue:
    """Versions 0 to 4. Raises UnknownRecordError for others."""
    version = INT16.unpack_from(data)[0]
    if not 0 <= version <= _NEWEST:
        raise UnknownRecordError(f"group metadata in version {version}; 0 to {_NEWEST} are known")
    reader = Reader(data, INT16.size, flexible=version >= 4)
    head = (reader.string(), reader.int32(), reader.nullable_string(), reader.nullable_string())
    state_since_ms = reader.int64() if version >= 2 else -1
    return GroupValue(*head, state_since_ms, tuple(_member(reader, version) for _ in range(reader.count())))


def _member(reader: Reader, version: int) -> MemberValue:
    member_id = reader.string()
    instance_id = reader.nullable_string() if version >= 3 else None
    client = (reader.string(), reader.string())
    rebalance_timeout_ms = reader.int32() if version >= 1 else -1
    session_timeout_ms = reader.int32()
    if rebalance_timeout_ms < 0:
        rebalance_timeout_ms = session_timeout_ms
    parts = (reader.binary(), reader.binary())
    reader.tags()
    return MemberValue(member_id, instance_id, *client, rebalance_timeout_ms, session_timeout_ms, *parts)
