"""Topics through the handlers: making, growing, deleting, describing; codes and words are Apache Kafka 4.3.1's."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from uuid import UUID, uuid4

import pytest

from broker_embedded.errors import KafkaError, KafkaStorageError
from broker_embedded.handlers import RequestContext
from broker_embedded.log.segment import Segment
from broker_embedded.session import Session
from broker_embedded.wire.messages.topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DeleteTopicState,
    MetadataRequest,
    MetadataRequestTopic,
)

UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS = 3, 17, 36, 37
INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, INVALID_REQUEST = 38, 39, 40, 42
POLICY_VIOLATION, KAFKA_STORAGE_ERROR, TOPIC_DELETION_DISABLED, UNKNOWN_TOPIC_ID = 44, 56, 73, 100
EVERY_TOPIC_OPERATION, EVERY_CLUSTER_OPERATION, NOT_ASKED = 3576, 8096, -(2**31)
NO_ID = UUID(int=0)


def row(name: str, partitions: int = 1, **fields: Any) -> CreatableTopic:
    return CreatableTopic(name, partitions, **fields)


def config(name: str, value: str | None) -> list[CreatableTopicConfig]:
    return [CreatableTopicConfig(name, value)]


_ASSIGNMENT = "The manual partition assignment includes"
_NAME = "Topic name is invalid: "


def assigned(*rows: tuple[int, list[int]], **fields: Any) -> CreatableTopic:
    return CreatableTopic("a", -1, assignments=[CreatableReplicaAssignment(*row) for row in rows], **fields)


@pytest.mark.parametrize(
    ("topic", "code", "message"),
    [
        (row("a"), 0, None),
        (row("a", -1), 0, None),
        (row("x" * 249), 0, None),
        (
            row("x" * 250),
            INVALID_TOPIC,
            f"{_NAME}the length of '{'x' * 250}' is longer than the max allowed length 249",
        ),
        (row(""), INVALID_TOPIC, f"{_NAME}the empty string is not allowed"),
        (row("."), INVALID_TOPIC, f"{_NAME}'.' is not allowed"),
        (row(".."), INVALID_TOPIC, f"{_NAME}'..' is not allowed"),
        (
            row("a b"),
            INVALID_TOPIC,
            f"{_NAME}'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (row("here_now"), INVALID_TOPIC, "Topic 'here_now' collides with existing topic: here.now"),
        (row("here.now"), TOPIC_ALREADY_EXISTS, "Topic 'here.now' already exists."),
        (row("__cluster_metadata"), INVALID_REQUEST, "Creation of internal topic __cluster_metadata is prohibited."),
        (row("__consumer_offsets"), TOPIC_ALREADY_EXISTS, "Topic '__consumer_offsets' already exists."),
        (row("a", 0), INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."),
        (row("a", -2), INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."),
        (row("a", 10_001), POLICY_VIOLATION, "Excessively large number of partitions per request."),
        (row("a", replication_factor=1), 0, None),
        (row("a", replication_factor=0), INVALID_REPLICATION_FACTOR, "Replication factor must be larger than 0, or"),
        (
            row("a", replication_factor=3),
            INVALID_REPLICATION_FACTOR,
            "Unable to replicate the partition 3 time(s): The",
        ),
        (row("a", configs=config("retention.ms", "-1")), 0, None),
        (
            row("a", configs=config("retention.ms", "long")),
            INVALID_CONFIG,
            "Invalid value long for configuration retention.ms: Not a number of type LONG",
        ),
        (
            row("a", configs=config("retention.ms", None)),
            INVALID_CONFIG,
            "Null value not supported for topic configs: retention.ms",
        ),
        (row("a", configs=config("ttl", "1")), INVALID_CONFIG, "Unknown topic config name: ttl"),
        (assigned((0, [1]), (1, [1])), 0, None),
        (assigned((0, [2])), INVALID_REPLICA_ASSIGNMENT, f"{_ASSIGNMENT} broker 2, but no such broker is registered."),
        (assigned((0, [1, 1])), INVALID_REPLICA_ASSIGNMENT, f"{_ASSIGNMENT} the broker 1 more than once."),
        (assigned((0, [])), INVALID_REPLICA_ASSIGNMENT, f"{_ASSIGNMENT} an empty replica list."),
        (assigned((1, [1])), INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence"),
        (
            assigned((0, [1]), (0, [1])),
            INVALID_REPLICA_ASSIGNMENT,
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            row("a", 1, assignments=[CreatableReplicaAssignment(0, [1])]),
            INVALID_REQUEST,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            assigned((0, [1]), replication_factor=1),
            INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
    ],
    ids=lambda value: value.name[:20] if isinstance(value, CreatableTopic) else str(value)[:20],
)
async def test_creation_is_checked(client: Any, topic: CreatableTopic, code: int, message: str | None) -> None:
    await client.create("here.now")
    for validate_only in (True, False):
        answer = (await client.cluster.handle(CreateTopicsRequest([topic], validate_only=validate_only))).topics[0]
        assert answer.error_code == code
        assert (answer.error_message or "").startswith(message or "")
        assert (answer.error_message is None) == (message is None)
        exists = topic.name in client.cluster.topics and code != TOPIC_ALREADY_EXISTS
        assert exists == (code == 0 and not validate_only)


async def test_more_replicas_count_as_one_where_that_is_allowed(folder: Any) -> None:
    client = folder.open(max_replication_factor=3)
    request = CreateTopicsRequest([row("a", replication_factor=3), row("b", replication_factor=4)])
    made, refused = (await client.cluster.handle(request)).topics
    assert (made.error_code, made.replication_factor) == (0, 1)
    assert refused.error_code == INVALID_REPLICATION_FACTOR


async def test_one_bad_topic_does_not_stop_the_others(client: Any) -> None:
    request = CreateTopicsRequest([row("a"), row("b c"), row("d", 2), row("e"), row("e")])
    answer = await client.cluster.handle(request)
    assert [(topic.name, topic.error_code) for topic in answer.topics] == [
        *(("a", 0), ("b c", INVALID_TOPIC), ("d", 0), ("e", INVALID_REQUEST)),
    ]
    assert [client.cluster.topics[name].partition_count for name in ("a", "d")] == [1, 2]
    assert "e" not in client.cluster.topics


async def test_configs_come_with_the_answer(client: Any) -> None:
    request = CreateTopicsRequest([row("a", configs=config("segment.bytes", "1048576"))])
    (made,) = (await client.cluster.handle(request, RequestContext(api_version=7))).topics
    values = {config.name: (config.value, config.config_source) for config in made.configs or []}
    assert len(values) == 33
    assert values["segment.bytes"] == ("1048576", 1)
    assert values["retention.ms"] == ("604800000", 5)
    assert (made.num_partitions, made.replication_factor, made.topic_config_error_code) == (1, 1, 0)


@pytest.mark.parametrize(
    ("name", "count", "assignments", "code", "message"),
    [
        ("a", 4, None, 0, None),
        ("a", 4, [[1], [1]], 0, None),
        ("a", 2, None, INVALID_PARTITIONS, "Topic already has 2 partition(s)."),
        ("a", 1, None, INVALID_PARTITIONS, "The topic a currently has 2 partition(s); 1 would not be an increase."),
        ("a", -1, None, INVALID_PARTITIONS, "The topic a currently has 2 partition(s); -1 would not be an increase."),
        (
            "a",
            4,
            [[1]],
            INVALID_REPLICA_ASSIGNMENT,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        ("a", 3, [[2]], INVALID_REPLICA_ASSIGNMENT, f"{_ASSIGNMENT} broker 2, but no such broker is registered."),
        ("a", 30_000, None, POLICY_VIOLATION, "29998 partitions more at a time; 10000 are the most"),
        ("b", 2, None, UNKNOWN_TOPIC_OR_PARTITION, "topic 'b' does not exist"),
        ("", 2, None, UNKNOWN_TOPIC_OR_PARTITION, "topic '' does not exist"),
        ("__consumer_offsets", 9, None, INVALID_TOPIC, "Topic '__consumer_offsets' is internal"),
    ],
)
async def test_growth_is_checked(
    client: Any, name: str, count: int, assignments: list[list[int]] | None, code: int, message: str | None
) -> None:
    await client.create("a", 2)
    rows = None if assignments is None else [CreatePartitionsAssignment(brokers) for brokers in assignments]
    for validate_only in (True, False):
        request = CreatePartitionsRequest([CreatePartitionsTopic(name, count, rows)], validate_only=validate_only)
        (result,) = (await client.cluster.handle(request)).results
        assert (result.name, result.error_code) == (name, code)
        assert (result.error_message or "").startswith(message or "")
        grown = code == 0 and not validate_only
        assert client.cluster.topics["a"].partition_count == (count if grown else 2)


async def test_what_can_not_be_made_leaves_nothing(folder: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.create("a", 1)
    create, left, open_files = Segment.create, 3, len(os.listdir("/proc/self/fd"))

    def fail_at_last(*args: Any, **kwargs: Any) -> Segment:
        nonlocal left
        left -= 1
        if left < 0:
            raise KafkaStorageError("the disk is full")
        return create(*args, **kwargs)

    monkeypatch.setattr(Segment, "create", fail_at_last)
    answer = await client.cluster.handle(CreateTopicsRequest([row("b", 2), row("c", 2)]))
    assert [result.error_code for result in answer.topics] == [KAFKA_STORAGE_ERROR] * 2
    left = 1
    grown = await client.cluster.handle(CreatePartitionsRequest([CreatePartitionsTopic("a", 3)]))
    assert (grown.results[0].error_code, len(client.cluster.topics["a"].partitions)) == (KAFKA_STORAGE_ERROR, 1)
    assert len(os.listdir("/proc/self/fd")) == open_files
    left = 100
    await client.create("b", 2)
    grown = await client.cluster.handle(CreatePartitionsRequest([CreatePartitionsTopic("a", 3)]))
    assert (grown.results[0].error_code, len(client.cluster.topics["a"].partitions)) == (0, 3)
    await client.cluster.close()
    again = folder.open().cluster.topics
    assert {name: topic.partition_count for name, topic in again.items() if not topic.is_internal} == {"a": 3, "b": 2}


async def test_growing(client: Any) -> None:
    await client.create("a", 2)
    await client.create("b", 2)
    await client.produce("a", "before")
    rows = [CreatePartitionsTopic(name, count) for name, count in (("a", 4), ("b", 3), ("b", 4))]
    answer = await client.cluster.handle(CreatePartitionsRequest(rows))
    assert [(result.name, result.error_code) for result in answer.results] == [("a", 0), ("b", INVALID_REQUEST)]
    await client.produce("a", "after", partition=3)
    assert (client.read("a"), client.read("a", 3)) == (["before"], ["after"])
    assert client.cluster.topics["b"].partition_count == 2


async def test_growth_lasts(folder: Any, client: Any) -> None:
    await client.create("a", 1)
    await client.cluster.handle(CreatePartitionsRequest([CreatePartitionsTopic("a", 2)]))
    await client.produce("a", "x", partition=1)
    folder.kill()
    assert folder.open().read("a", 1) == ["x"]


async def test_deleting_by_name_and_id(client: Any) -> None:
    await client.create("a")
    made = await client.create("b")
    rows = [DeleteTopicState("a"), DeleteTopicState(None, made.topic_id), DeleteTopicState("c")]
    rows += [DeleteTopicState(None, uuid4()), DeleteTopicState("__transaction_state")]
    answer = await client.cluster.handle(DeleteTopicsRequest(rows))
    assert [result.error_code for result in answer.responses] == [
        *(0, 0, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC)
    ]
    assert {topic.name for topic in client.cluster.topics.values() if not topic.is_internal} == set()


async def test_what_is_asked_for_in_two_ways_stays(client: Any) -> None:
    await client.create("twice")
    made = await client.create("both")
    await client.create("named")
    rows = [DeleteTopicState("twice"), DeleteTopicState("twice"), DeleteTopicState("both")]
    rows += [
        DeleteTopicState(None, made.topic_id),
        DeleteTopicState("named", made.topic_id),
        DeleteTopicState(None, NO_ID),
    ]
    answer = await client.cluster.handle(DeleteTopicsRequest(rows))
    assert [(result.name, result.error_code, result.error_message) for result in answer.responses] == [
        ("twice", INVALID_REQUEST, "Duplicate topic name."),
        ("both", INVALID_REQUEST, "Duplicate topic name."),
        ("named", INVALID_REQUEST, "You may not specify both topic name and topic id."),
        (None, INVALID_REQUEST, "Neither topic name nor id were specified."),
    ]
    assert {"twice", "both", "named"} < set(client.cluster.topics)


async def test_the_longest_name_can_be_deleted(client: Any) -> None:
    name = "x" * 249
    await client.create(name, 2)
    answer = await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState(name)]))
    assert [(result.error_code, result.error_message) for result in answer.responses] == [(0, None)]
    assert not list(client.cluster.folder.path.glob("xxx*"))


async def test_a_deletion_goes_on_when_its_caller_hangs_up(folder: Any) -> None:
    client = folder.open()
    await client.create("a")
    deleting = asyncio.create_task(client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("a")])))
    await asyncio.sleep(0)
    deleting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deleting
    await client.cluster.close()
    assert "a" not in folder.open().cluster.topics


async def test_a_name_is_taken_until_its_topic_is_gone(client: Any) -> None:
    await client.create("a")
    deleting = asyncio.create_task(client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("a")])))
    await asyncio.sleep(0)
    request = CreateTopicsRequest([row("a"), row("b")])
    codes = [result.error_code for result in (await client.cluster.handle(request)).topics]
    assert codes == [TOPIC_ALREADY_EXISTS, 0]
    await client.cluster.handle(MetadataRequest([MetadataRequestTopic("a")], allow_auto_topic_creation=True))
    assert "a" not in client.cluster.topics
    await deleting
    await client.create("a")
    assert (await client.produce("a", "x")).error_code == 0


async def test_deletion_can_be_forbidden(folder: Any) -> None:
    client = folder.open(delete_topic_enable=False)
    await client.create("a")
    with pytest.raises(KafkaError) as caught:
        await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("a")]))
    assert (caught.value.code, "a" in client.cluster.topics) == (TOPIC_DELETION_DISABLED, True)


async def test_deletion_in_use(client: Any) -> None:
    """Who waits in a fetch, and who produces, learns that the topic is gone; a new one of its name is another."""
    made = await client.create("a")
    waiting = asyncio.ensure_future(client.fetch("a", 0, max_wait_ms=60_000, min_bytes=1))
    await asyncio.sleep(0)
    await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("a")]))
    assert (await waiting).error_code == UNKNOWN_TOPIC_OR_PARTITION
    assert (await client.produce("a", "x")).error_code == UNKNOWN_TOPIC_OR_PARTITION
    again = await client.create("a")
    rows = [MetadataRequestTopic(None, made.topic_id), MetadataRequestTopic(None, again.topic_id)]
    answer = await client.cluster.handle(MetadataRequest(rows))
    assert [(topic.name, topic.error_code) for topic in answer.topics] == [(None, UNKNOWN_TOPIC_ID), ("a", 0)]


async def test_metadata(client: Any) -> None:
    made = await client.create("a", 2)

    async def ask(*topics: MetadataRequestTopic) -> list[tuple[str | None, int, int]]:
        answer = await client.cluster.handle(MetadataRequest(list(topics)))
        return [(topic.name, topic.error_code, len(topic.partitions)) for topic in answer.topics]

    assert await ask() == []
    assert await ask(MetadataRequestTopic("a"), MetadataRequestTopic("b"), MetadataRequestTopic("b c")) == [
        *(("a", 0, 2), ("b", UNKNOWN_TOPIC_OR_PARTITION, 0), ("b c", INVALID_TOPIC, 0))
    ]
    assert await ask(MetadataRequestTopic(None, made.topic_id)) == [("a", 0, 2)]
    assert await ask(MetadataRequestTopic(None, uuid4())) == [(None, UNKNOWN_TOPIC_ID, 0)]
    everything = await client.cluster.handle(MetadataRequest())
    assert {topic.name: topic.is_internal for topic in everything.topics} == {
        "__consumer_offsets": True,
        "__transaction_state": True,
        "a": False,
    }
    assert everything.cluster_id == client.cluster.folder.meta.cluster_id


@pytest.mark.parametrize(("version", "count"), [(0, 3), (1, 0), (13, 0)])
async def test_no_topics_are_all_in_the_first_version(client: Any, version: int, count: int) -> None:
    await client.create("a")
    answer = await client.cluster.handle(MetadataRequest([]), RequestContext(api_version=version))
    assert len(answer.topics) == count


@pytest.mark.parametrize(("version", "name"), [(11, "a"), (11, None), (10, None)])
async def test_ids_are_asked_for_from_version_12_on(client: Any, version: int, name: str | None) -> None:
    made = await client.create("a")
    request = MetadataRequest([MetadataRequestTopic(name, made.topic_id)])
    (row,) = (await client.cluster.handle(request, RequestContext(api_version=version))).topics
    assert (row.error_code, row.name) == (INVALID_REQUEST, name or "")
    assert (await client.cluster.handle(request, RequestContext(api_version=12))).topics[0].name == "a"


async def test_a_topic_is_told_once_and_ids_come_before_names(client: Any) -> None:
    made = await client.create("a")
    await client.create("b")
    names = [MetadataRequestTopic("b"), MetadataRequestTopic("b", NO_ID)]
    assert [row.name for row in (await client.cluster.handle(MetadataRequest(names))).topics] == ["b"]
    rows = [MetadataRequestTopic("b"), MetadataRequestTopic("x", made.topic_id)]
    assert [row.name for row in (await client.cluster.handle(MetadataRequest(rows))).topics] == ["a"]


async def test_metadata_of_the_broker(folder: Any) -> None:
    client = folder.open(broker_rack="r1")
    client.cluster.listeners |= {"IN": ("inside", 1), "OUT": ("outside", 2)}
    for listener, address in (("IN", ("inside", 1)), ("OUT", ("outside", 2))):
        context = RequestContext(session=Session(listener=listener))
        answer = await client.cluster.handle(MetadataRequest([]), context)
        assert [(row.node_id, row.host, row.port, row.rack) for row in answer.brokers] == [(1, *address, "r1")]
        assert (answer.controller_id, answer.cluster_id) == (1, client.cluster.folder.meta.cluster_id)


@pytest.mark.parametrize(
    ("topic", "cluster", "expected"),
    [
        (False, False, (NOT_ASKED, NOT_ASKED)),
        (True, False, (EVERY_TOPIC_OPERATION, NOT_ASKED)),
        (False, True, (NOT_ASKED, EVERY_CLUSTER_OPERATION)),
    ],
)
async def test_operations_are_told_when_asked_for(
    client: Any, topic: bool, cluster: bool, expected: tuple[int, int]
) -> None:
    await client.create("a")
    request = MetadataRequest([MetadataRequestTopic("a")], True, topic, cluster)
    answer = await client.cluster.handle(request, RequestContext())
    assert (answer.topics[0].topic_authorized_operations, answer.cluster_authorized_operations) == expected


async def test_leader_epochs_are_those_of_the_log(client: Any) -> None:
    await client.create("a")
    client.cluster.log("a", 0).begin_epoch(7)
    answer = await client.cluster.handle(MetadataRequest([MetadataRequestTopic("a")]))
    assert answer.topics[0].partitions[0].leader_epoch == 7


@pytest.mark.parametrize("name", ["here_now", "__cluster_metadata"])
async def test_a_topic_that_can_not_be_made_stays_unknown(folder: Any, name: str) -> None:
    client = folder.open(auto_create_topics=True)
    await client.create("here.now")
    for _ in range(2):
        answer = await client.cluster.handle(MetadataRequest([MetadataRequestTopic(name)]))
        assert answer.topics[0].error_code == UNKNOWN_TOPIC_OR_PARTITION
    assert name not in client.cluster.topics


@pytest.mark.parametrize("broker_allows", [True, False])
@pytest.mark.parametrize("request_allows", [True, False])
async def test_auto_creation_takes_two(folder: Any, broker_allows: bool, request_allows: bool) -> None:
    client = folder.open(auto_create_topics=broker_allows, num_partitions=3)
    request = MetadataRequest([MetadataRequestTopic("a")], allow_auto_topic_creation=request_allows)
    assert (await client.cluster.handle(request)).topics[0].error_code == UNKNOWN_TOPIC_OR_PARTITION
    made = client.cluster.topics.get("a")
    assert (made is not None and made.partition_count == 3) == (broker_allows and request_allows)
