"""Configs, quotas, and what a cluster tells of itself."""

from __future__ import annotations

from typing import Any

from tests.interop.diff.broker import Asked
from tests.interop.diff.messages import Row
from tests.interop.diff.steps import BROKER, GROUP, TOPIC, batch, make_topic, produce, scenario


@scenario("DescribeConfigs")
def describe_configs(ask: Asked) -> None:
    make_topic(ask, configs={"cleanup.policy": "compact"})

    def described(kind: int, name: str, keys: list[str] | None = None) -> None:
        rows = [{"resourceType": kind, "resourceName": name, "configurationKeys": keys}]
        ask("DescribeConfigs", resources=rows, includeSynonyms=True, includeDocumentation=True)

    described(TOPIC, ask.name)
    described(TOPIC, ask.name, ["cleanup.policy", "nothing"])
    described(TOPIC, ask.name, [])
    described(TOPIC, f"{ask.name}-none")
    described(TOPIC, "a b")
    described(BROKER, "1", ["log.retention.ms", "num.partitions", "message.max.bytes", "background.threads"])
    described(BROKER, "7")
    described(BROKER, "x")
    described(GROUP, ask.name)
    described(3, "")


@scenario("IncrementalAlterConfigs")
def incremental_alter_configs(ask: Asked) -> None:
    make_topic(ask)
    kinds = {"set": 0, "delete": 1, "append": 2, "subtract": 3}

    def altered(*changes: tuple[str, str, str | None], kind: int = TOPIC, name: str = ask.name, **fields: Any) -> None:
        configs = [{"name": key, "configOperation": kinds.get(how, 9), "value": value} for how, key, value in changes]
        rows = [{"resourceType": kind, "resourceName": name, "configs": configs}]
        ask("IncrementalAlterConfigs", resources=rows, **fields)

    altered(("set", "retention.ms", "1000"))
    altered(("set", "retention.ms", "soon"))
    altered(("set", "retention.ms", None))
    altered(("set", "no.such", "1"))
    altered(("append", "retention.ms", "1"))
    altered(("append", "cleanup.policy", "compact"))
    altered(("subtract", "cleanup.policy", "delete"))
    altered(("subtract", "cleanup.policy", "compact"))
    altered(("set", "retention.ms", "1"), ("set", "retention.ms", "2"))
    altered(("delete", "retention.ms", None))
    altered(("other", "retention.ms", "1"))
    altered(("set", "retention.ms", "5"), validateOnly=True)
    altered(("set", "retention.ms", "5"), name=f"{ask.name}-none")
    altered(("set", "log.retention.ms", "99"), kind=BROKER, name="1")
    altered(("delete", "log.retention.ms", None), kind=BROKER, name="1")
    altered(("set", "background.threads", "soon"), kind=BROKER, name="1")
    altered(("set", "port", "1"), kind=BROKER, name="1")
    altered(("set", "log.retention.ms", "99"), kind=BROKER, name="7")
    altered(("set", "consumer.session.timeout.ms", "1"), kind=GROUP)
    altered(kind=99)
    rows = [{"resourceType": TOPIC, "resourceName": ask.name, "configurationKeys": None}]
    ask("DescribeConfigs", resources=rows, includeSynonyms=True)


@scenario("AlterConfigs")
def alter_configs(ask: Asked) -> None:
    make_topic(ask, configs={"max.message.bytes": "5000"})
    for configs in [[("segment.ms", "9999")], [("segment.ms", "soon")], [("no.such", "1")], [("segment.ms", None)]]:
        named = [{"name": key, "value": value} for key, value in configs]
        rows = [{"resourceType": TOPIC, "resourceName": ask.name, "configs": named}]
        ask("AlterConfigs", resources=rows)
    rows = [{"resourceType": TOPIC, "resourceName": ask.name, "configurationKeys": None}]
    ask("DescribeConfigs", resources=rows)


@scenario("ListConfigResources")
def list_config_resources(ask: Asked) -> None:
    ask("ListConfigResources", resourceTypes=[BROKER])
    ask("ListConfigResources", resourceTypes=[99])


