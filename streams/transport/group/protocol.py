"""What members of a group write to each other, in the bytes of Kafka's consumers (ConsumerProtocolSubscription and
ConsumerProtocolAssignment): the broker passes them on, and Kafka's tools read topics and partitions in them.

A version has the fields of those before it and more at its end, so newer ones can be read as the newest that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from broker_embedded.coordinator.fields import FAULTS, Reader, Writer
from streams.transport.contract import TopicPartition, TransportError
from streams.transport.rows import by_topic

PROTOCOL_TYPE = "consumer"
NEWEST = 3
_OWNED_SINCE, _GENERATION_SINCE, _RACK_SINCE = 1, 2, 3  # KIP-429, KIP-792, KIP-881


class Subscription(msgspec.Struct, frozen=True):
    """What a member tells the one that assigns.

    `generation` is the one in which it was given what it has (KIP-792); `userdata` is between the members.
    """

    topics: Sequence[str] = ()
    owned: Sequence[TopicPartition] = ()
    userdata: bytes = b""
    generation: int = -1
    rack: str | None = None


class Assignment(msgspec.Struct, frozen=True):
    """What a member is given."""

    partitions: Sequence[TopicPartition] = ()
    userdata: bytes = b""


def encode_subscription(subscription: Subscription, version: int = NEWEST) -> bytes:
    """Topics and partitions go in order, as Kafka's clients write them; without userdata it is null.

    >>> encode_subscription(Subscription(["b", "a"], [TopicPartition("a", 0)]), 1).hex(" ", -2)
    '0001 0000 0002 0001 6100 0162 ffff ffff 0000 0001 0001 6100 0000 0100 0000 00'
    """
    writer = Writer().int16(version).count(len(subscription.topics))
    for topic in sorted(subscription.topics):
        writer.string(topic)
    _write_userdata(writer, subscription.userdata)
    if version >= _OWNED_SINCE:
        _write_partitions(writer, sorted(subscription.owned))
    if version >= _GENERATION_SINCE:
        writer.int32(subscription.generation)
    if version >= _RACK_SINCE:
        writer.string(subscription.rack)
    return writer.data()


def decode_subscription(data: bytes) -> Subscription:
    """Raises TransportError for bytes that are not of a consumer.

    >>> decode_subscription(bytes.fromhex("0000 00000001 0001 61 00000001 07"))
    Subscription(topics=['a'], owned=[], userdata=b'\\x07', generation=-1, rack=None)
    """
    reader = Reader(data)
    try:
        version = reader.int16()
        return Subscription(
            [reader.string() for _ in range(reader.count())],
            userdata=reader.binary(),
            owned=_read_partitions(reader) if version >= _OWNED_SINCE else [],
            generation=reader.int32() if version >= _GENERATION_SINCE else -1,
            rack=reader.nullable_string() if version >= _RACK_SINCE else None,
        )
    except FAULTS as error:
        raise TransportError(f"a member of the group says what Kafka's consumers do not say: {error}") from error


def encode_assignment(assignment: Assignment, version: int = NEWEST) -> bytes:
    """Every version has the same bytes but for its number.

    >>> encode_assignment(Assignment([TopicPartition("a", 2)]), 0).hex(" ", -2)
    '0000 0000 0001 0001 6100 0000 0100 0000 02ff ffff ff'
    """
    writer = Writer().int16(version)
    _write_partitions(writer, assignment.partitions)
    _write_userdata(writer, assignment.userdata)
    return writer.data()


def decode_assignment(data: bytes) -> Assignment:
    """Who was given nothing at all has no bytes. Raises TransportError for bytes that are not of a consumer.

    >>> decode_assignment(b"")
    Assignment(partitions=(), userdata=b'')
    """
    if not data:
        return Assignment()
    reader = Reader(data)
    try:
        reader.int16()
        return Assignment(_read_partitions(reader), reader.binary())
    except FAULTS as error:
        raise TransportError(f"the group assigns what Kafka's consumers do not read: {error}") from error


def _write_userdata(writer: Writer, userdata: bytes) -> None:
    if userdata:
        writer.binary(userdata)
    else:
        writer.int32(-1)


def _write_partitions(writer: Writer, tps: Iterable[TopicPartition]) -> None:
    topics = by_topic(tps)
    writer.count(len(topics))
    for topic, partitions in topics.items():
        writer.string(topic).count(len(partitions))
        for partition in partitions:
            writer.int32(partition)


def _read_partitions(reader: Reader) -> list[TopicPartition]:
    found = []
    for _ in range(reader.count()):
        topic = reader.string()
        found += [TopicPartition(topic, reader.int32()) for _ in range(reader.count())]
    return found
