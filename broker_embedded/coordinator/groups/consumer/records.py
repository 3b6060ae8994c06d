"""A consumer group in `__consumer_offsets`, in Kafka's own bytes: keys of types 3 to 8 and 16.

Sources: ConsumerGroupMetadata, ConsumerGroupPartitionMetadata, ConsumerGroupMemberMetadata,
ConsumerGroupTargetAssignmentMetadata, ConsumerGroupTargetAssignmentMember, ConsumerGroupCurrentMemberAssignment and
ConsumerGroupRegularExpression in Kafka's message definitions, each in its version 0. All keys are a group, and of those
that are about one of several a member id or a regular expression besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple

from broker_embedded.coordinator.fields import Reader, UnknownRecordError, Writer
from broker_embedded.coordinator.groups.consumer.member import (
    ClassicMember,
    Member,
    MemberState,
    Partition,
    Partitions,
    by_topic,
)
from broker_embedded.coordinator.groups.consumer.state import Resolved, State


class Kind(IntEnum):
    """Types of keys."""

    GROUP = 3
    PARTITION_METADATA = 4  # up to Kafka 4.0; only ever removed here
    MEMBER = 5
    TARGET_EPOCH = 6
    TARGET = 7
    CURRENT = 8
    REGEX = 16


_NAMED = frozenset({Kind.MEMBER, Kind.TARGET, Kind.CURRENT, Kind.REGEX})


class Key(NamedTuple):
    """`name` is the member id or the regular expression, if the kind has one."""

    kind: Kind
    group_id: str
    name: str = ""


def encode_key(key: Key) -> bytes:
    """
    >>> encode_key(Key(Kind.MEMBER, "g", "m"))
    b'\\x00\\x05\\x00\\x01g\\x00\\x01m'
    """
    writer = Writer().int16(key.kind).string(key.group_id)
    return (writer.string(key.name) if key.kind in _NAMED else writer).data()


def decode_key(data: bytes) -> Key:
    """
    >>> decode_key(b"\\x00\\x03\\x00\\x01g").group_id
    'g'
    """
    reader = Reader(data)
    kind = Kind(reader.int16())
    return Key(kind, reader.string(), reader.string() if kind in _NAMED else "")


def _value() -> Writer:
    return Writer(flexible=True).int16(0)


# What goes into a value


def encode_group(state: State) -> bytes:
    return _value().int32(state.epoch).tags(_int64_tag(state.metadata_hash)).data()


def encode_target_epoch(state: State) -> bytes:
    return _value().int32(state.assignment_epoch).tags(_int64_tag(state.assigned_ms)).data()


def _int64_tag(value: int) -> dict[int, bytes]:
    """Kafka leaves out what is 0."""
    return {0: Writer().int64(value).data()} if value else {}


def encode_member(member: Member) -> bytes:
    writer = _value().string(member.instance_id).string(member.rack_id)
    writer.string(member.client_id).string(member.client_host).count(len(member.topics))
    for topic in sorted(member.topics):
        writer.string(topic)
    writer.string(member.regex).int32(member.rebalance_timeout_ms).string(member.assignor)
    return writer.tags({0: _classic(member.classic)}).data()


def _classic(classic: ClassicMember | None) -> bytes:
    """Null is written too: to Kafka a field that is missing is a classic member of which nothing is known."""
    if classic is None:
        return b"\0"
    writer = Writer(flexible=True).int8(1).int32(classic.session_timeout_ms).count(len(classic.protocols))
    for name, metadata in classic.protocols:
        writer.string(name).binary(metadata).tags()
    return writer.tags().data()


def encode_target(target: Partitions) -> bytes:
    topics = by_topic(target)
    writer = _value().count(len(topics))
    for topic, partitions in topics.items():
        writer.uuid(topic).count(len(partitions))
        for partition in partitions:
            writer.int32(partition)
        writer.tags()
    return writer.tags().data()


def encode_current(member: Member) -> bytes:
    writer = _value().int32(member.epoch).int32(member.previous_epoch).int8(member.state)
    for partitions in (member.assigned, member.revoking):
        _epochs(writer, partitions)
    return writer.tags().data()


def _epochs(writer: Writer, partitions: Mapping[Partition, int]) -> None:
    topics = by_topic(partitions)
    writer.count(len(topics))
    for topic, indexes in topics.items():
        writer.uuid(topic).count(len(indexes))
        for index in indexes:
            writer.int32(index)
        epochs = Writer(flexible=True).count(len(indexes))
        for index in indexes:
            epochs.int32(partitions[topic, index])
        writer.tags({0: epochs.data()})


def encode_regex(resolved: Resolved) -> bytes:
    writer = _value().count(len(resolved.topics))
    for topic in sorted(resolved.topics):
        writer.string(topic)
    return writer.int64(resolved.version).int64(resolved.at_ms).tags().data()


# What comes out of one


def replay(state: State, key: Key, value: bytes) -> None:
    """Put what a record says into `state`. Raises UnknownRecordError for a version that cannot be read."""
    reader = Reader(value, flexible=True)
    version = reader.int16()
    if version != 0:
        raise UnknownRecordError(f"{key.kind.name} record of group {key.group_id!r} in version {version}; 0 is known")
    if key.kind is Kind.GROUP:
        state.epoch = reader.int32()
        state.metadata_hash = _read_int64_tag(reader)
    elif key.kind is Kind.PARTITION_METADATA:
        state.has_partition_metadata = True
    elif key.kind is Kind.TARGET_EPOCH:
        state.assignment_epoch = reader.int32()
        state.assigned_ms = _read_int64_tag(reader)
    elif key.kind is Kind.TARGET:
        state.targets[key.name] = _decode_target(reader)
    elif key.kind is Kind.REGEX:
        topics = frozenset([reader.string() for _ in range(reader.count())])
        state.regexes[key.name] = Resolved(topics, reader.int64(), reader.int64())
    else:
        decode = _decode_member if key.kind is Kind.MEMBER else _decode_current
        state.members[key.name] = decode(reader, state.members.get(key.name, Member(key.name)))


def _read_int64_tag(reader: Reader) -> int:
    data = reader.tags().get(0)
    return 0 if data is None else Reader(data).int64()


def _decode_member(reader: Reader, member: Member) -> Member:
    member = replace(
        member,
        instance_id=reader.nullable_string(),
        rack_id=reader.nullable_string(),
        client_id=reader.string(),
        client_host=reader.string(),
        topics=frozenset([reader.string() for _ in range(reader.count())]),
        regex=reader.string(),
        rebalance_timeout_ms=reader.int32(),
        assignor=reader.nullable_string(),
    )
    return replace(member, classic=_decode_classic(reader.tags().get(0)))


def _decode_classic(data: bytes | None) -> ClassicMember | None:
    if not data or data[0] == 0:
        return None
    reader = Reader(data, position=1, flexible=True)
    session_timeout_ms = reader.int32()
    protocols = []
    for _ in range(reader.count()):
        protocols.append((reader.string(), reader.binary()))
        reader.tags()
    return ClassicMember(session_timeout_ms, tuple(protocols))


def _decode_target(reader: Reader) -> Partitions:
    found: set[Partition] = set()
    for _ in range(reader.count()):
        topic = reader.uuid()
        found |= {(topic, reader.int32()) for _ in range(reader.count())}
        reader.tags()
    return frozenset(found)


def _decode_current(reader: Reader, member: Member) -> Member:
    epoch, previous_epoch, state = reader.int32(), reader.int32(), reader.int8()
    return replace(
        member,
        epoch=epoch,
        previous_epoch=previous_epoch,
        state=MemberState(state) if state in (0, 1, 2) else MemberState.UNKNOWN,
        assigned=_decode_epochs(reader, epoch),
        revoking=_decode_epochs(reader, epoch),
    )


def _decode_epochs(reader: Reader, member_epoch: int) -> dict[Partition, int]:
    """Before Kafka 4.3 the epochs are missing: that of the member then, but not that of one that is away."""
    found: dict[Partition, int] = {}
    for _ in range(reader.count()):
        topic = reader.uuid()
        indexes = [reader.int32() for _ in range(reader.count())]
        epochs = _int32s(reader.tags().get(0))
        if len(epochs) != len(indexes):
            epochs = [max(member_epoch, 0)] * len(indexes)
        found.update({(topic, index): epoch for index, epoch in zip(indexes, epochs, strict=True)})
    return found


def _int32s(data: bytes | None) -> list[int]:
    if data is None:
        return []
    reader = Reader(data, flexible=True)
    return [reader.int32() for _ in range(reader.count())]
