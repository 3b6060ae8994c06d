"""Describing and altering configs of topics, the broker and groups; codes and words are those of Apache Kafka 4.3.1."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.configs.groups import group_value
from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.configs import (
    OPERATION_APPEND,
    OPERATION_DELETE,
    OPERATION_SET,
    OPERATION_SUBTRACT,
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    IncrementalAlterConfigsRequest,
    LegacyAlterableConfig,
    LegacyAlterConfigsResource,
    ListConfigResourcesRequest,
)

INVALID_TOPIC, INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_VERSION = 17, 40, 42, 3, 35
TOPIC, BROKER, GROUP = RESOURCE_TOPIC, RESOURCE_BROKER, RESOURCE_GROUP
SET, DELETE, APPEND, SUBTRACT = OPERATION_SET, OPERATION_DELETE, OPERATION_APPEND, OPERATION_SUBTRACT
OF_TOPIC, OF_BROKER, OF_ALL_BROKERS, STATIC, DEFAULT, OF_GROUP = 1, 2, 3, 4, 5, 8

Change = tuple[str, int, str | None]
Error = tuple[int, str | None]


async def alter(client: Any, kind: int, name: str, *changes: Change, validate_only: bool = False) -> Error:
    resource = AlterConfigsResource(kind, name, [AlterableConfig(*change) for change in changes])
    answer = (await client.cluster.handle(IncrementalAlterConfigsRequest([resource], validate_only))).responses[0]
    return answer.error_code, answer.error_message


async def replace(client: Any, kind: int, name: str, configs: dict[str, str | None]) -> Error:
    resource = LegacyAlterConfigsResource(kind, name, [LegacyAlterableConfig(*item) for item in configs.items()])
    answer = (await client.cluster.handle(AlterConfigsRequest([resource]))).responses[0]
    return answer.error_code, answer.error_message


async def describe(client: Any, kind: int, name: str, *keys: str) -> dict[str, DescribeConfigsResourceResult]:
    resource = DescribeConfigsResource(kind, name, list(keys) or None)
    answer = await client.cluster.handle(DescribeConfigsRequest([resource], include_synonyms=True))
    assert answer.results[0].error_code == 0, answer.results[0].error_message
    return {row.name: row for row in answer.results[0].configs}


def synonyms(row: DescribeConfigsResourceResult) -> list[tuple[str, str | None, int]]:
    return [(synonym.name, synonym.value, synonym.source) for synonym in row.synonyms]


# Topics


@pytest.mark.parametrize(
    ("changes", "error", "configs"),
    [
        ([("retention.ms", SET, "5")], (0, None), {"retention.ms": "5"}),
        ([("retention.ms", DELETE, None)], (0, None), {}),
        ([("nope", DELETE, None)], (0, None), {"retention.ms": "1000"}),
        (
            [("cleanup.policy", APPEND, "compact")],
            (0, None),
            {"retention.ms": "1000", "cleanup.policy": "delete,compact"},
        ),
        ([("cleanup.policy", APPEND, "delete")], (0, None), {"retention.ms": "1000", "cleanup.policy": "delete"}),
        ([("cleanup.policy", SUBTRACT, "delete")], (0, None), {"retention.ms": "1000", "cleanup.policy": ""}),
        (
            [("retention.ms", SET, None)],
            (INVALID_REQUEST, "Null value not supported for : retention.ms"),
            None,
        ),
        (
            [("retention.ms", APPEND, "5")],
            (INVALID_CONFIG, "Can't APPEND to key retention.ms because its type is not LIST."),
            None,
        ),
        (
            [("nope", SUBTRACT, "5")],
            (INVALID_CONFIG, "Can't SUBTRACT to key nope because its type is not LIST."),
            None,
        ),
        (
            [("cleanup.policy", APPEND, "")],
            (INVALID_CONFIG, "Configuration 'cleanup.policy' values must not be empty."),
            None,
        ),
        (
            [("retention.ms", SET, "x")],
            (INVALID_CONFIG, "Invalid value x for configuration retention.ms: Not a number of type LONG"),
            None,
        ),
        (
            [("retention.ms", SET, "5"), ("nonsense", SET, "5")],
            (INVALID_CONFIG, "Unknown topic config name: nonsense"),
            None,
        ),
        (
            [("retention.ms", SET, "5"), ("retention.ms", SET, "6")],
            (INVALID_REQUEST, "Error due to duplicate config keys"),
            None,
        ),
        ([("retention.ms", 9, "5")], (INVALID_REQUEST, "Unknown operations type 9"), None),
        ([("flush.ms", SET, "1" * 40_000)], (INVALID_CONFIG, "The configuration value cannot be added"), None),
    ],
)
async def test_altering_a_topic(
    client: Any, changes: list[Change], error: Error, configs: dict[str, str] | None
) -> None:
    await client.create("a", retention_ms="1000")
    before = dict(client.cluster.topics["a"].configs)
    for validate_only in (True, False):
        code, message = await alter(client, TOPIC, "a", *changes, validate_only=validate_only)
        assert code == error[0]
        assert (message or "").startswith(error[1] or "")
        expected = before if validate_only or configs is None else configs
        assert client.cluster.topics["a"].configs == expected


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        (TOPIC, "missing", (UNKNOWN_TOPIC_OR_PARTITION, "The topic 'missing' does not exist.")),
        (TOPIC, "", (INVALID_REQUEST, "Default topic resources are not allowed.")),
        (TOPIC, "a b", (INVALID_TOPIC, "Topic name is invalid: 'a b' contains one or more characters other than")),
        (GROUP, "", (INVALID_REQUEST, "Default group resources are not allowed.")),
        (BROKER, "2", (INVALID_REQUEST, "Unexpected broker id, expected 1, but received 2")),
        (BROKER, "x", (INVALID_REQUEST, "Node id must be an integer, but it is: x")),
        (RESOURCE_BROKER_LOGGER, "1", (INVALID_REQUEST, "Log levels are set where the broker runs")),
        (RESOURCE_CLIENT_METRICS, "m", (INVALID_REQUEST, "This broker collects no metrics from clients")),
        (0, "x", (INVALID_REQUEST, "Unknown resource type 0")),
    ],
)
async def test_resources_that_can_not_be_altered(client: Any, kind: int, name: str, error: Error) -> None:
    for code, message in (await alter(client, kind, name), await replace(client, kind, name, {})):
        assert code == error[0]
        assert (message or "").startswith(error[1] or "")


async def test_a_resource_that_is_there_twice_is_not_altered(client: Any) -> None:
    await client.create("a")
    twice = [AlterConfigsResource(TOPIC, "a", [AlterableConfig("retention.ms", SET, "5")])] * 2
    answer = await client.cluster.handle(IncrementalAlterConfigsRequest(twice))
    assert [row.error_message for row in answer.responses] == ["Each resource must appear at most once."] * 2
    assert client.cluster.topics["a"].configs == {}


async def test_altered_configs_are_followed_and_last(folder: Any, client: Any) -> None:
    await client.create("a")
    assert await alter(client, TOPIC, "a", ("max.message.bytes", SET, "70")) == (0, None)
    assert (await client.produce("a", "x" * 100)).error_code == 10  # MESSAGE_TOO_LARGE
    folder.kill()
    assert folder.open().cluster.log("a", 0).config.max_message_bytes == 70


async def test_the_old_way_replaces_the_whole_set(client: Any) -> None:
    await client.create("a", retention_ms="1000", segment_ms="5")
    assert await replace(client, TOPIC, "a", {"retention.bytes": "7"}) == (0, None)
    assert client.cluster.topics["a"].configs == {"retention.bytes": "7"}
    assert (await replace(client, TOPIC, "a", {"x": "7"}))[0] == INVALID_CONFIG
    assert await replace(client, TOPIC, "a", {"flush.ms": None}) == (
        *(INVALID_REQUEST, "Null value not supported for : flush.ms"),
    )
    assert client.cluster.topics["a"].configs == {"retention.bytes": "7"}
    assert await replace(client, TOPIC, "a", {}) == (0, None)
    assert client.cluster.topics["a"].configs == {}


async def test_describing_a_topic(folder: Any) -> None:
    client = folder.open(topic_defaults={"segment.bytes": "1048576", "retention.ms": "5"})
    await client.create("a", retention_ms=" 1000 ", preallocate="TRUE")
    rows = await describe(client, TOPIC, "a")
    assert len(rows) == 33
    found = {name: (rows[name].value, rows[name].config_source) for name in ("segment.bytes", "flush.ms")}
    assert found == {"segment.bytes": ("1048576", STATIC), "flush.ms": (str(2**63 - 1), DEFAULT)}
    assert synonyms(rows["retention.ms"]) == [
        *(("retention.ms", "1000", OF_TOPIC), ("log.retention.ms", "5", STATIC), ("log.retention.hours", "168", 5)),
    ]
    assert (rows["preallocate"].value, rows["preallocate"].config_type) == ("true", 1)
    assert rows["flush.ms"].documentation is None
    assert synonyms(rows["remote.storage.enable"]) == synonyms(rows["segment.ms"]) == []


@pytest.mark.parametrize("version", [1, 4])
async def test_keys_choose_and_none_or_no_keys_are_all(client: Any, version: int) -> None:
    await client.create("a")
    context = RequestContext(api_version=version)
    for keys, count in ((["segment.ms", "nope"], 1), (None, 33), ([], 33)):
        request = DescribeConfigsRequest([DescribeConfigsResource(TOPIC, "a", keys)], include_documentation=True)
        result = (await client.cluster.handle(request, context)).results[0]
        assert (len(result.configs), result.error_code, result.error_message) == (count, 0, "")
        assert all(row.documentation and not row.synonyms for row in result.configs)


@pytest.mark.parametrize(
    ("kind", "name", "code", "message"),
    [
        (TOPIC, "missing", UNKNOWN_TOPIC_OR_PARTITION, "missing"),
        (TOPIC, "a b", INVALID_TOPIC, "Topic name is invalid"),
        (BROKER, "9", INVALID_REQUEST, "Unexpected broker id, expected 1 or empty string, but received 9"),
        (BROKER, "x", INVALID_REQUEST, "Broker id must be an integer, but it is: x"),
        (GROUP, "", INVALID_REQUEST, "Group name must not be empty"),
        (RESOURCE_BROKER_LOGGER, "1", INVALID_REQUEST, "no loggers"),
        (RESOURCE_CLIENT_METRICS, "m", INVALID_REQUEST, "no metrics"),
        (7, "x", INVALID_REQUEST, "Resource type 7 has no configs"),
    ],
)
async def test_what_can_not_be_described(client: Any, kind: int, name: str, code: int, message: str) -> None:
    result = (await client.cluster.handle(DescribeConfigsRequest([DescribeConfigsResource(kind, name)]))).results[0]
    assert (result.error_code, result.configs) == (code, [])
    assert message in result.error_message


# The broker


async def test_describing_the_broker(folder: Any) -> None:
    properties = {"ssl.keystore.password": "secret", "num.io.threads": "4", "log.retention.hours": "1"}
    client = folder.open(properties=properties, sync_on_commit=True, num_partitions=3)
    rows = await describe(client, BROKER, "1")
    expected = {
        "flush.on.commit": ("true", STATIC, True, False),
        "num.partitions": ("3", STATIC, True, False),
        "num.io.threads": ("4", STATIC, False, False),
        "transaction.max.timeout.ms": ("900000", DEFAULT, True, False),
        "auto.create.topics.enable": ("false", STATIC, True, False),
        "log.dirs": (str(client.cluster.folder.path), STATIC, True, False),
        "process.roles": ("broker,controller", STATIC, True, False),
        "ssl.keystore.password": (None, STATIC, True, True),
        "log.retention.hours": ("1", STATIC, True, False),
        "log.retention.ms": (None, DEFAULT, False, False),
        "log.cleaner.threads": ("1", DEFAULT, False, False),
    }
    found = {n: (r.value, r.config_source, r.read_only, r.is_sensitive) for n, r in rows.items() if n in expected}
    assert found == expected
    assert synonyms(rows["num.partitions"]) == [("num.partitions", "3", STATIC), ("num.partitions", "1", DEFAULT)]


async def test_settings_of_the_broker_by_layer(folder: Any, client: Any) -> None:
    await client.create("a")
    assert await describe(client, BROKER, "") == {}
    assert await alter(client, BROKER, "", ("log.retention.ms", SET, "60000"), ("custom", SET, "x")) == (0, None)
    assert await alter(client, BROKER, "1", ("log.retention.ms", SET, "5000")) == (0, None)
    row = (await describe(client, TOPIC, "a", "retention.ms"))["retention.ms"]
    layers = [("log.retention.ms", "5000", OF_BROKER), ("log.retention.ms", "60000", OF_ALL_BROKERS)]
    assert (row.value, row.config_source) == ("5000", OF_BROKER)
    assert synonyms(row) == [*layers, ("log.retention.hours", "168", DEFAULT)]
    defaults = await describe(client, BROKER, "")
    assert {n: (r.value, r.config_source, r.is_sensitive) for n, r in defaults.items()} == {
        "custom": (None, OF_ALL_BROKERS, True),
        "log.retention.ms": ("60000", OF_ALL_BROKERS, False),
    }
    assert synonyms((await describe(client, BROKER, "1"))["log.retention.ms"])[:2] == layers
    assert client.cluster.log("a", 0).config.retention_ms == 5000
    folder.kill()
    reopened = folder.open()
    assert reopened.cluster.log("a", 0).config.retention_ms == 5000
    assert await alter(reopened, BROKER, "1", ("log.retention.ms", DELETE, None)) == (0, None)
    assert reopened.cluster.log("a", 0).config.retention_ms == 60000
    assert await replace(reopened, BROKER, "", {}) == (0, None)
    assert reopened.cluster.log("a", 0).config.retention_ms == 604_800_000


async def test_a_topic_s_own_config_stays_above_the_broker_s(client: Any) -> None:
    await client.create("a", max_message_bytes="500")
    await alter(client, BROKER, "", ("message.max.bytes", SET, "70"), ("producer.id.expiration.ms", SET, "9"))
    assert client.cluster.log("a", 0).config.max_message_bytes == 500
    assert client.cluster.log("a", 0).config.producer_id_expiration_ms == 9
    assert client.cluster.config.producer_id_expiration_ms == 9
    await client.create("b")
    assert (await client.produce("b", "x" * 100)).error_code == 10  # MESSAGE_TOO_LARGE


async def test_lists_of_the_broker(client: Any) -> None:
    assert await alter(client, BROKER, "", ("log.cleanup.policy", APPEND, "compact")) == (0, None)
    assert client.cluster.config.topic_defaults["cleanup.policy"] == "delete,compact"
    assert await alter(client, BROKER, "", ("log.cleanup.policy", SUBTRACT, "delete")) == (0, None)
    assert client.cluster.config.topic_defaults["cleanup.policy"] == "compact"
    assert await alter(client, BROKER, "", ("log.retention.ms", APPEND, "5")) == (
        *(INVALID_CONFIG, "Config value append is not allowed for config key: log.retention.ms"),
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num.partitions", "3", "Cannot update these configs dynamically: [num.partitions]"),
        ("log.retention.hours", "3", "Cannot update these configs dynamically: [log.retention.hours]"),
        ("listeners", "PLAINTEXT://:1", "Cannot update these configs dynamically: [listeners]"),
        ("message.max.bytes", "x", "Invalid value x for configuration message.max.bytes: Not a number of type INT"),
        (
            "log.segment.bytes",
            "100",
            "Invalid value 100 for configuration log.segment.bytes: Value must be at least 1048576",
        ),
        ("log.cleaner.min.compaction.lag.ms", str(2**63 - 1), None),
    ],
)
async def test_settings_that_the_broker_refuses(client: Any, name: str, value: str, message: str | None) -> None:
    for node in ("", "1"):
        before = client.cluster.config
        assert await alter(client, BROKER, node, (name, SET, value)) == (INVALID_REQUEST if message else 0, message)
        assert (client.cluster.config == before) == (message is not None)
        assert await alter(client, BROKER, node, (name, DELETE, None)) == (0, None)


# Groups


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("consumer.session.timeout.ms", "50000", None),
        (
            "consumer.session.timeout.ms",
            "1",
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            "consumer.session.timeout.ms",
            "99999999",
            "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms",
        ),
        (
            "consumer.session.timeout.ms",
            "x",
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT",
        ),
        ("consumer.heartbeat.interval.ms", "6000", None),
        (
            "consumer.assignment.interval.ms",
            "99999",
            "consumer.assignment.interval.ms must be less than or equal to group.consumer.max.assignment.interval.ms",
        ),
        (
            "streams.num.standby.replicas",
            "9",
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
        ),
        (
            "share.record.lock.duration.ms",
            "1000",
            "share.record.lock.duration.ms must be greater than or equal to group.share.min.record.lock.duration.ms",
        ),
        (
            "share.auto.offset.reset",
            "foo",
            "Invalid value foo for configuration share.auto.offset.reset: Invalid value `foo` for configuration "
            "share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format "
            "'by_duration:<PnDTnHnMn.nS>'.",
        ),
        ("share.auto.offset.reset", "by_duration:PT1H", None),
        ("nope", "1", "Unknown group config name: nope"),
    ],
)
async def test_altering_a_group(client: Any, name: str, value: str, message: str | None) -> None:
    code, why = await alter(client, GROUP, "g", (name, SET, value))
    assert (code, why) == (INVALID_CONFIG if message else 0, message)
    if message is None:
        assert str(group_value(client.cluster, "g", name)) == value
        assert (await describe(client, GROUP, "g", name))[name].config_source == OF_GROUP


async def test_heartbeats_come_more_often_than_sessions_end(folder: Any) -> None:
    client = folder.open(group_consumer_min_session_timeout_ms=1, group_consumer_max_heartbeat_interval_ms=100_000)
    code, why = await alter(client, GROUP, "g", ("consumer.session.timeout.ms", SET, "5000"))
    assert (code, why) == (
        *(INVALID_CONFIG, "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"),
    )


async def test_describing_a_group(folder: Any) -> None:
    client = folder.open(group_consumer_session_timeout_ms=46_000)
    await alter(client, GROUP, "g", ("consumer.heartbeat.interval.ms", SET, "6000"))
    rows = await describe(client, GROUP, "g")
    assert len(rows) == 17
    assert synonyms(rows["consumer.session.timeout.ms"]) == [
        ("group.consumer.session.timeout.ms", "46000", STATIC),
        ("group.consumer.session.timeout.ms", "45000", DEFAULT),
    ]
    assert synonyms(rows["consumer.heartbeat.interval.ms"]) == [
        ("consumer.heartbeat.interval.ms", "6000", OF_GROUP),
        ("group.consumer.heartbeat.interval.ms", "5000", DEFAULT),
    ]
    assert synonyms(rows["share.auto.offset.reset"]) == [("share.auto.offset.reset", "latest", DEFAULT)]
    assert group_value(client.cluster, "other", "consumer.session.timeout.ms") == 46_000


# Who has configs


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([TOPIC], {(TOPIC, "a"), (TOPIC, "__consumer_offsets"), (TOPIC, "__transaction_state")}),
        ([BROKER, RESOURCE_BROKER_LOGGER], {(BROKER, "1"), (RESOURCE_BROKER_LOGGER, "1")}),
        ([GROUP], {(GROUP, "g")}),
        ([RESOURCE_CLIENT_METRICS], set()),
    ],
)
async def test_listing_resources(client: Any, kinds: list[int], expected: set[tuple[int, str]]) -> None:
    await client.create("a")
    await alter(client, GROUP, "g", ("consumer.heartbeat.interval.ms", SET, "6000"))
    answer = await client.cluster.handle(ListConfigResourcesRequest(kinds))
    assert {(row.resource_type, row.resource_name) for row in answer.config_resources} == expected
    everything = await client.cluster.handle(ListConfigResourcesRequest())
    assert {(row.resource_type, row.resource_name) for row in everything.config_resources} >= expected


async def test_listing_what_is_not_there(client: Any) -> None:
    assert (await client.cluster.handle(ListConfigResourcesRequest([9]))).error_code == UNSUPPORTED_VERSION
    oldest = await client.cluster.handle(ListConfigResourcesRequest(), RequestContext(api_version=0))
    assert (oldest.error_code, oldest.config_resources) == (0, [])
