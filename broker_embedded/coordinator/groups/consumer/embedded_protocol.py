"""What consumers say to each other inside of the classic protocol (Kafka: ConsumerProtocolSubscription, -Assignment).

Read when a classic group becomes a consumer group, and written for its members that still speak the classic protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from broker_embedded.coordinator.fields import FAULTS, Reader, Writer
from broker_embedded.topics import Partition

_NEWEST = 3
_OWNED_SINCE, _GENERATION_SINCE, _RACK_SINCE = 1, 2, 3


class MalformedError(ValueError):
    """These are not the bytes of a consumer."""


class Subscription(NamedTuple):
    version: int
    topics: frozenset[str]
    owned: frozenset[Partition]
    rack_id: str | None


class Assignment(NamedTuple):
    """`user_data` is between the members' assignor and itself: only assignors of users write some."""

    partitions: frozenset[Partition]
    user_data: bytes


def decode_subscription(data: bytes) -> Subscription:
    """A version that is not known yet is read as the newest that is. Raises MalformedError.

    >>> decode_subscription(bytes.fromhex("0000 00000001 0001 61 ffffffff")).topics
    frozenset({'a'})
    """
    reader = Reader(data)
    try:
        version = _version(reader)
        topics = frozenset([reader.string() for _ in range(reader.count())])
        reader.binary()  # user data
        owned = _partitions(reader) if version >= _OWNED_SINCE else frozenset()
        if version >= _GENERATION_SINCE:
            reader.int32()
        rack_id = reader.nullable_string() if version >= _RACK_SINCE else None
    except FAULTS as error:
        raise MalformedError(f"a subscription that consumers do not write: {error}") from error
    return Subscription(version, topics, owned, rack_id)


def decode_assignment(data: bytes) -> Assignment:
    """Nothing at all is the assignment of who has none. Raises MalformedError."""
    if not data:
        return Assignment(frozenset(), b"")
    reader = Reader(data)
    try:
        _version(reader)
        return Assignment(_partitions(reader), reader.binary())
    except FAULTS as error:
        raise MalformedError(f"an assignment that consumers do not write: {error}") from error


def encode_assignment(version: int, partitions: Mapping[str, Iterable[int]]) -> bytes:
    """Indexes by topic; in the version in which the member says what it subscribes to.

    >>> sorted(decode_assignment(encode_assignment(1, {"a": [0, 2]})).partitions)
    [('a', 0), ('a', 2)]
    """
    writer = Writer().int16(version).count(len(partitions))
    for topic, indexes in sorted(partitions.items()):
        ordered = sorted(indexes)
        writer.string(topic).count(len(ordered))
        for index in ordered:
            writer.int32(index)
    return writer.count(-1).data()  # no user data


def _version(reader: Reader) -> int:
    version = reader.int16()
    if version < 0:
        raise MalformedError(f"version {version} of what consumers say to each other")
    return min(version, _NEWEST)


def _partitions(reader: Reader) -> frozenset[Partition]:
    found: set[Partition] = set()
    for _ in range(reader.count()):
        topic = reader.string()
        found |= {(topic, reader.int32()) for _ in range(reader.count())}
    return frozenset(found)
