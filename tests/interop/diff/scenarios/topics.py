"""Versions, metadata and topics."""

from __future__ import annotations

from tests.interop.diff.broker import Asked
from tests.interop.diff.steps import NOBODY, make_topic, scenario


@scenario("ApiVersions")
def api_versions(ask: Asked) -> None:
    ask("ApiVersions", clientSoftwareName="diff", clientSoftwareVersion="1.0")
    if ask.version >= 3:
        ask("ApiVersions", clientSoftwareName="di ff", clientSoftwareVersion="")


@scenario("Metadata")
def metadata(ask: Asked) -> None:
    make_topic(ask, 2)
    ask("Metadata", topics=[{"name": ask.name}])
    ask("Metadata", topics=[{"name": f"{ask.name}-none"}], allowAutoTopicCreation=False)
    ask("Metadata", topics=[{"name": "a b"}], allowAutoTopicCreation=True)
    if ask.version:
        ask("Metadata", topics=[])
    if ask.version >= 10:
        ask("Metadata", topics=[{"name": None, "topicId": NOBODY}])
    if 8 <= ask.version <= 10:
        ask("Metadata", topics=[], includeClusterAuthorizedOperations=True)


@scenario("CreateTopics")
def create_topics(ask: Asked) -> None:
    one = {"numPartitions": 1, "replicationFactor": 1}
    configs = [{"name": "retention.ms", "value": "1000"}]
    assigned = [{"partitionIndex": 0, "brokerIds": [1]}, {"partitionIndex": 1, "brokerIds": [1]}]
    for new in [
        {"name": ask.name, **one, "configs": configs},
        {"name": ask.name, **one},
        {"name": f"{ask.name}-assigned", "numPartitions": -1, "replicationFactor": -1, "assignments": assigned},
        {"name": f"{ask.name}-a", "numPartitions": 1, "replicationFactor": 1, "assignments": assigned},
        {"name": f"{ask.name}-b", "numPartitions": -1, "replicationFactor": -1, "assignments": [assigned[1]]},
        {
            "name": f"{ask.name}-c",
            "numPartitions": -1,
            "replicationFactor": -1,
            "assignments": [assigned[0] | {"brokerIds": [9]}],
        },
        {"name": f"{ask.name}-d", "numPartitions": 0, "replicationFactor": 1},
        {"name": f"{ask.name}-e", "numPartitions": 1, "replicationFactor": 0},
        {"name": f"{ask.name}-f", **one, "configs": [{"name": "no.such", "value": "1"}]},
        {"name": f"{ask.name}-g", **one, "configs": [{"name": "retention.ms", "value": "soon"}]},
        {"name": f"{ask.name}-h", **one, "configs": [{"name": "retention.ms", "value": None}]},
        {"name": f"{ask.name}-i", **one, "configs": [{"name": "cleanup.policy", "value": "keep"}]},
        {"name": f"{ask.name}-j", **one, "configs": [{"name": "min.insync.replicas", "value": "0"}]},
        {"name": "", **one},
        {"name": "..", **one},
        {"name": "a b", **one},
        {"name": "x" * 250, **one},
        {"name": ask.name.replace("-", "."), **one},
    ]:
        ask("CreateTopics", topics=[new], timeoutMs=10_000)
    twice = {"name": f"{ask.name}-twice", **one}
    ask("CreateTopics", topics=[twice, twice], timeoutMs=10_000)
    ask("CreateTopics", topics=[{"name": f"{ask.name}-v", **one}], timeoutMs=10_000, validateOnly=True)
    ask("CreateTopics", topics=[], timeoutMs=10_000)


@scenario("DeleteTopics")
def delete_topics(ask: Asked) -> None:
    topic_id = make_topic(ask)
    names = [ask.name, f"{ask.name}-none"]
    by_name = [{"name": name} for name in names]
    ask("DeleteTopics", topics=by_name, topicNames=names, timeoutMs=10_000)
    if ask.version >= 6:
        ask("DeleteTopics", topics=[{"name": None, "topicId": topic_id}], timeoutMs=10_000)
        ask("DeleteTopics", topics=[{"name": ask.name, "topicId": topic_id}], timeoutMs=10_000)


@scenario("CreatePartitions")
def create_partitions(ask: Asked) -> None:
    make_topic(ask, 2)
    for row in [
        {"name": ask.name, "count": 3, "assignments": None},
        {"name": ask.name, "count": 3, "assignments": None},
        {"name": ask.name, "count": 1, "assignments": None},
        {"name": ask.name, "count": -1, "assignments": None},
        {"name": ask.name, "count": 5, "assignments": [{"brokerIds": [1]}]},
        {"name": ask.name, "count": 4, "assignments": [{"brokerIds": [9]}]},
        {"name": f"{ask.name}-none", "count": 3, "assignments": None},
    ]:
        ask("CreatePartitions", topics=[row], timeoutMs=10_000)
    more = [{"name": ask.name, "count": 9, "assignments": None}]
    ask("CreatePartitions", topics=more, timeoutMs=10_000, validateOnly=True)


@scenario("DescribeTopicPartitions")
def describe_topic_partitions(ask: Asked) -> None:
    make_topic(ask, 3)
    ask("DescribeTopicPartitions", topics=[{"name": ask.name}])
    ask("DescribeTopicPartitions", topics=[{"name": ask.name}], responsePartitionLimit=2)
    ask("DescribeTopicPartitions", topics=[{"name": ask.name}], cursor={"topicName": ask.name, "partitionIndex": 1})
    ask("DescribeTopicPartitions", topics=[{"name": f"{ask.name}-none"}])