@scenario("DescribeCluster")
def describe_cluster(ask: Asked) -> None:
    ask("DescribeCluster", includeClusterAuthorizedOperations=True)
    if ask.version:
        ask("DescribeCluster", endpointType=2)
        ask("DescribeCluster", endpointType=9)


@scenario("DescribeLogDirs")
def describe_log_dirs(ask: Asked) -> None:
    topic_id = make_topic(ask)
    produce(ask, topic_id, batch(b"one"))
    ask("DescribeLogDirs", topics=[{"topic": ask.name, "partitions": [0]}])
    ask("DescribeLogDirs", topics=[{"topic": "none", "partitions": [0]}])
    ask("DescribeLogDirs", topics=[])


@scenario("AlterReplicaLogDirs")
def alter_replica_log_dirs(ask: Asked) -> None:
    make_topic(ask)
    rows = [{"path": "/nowhere", "topics": [{"name": ask.name, "partitions": [0, 9]}]}]
    ask("AlterReplicaLogDirs", dirs=rows)


@scenario("ElectLeaders")
def elect_leaders(ask: Asked) -> None:
    make_topic(ask)
    rows = [{"topic": ask.name, "partitions": [0, 9]}, {"topic": "none", "partitions": [0]}]
    for kind in (0, 1):
        ask("ElectLeaders", electionType=kind, topicPartitions=rows)


@scenario("AlterPartitionReassignments")
def alter_partition_reassignments(ask: Asked) -> None:
    make_topic(ask)
    for replicas in ([1], [9], [1, 1], [], None):
        rows = [{"name": ask.name, "partitions": [{"partitionIndex": 0, "replicas": replicas}]}]
        ask("AlterPartitionReassignments", topics=rows)
    ask(
        "AlterPartitionReassignments", topics=[{"name": "none", "partitions": [{"partitionIndex": 0, "replicas": [1]}]}]
    )


@scenario("ListPartitionReassignments")
def list_partition_reassignments(ask: Asked) -> None:
    make_topic(ask)
    ask("ListPartitionReassignments", topics=None)
    ask("ListPartitionReassignments", topics=[{"name": ask.name, "partitionIndexes": [0, 9]}])


@scenario("DescribeQuorum")
def describe_quorum(ask: Asked) -> None:
    ask("DescribeQuorum", topics=[{"topicName": "other", "partitions": [{"partitionIndex": 0}]}])


@scenario("UpdateFeatures")
def update_features(ask: Asked) -> None:
    for name, level in [("group.version", 1), ("group.version", 9), ("no.version", 1)]:
        updates = [{"feature": name, "maxVersionLevel": level}]
        ask("UpdateFeatures", featureUpdates=updates, validateOnly=True)


@scenario("AlterClientQuotas")
def client_quotas(ask: Asked) -> None:
    entity = [{"entityType": "client-id", "entityName": ask.name}]

    def altered(key: str, value: float, remove: bool = False, entity: list[Row] = entity) -> None:
        ask("AlterClientQuotas", entries=[{"entity": entity, "ops": [{"key": key, "value": value, "remove": remove}]}])

    def described(kind: str = "client-id", match: int = 0, name: str | None = ask.name) -> None:
        ask("DescribeClientQuotas", components=[{"entityType": kind, "matchType": match, "match": name}])

    altered("producer_byte_rate", 1000.0)
    mine = [{"entityType": "client-id", "matchType": 0, "match": ask.name}]
    ask.until(lambda answer: bool(answer["entries"]), "DescribeClientQuotas", components=mine)
    altered("producer_byte_rate", -5.0)
    altered("no_such_rate", 5.0)
    altered("request_percentage", 1.5)
    altered("consumer_byte_rate", 1.5)
    altered("producer_byte_rate", 0.0, remove=True)
    altered("producer_byte_rate", 1.0, entity=[{"entityType": "other", "entityName": "x"}])
    altered("producer_byte_rate", 1.0, entity=[])
    described()
    described("other")
    described(match=9)
