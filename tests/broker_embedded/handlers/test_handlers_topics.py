"""Topics through the handlers: making, growing, deleting, describing, configuring."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from broker_embedded.wire.messages.configs import (
    OPERATION_APPEND,
    OPERATION_DELETE,
    OPERATION_SET,
    OPERATION_SUBTRACT,
    RESOURCE_BROKER,
    RESOURCE_TOPIC,
    AlterableConfig,
    AlterConfigsResource,
    DescribeConfigsRequest,
    DescribeConfigsResource,
    IncrementalAlterConfigsRequest,
)
from broker_embedded.wire.messages.topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
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
UNKNOWN_TOPIC_ID = 100


def row(name: str, partitions: int = 1, **fields: Any) -> CreatableTopic:
    return CreatableTopic(name, partitions, **fields)


def config(name: str, value: str | None) -> list[CreatableTopicConfig]:
    return [CreatableTopicConfig(name, value)]


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (row("a"), 0),
        (row("a", -1), 0),
        (row("x" * 249), 0),
        (row("x" * 250), INVALID_TOPIC),
        (row(""), INVALID_TOPIC),
        (row("."), INVALID_TOPIC),
        (row(".."), INVALID_TOPIC),
        (row("a b"), INVALID_TOPIC),
        (row("here_now"), INVALID_TOPIC),  # beside here.now
        (row("here.now"), TOPIC_ALREADY_EXISTS),
        (row("__consumer_offsets"), TOPIC_ALREADY_EXISTS),
        (row("a", 0), INVALID_PARTITIONS),
        (row("a", -2), INVALID_PARTITIONS),
        (row("a", replication_factor=1), 0),
        (row("a", replication_factor=3), INVALID_REPLICATION_FACTOR),
        (row("a", configs=config("retention.ms", "-1")), 0),
        (row("a", configs=config("retention.ms", "long")), INVALID_CONFIG),
        (row("a", configs=config("retention.ms", None)), INVALID_CONFIG),
        (row("a", configs=config("retention.msec", "1")), INVALID_CONFIG),
        (row("a", configs=config("min.cleanable.dirty.ratio", "much")), INVALID_CONFIG),
        (row("a", -1, assignments=[CreatableReplicaAssignment(0, [1]), CreatableReplicaAssignment(1, [1])]), 0),
        (row("a", -1, assignments=[CreatableReplicaAssignment(0, [2])]), INVALID_REPLICA_ASSIGNMENT),
        (row("a", -1, assignments=[CreatableReplicaAssignment(1, [1])]), INVALID_REPLICA_ASSIGNMENT),
        (row("a", 1, assignments=[CreatableReplicaAssignment(0, [1])]), INVALID_REQUEST),
    ],
    ids=lambda value: f"{value.name[:20]}-{value.num_partitions}" if isinstance(value, CreatableTopic) else str(value),
)
async def test_creation_is_checked(client: Any, topic: CreatableTopic, code: int) -> None:
    await client.create("here.now")
    for validate_only in (True, False):
        answer = (await client.cluster.handle(CreateTopicsRequest([topic], validate_only=validate_only))).topics[0]
        assert (answer.error_code, bool(answer.error_message)) == (code, code != 0)
        exists = topic.name in client.cluster.topics and code != TOPIC_ALREADY_EXISTS
        assert exists == (code == 0 and not validate_only)


async def test_one_bad_topic_does_not_stop_the_others(client: Any) -> None:
    request = CreateTopicsRequest([row("a"), row("b c"), row("d", 2), row("e"), row("e")])
    answer = await client.cluster.handle(request)
    assert [(topic.name, topic.error_code) for topic in answer.topics] == [
        *(("a", 0), ("b c", INVALID_TOPIC), ("d", 0), ("e", INVALID_REQUEST)),
    ]
    assert [client.cluster.topics[name].partition_count for name in ("a", "d")] == [1, 2]
    assert "e" not in client.cluster.topics


async def test_configs_come_with_the_answer(client: Any) -> None:
    answer = await client.create("a", segment_bytes="1048576")
    values = {config.name: (config.value, config.config_source) for config in answer.configs or []}
    assert values["segment.bytes"] == ("1048576", 1)
    assert values["retention.ms"] == ("604800000", 5)


async def test_growing(client: Any) -> None:
    await client.create("a", 2)
    await client.produce("a", "before")
    rows = [CreatePartitionsTopic(name, count) for name, count in (("a", 4), ("a", 4), ("b", 2))]
    answer = await client.cluster.handle(CreatePartitionsRequest(rows))
    assert [result.error_code for result in answer.results] == [0, INVALID_PARTITIONS, UNKNOWN_TOPIC_OR_PARTITION]
    await client.produce("a", "after", partition=3)
    assert (client.read("a"), client.read("a", 3)) == (["before"], ["after"])
    internal = await client.cluster.handle(CreatePartitionsRequest([CreatePartitionsTopic("__consumer_offsets", 9)]))
    assert internal.results[0].error_code == INVALID_TOPIC


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


@pytest.mark.parametrize("broker_allows", [True, False])
@pytest.mark.parametrize("request_allows", [True, False])
async def test_auto_creation_takes_two(folder: Any, broker_allows: bool, request_allows: bool) -> None:
    client = folder.open(auto_create_topics=broker_allows, num_partitions=3)
    request = MetadataRequest([MetadataRequestTopic("a")], allow_auto_topic_creation=request_allows)
    assert (await client.cluster.handle(request)).topics[0].error_code == UNKNOWN_TOPIC_OR_PARTITION
    made = client.cluster.topics.get("a")
    assert (made is not None and made.partition_count == 3) == (broker_allows and request_allows)


async def test_describing_configs(folder: Any) -> None:
    client = folder.open(topic_defaults={"segment.bytes": "1048576", "retention.ms": "5"})
    await client.create("a", retention_ms="1000")
    resource = DescribeConfigsResource(RESOURCE_TOPIC, "a")
    answer = await client.cluster.handle(DescribeConfigsRequest([resource], include_synonyms=True))
    rows = {row.name: row for row in answer.results[0].configs}
    assert len(rows) == 33
    found = [(rows[name].value, rows[name].config_source) for name in ("retention.ms", "segment.bytes", "preallocate")]
    assert found == [("1000", 1), ("1048576", 4), ("false", 5)]
    assert [(s.value, s.source) for s in rows["retention.ms"].synonyms] == [("1000", 1), ("5", 4), ("604800000", 5)]
    assert rows["retention.ms"].documentation is None


async def test_describing_some_configs(client: Any) -> None:
    await client.create("a")
    resource = DescribeConfigsResource(RESOURCE_TOPIC, "a", ["segment.ms"])
    answer = await client.cluster.handle(DescribeConfigsRequest([resource], include_documentation=True))
    (found,) = answer.results[0].configs
    assert (found.name, found.synonyms, bool(found.documentation)) == ("segment.ms", [], True)


@pytest.mark.parametrize(
    ("kind", "name", "code"), [(2, "missing", 3), (4, "9", INVALID_REQUEST), (7, "x", INVALID_REQUEST), (4, "1", 0)]
)
async def test_other_resources(client: Any, kind: int, name: str, code: int) -> None:
    answer = await client.cluster.handle(DescribeConfigsRequest([DescribeConfigsResource(kind, name)]))
    result = answer.results[0]
    assert (result.error_code, bool(result.configs)) == (code, code == 0)


async def test_the_broker_s_settings(folder: Any) -> None:
    client = folder.open(sync_on_commit=True)
    answer = await client.cluster.handle(DescribeConfigsRequest([DescribeConfigsResource(4, "1")]))
    rows = {row.name: (row.value, row.config_source) for row in answer.results[0].configs}
    assert rows["flush.on.commit"] == ("true", 4)
    assert rows["transaction.max.timeout.ms"] == ("900000", 5)
    assert rows["auto.create.topics.enable"] == ("false", 5)


SET, DELETE, APPEND, SUBTRACT = OPERATION_SET, OPERATION_DELETE, OPERATION_APPEND, OPERATION_SUBTRACT


@pytest.mark.parametrize(
    ("changes", "code", "configs"),
    [
        ([("retention.ms", SET, "5")], 0, {"retention.ms": "5"}),
        ([("retention.ms", DELETE, None)], 0, {}),
        ([("retention.ms", SET, None)], 0, {}),
        ([("cleanup.policy", APPEND, "compact")], 0, {"retention.ms": "1000", "cleanup.policy": "delete,compact"}),
        ([("cleanup.policy", APPEND, "delete")], 0, {"retention.ms": "1000", "cleanup.policy": "delete"}),
        (
            [("cleanup.policy", SET, "compact,delete"), ("cleanup.policy", SUBTRACT, "delete")],
            0,
            {"retention.ms": "1000", "cleanup.policy": "compact"},
        ),
        ([("retention.ms", APPEND, "5")], INVALID_CONFIG, None),
        ([("retention.ms", SET, "x")], INVALID_CONFIG, None),
        ([("retention.ms", SET, "5"), ("nonsense", SET, "5")], INVALID_CONFIG, None),
        ([("retention.ms", 9, "5")], INVALID_REQUEST, None),
    ],
)
async def test_altering_configs(
    client: Any, changes: list[tuple[str, int, str | None]], code: int, configs: dict[str, str] | None
) -> None:
    await client.create("a", retention_ms="1000")
    resource = AlterConfigsResource(RESOURCE_TOPIC, "a", [AlterableConfig(*change) for change in changes])
    before = dict(client.cluster.topics["a"].configs)
    for validate_only in (True, False):
        answer = await client.cluster.handle(IncrementalAlterConfigsRequest([resource], validate_only))
        assert answer.responses[0].error_code == code
        expected = before if validate_only or configs is None else configs
        assert client.cluster.topics["a"].configs == expected


async def test_altered_configs_are_followed_and_last(folder: Any, client: Any) -> None:
    await client.create("a")
    resource = AlterConfigsResource(RESOURCE_TOPIC, "a", [AlterableConfig("max.message.bytes", SET, "70")])
    await client.cluster.handle(IncrementalAlterConfigsRequest([resource]))
    assert (await client.produce("a", "x" * 100)).error_code == 10  # MESSAGE_TOO_LARGE
    folder.kill()
    assert folder.open().cluster.log("a", 0).config.max_message_bytes == 70


async def test_the_broker_is_not_altered(client: Any) -> None:
    resource = AlterConfigsResource(RESOURCE_BROKER, "1", [AlterableConfig("num.partitions", SET, "3")])
    answer = await client.cluster.handle(IncrementalAlterConfigsRequest([resource]))
    assert answer.responses[0].error_code == INVALID_REQUEST
