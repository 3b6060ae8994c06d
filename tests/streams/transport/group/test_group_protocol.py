"""Bytes of subscriptions and assignments, against those of kafka-python, whose schemas are Kafka's, and of aiokafka."""

from __future__ import annotations

import warnings

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.transport.contract import TopicPartition, TransportError
from streams.transport.group.protocol import (
    NEWEST,
    Assignment,
    Subscription,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from streams.transport.rows import by_topic

with warnings.catch_warnings():  # it reads its schemas by a call that is deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

SOME = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VERSIONS = range(NEWEST + 1)
topics = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="._-"), min_size=1, max_size=20)
partitions = st.lists(st.builds(TopicPartition, topics, st.integers(0, 2**31 - 1)), max_size=8, unique=True)
subscriptions = st.builds(
    Subscription,
    topics=st.lists(topics, max_size=4, unique=True).map(sorted),
    owned=partitions.map(sorted),
    userdata=st.binary(max_size=40),
    generation=st.integers(-1, 2**31 - 1),
    rack=st.none() | st.text(max_size=10),
)
assignments = st.builds(Assignment, partitions=partitions.map(sorted), userdata=st.binary(max_size=40))


def known_in(version: int, subscription: Subscription) -> Subscription:
    """What a version says of it."""
    return Subscription(
        subscription.topics,
        subscription.owned if version >= 1 else [],
        subscription.userdata,
        subscription.generation if version >= 2 else -1,
        subscription.rack if version >= 3 else None,
    )


@pytest.mark.parametrize("version", VERSIONS)
@SOME
@given(subscription=subscriptions)
def test_a_subscription_is_read_as_it_was_written(version: int, subscription: Subscription) -> None:
    assert decode_subscription(encode_subscription(subscription, version)) == known_in(version, subscription)


@pytest.mark.parametrize("version", VERSIONS)
@SOME
@given(assignment=assignments)
def test_an_assignment_is_read_as_it_was_written(version: int, assignment: Assignment) -> None:
    assert decode_assignment(encode_assignment(assignment, version)) == assignment


@pytest.mark.parametrize("version", VERSIONS)
@SOME
@given(subscription=subscriptions)
def test_subscriptions_have_the_bytes_of_kafka_python(version: int, subscription: Subscription) -> None:
    row = ConsumerProtocolSubscription.TopicPartition
    said = known_in(version, subscription)
    theirs = ConsumerProtocolSubscription(
        topics=said.topics,
        user_data=said.userdata or None,
        owned_partitions=[row(topic=name, partitions=found) for name, found in by_topic(said.owned).items()],
        generation_id=said.generation,
        rack_id=said.rack,
        version=version,
    )
    assert encode_subscription(subscription, version) == theirs.encode(version=version)


@pytest.mark.parametrize("version", VERSIONS)
@SOME
@given(assignment=assignments)
def test_assignments_have_the_bytes_of_kafka_python(version: int, assignment: Assignment) -> None:
    row = ConsumerProtocolAssignment.TopicPartition
    theirs = ConsumerProtocolAssignment(
        assigned_partitions=[
            row(topic=name, partitions=found) for name, found in by_topic(assignment.partitions).items()
        ],
        user_data=assignment.userdata or None,
        version=version,
    )
    assert encode_assignment(assignment, version) == theirs.encode(version=version)


@SOME
@given(subscription=subscriptions, assignment=assignments)
def test_aiokafka_reads_and_writes_the_same(subscription: Subscription, assignment: Assignment) -> None:
    said = ConsumerProtocolMemberMetadata(0, subscription.topics, subscription.userdata or None)
    assert encode_subscription(subscription, 0) == said.encode()
    given = ConsumerProtocolMemberAssignment.decode(encode_assignment(assignment))
    assert given.partitions() == list(assignment.partitions)


@SOME
@given(subscription=subscriptions, more=st.binary(min_size=1, max_size=20))
def test_versions_of_the_future_are_read_as_far_as_they_are_known(subscription: Subscription, more: bytes) -> None:
    data = encode_subscription(subscription)
    assert decode_subscription((NEWEST + 1).to_bytes(2, "big") + data[2:] + more) == subscription


@pytest.mark.parametrize("data", [b"", b"\x00", bytes.fromhex("0001 00000001 0005 61"), bytes.fromhex("0000 7fffffff")])
def test_what_is_not_of_a_consumer_is_said(data: bytes) -> None:
    with pytest.raises(TransportError, match="do not say"):
        decode_subscription(data)


def test_an_assignment_that_is_cut_off_is_said() -> None:
    with pytest.raises(TransportError, match="do not read"):
        decode_assignment(bytes.fromhex("0000 00000001 0001"))


@pytest.mark.parametrize("end", range(2, 24))
def test_a_subscription_that_is_cut_off_is_said(end: int) -> None:
    data = encode_subscription(Subscription(["t"], [TopicPartition("t", 1)]))
    with pytest.raises(TransportError):
        decode_subscription(data[:end])
