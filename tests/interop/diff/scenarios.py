"""What is asked of both brokers: by name, the API that it is about, and the requests.

A scenario runs once for each version of its API, every time with names of its own; all other requests go out in their
newest version. What it returns does not count: the answers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from kafka.record.default_records import DefaultRecordBatchBuilder

from tests.interop.diff.broker import Asked
from tests.interop.diff.messages import Row

Scenario = Callable[[Asked], None]
SCENARIOS: dict[str, tuple[str, Scenario]] = {}

TOPIC, BROKER, GROUP = 2, 4, 32  # config resources
CLUSTER_ACL, TOPIC_ACL, GROUP_ACL = 4, 2, 3
ANY, LITERAL, PREFIXED, ALLOW, DENY = 1, 3, 4, 3, 2
READ, WRITE, ALL = 3, 4, 2
NOBODY = UUID(int=7)
EPOCH_MS = 1_700_000_000_000
PROTOCOLS = [{"name": "range", "metadata": b"\0\0\0\0\0\1\0\1a\xff\xff\xff\xff"}]
"""A subscription of version 0: topic `a`, no data."""


def scenario(subject: str) -> Callable[[Scenario], Scenario]:
    def registered(function: Scenario) -> Scenario:
        SCENARIOS[function.__name__.replace("_", "-")] = (subject, function)
        return function

    return registered


def batch(*values: bytes, producer: tuple[int, int, int] = (-1, -1, -1), transactional: bool = False) -> bytes:
    """A record batch with fixed timestamps; `producer` is id, epoch and first sequence."""
    producer_id, epoch, sequence = producer
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=transactional,
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        batch_size=1 << 20,
    )
    for index, value in enumerate(values):
        builder.append(index, timestamp=EPOCH_MS + index, key=b"k", value=value, headers=[("h", b"1")])
    return bytes(builder.build())


def make_topic(ask: Asked, partitions: int = 1, configs: dict[str, str] | None = None, name: str | None = None) -> UUID:
    """A topic that keeps old records, and its id."""
    rows = [{"name": key, "value": value} for key, value in ({"retention.ms": "-1"} | (configs or {})).items()]
    new = {"name": name or ask.name, "numPartitions": partitions, "replicationFactor": 1, "configs": rows}
    ask("CreateTopics", version=7, topics=[new], timeoutMs=10_000)
    topic_id: UUID = wait_for_topic(ask, name or ask.name)["topics"][0]["topicId"]
    first = [{"name": name or ask.name, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}]
    ask.until(_is_led, "ListOffsets", version=10, replicaId=-1, topics=first)
    return topic_id


def _is_led(answer: Row) -> bool:
    return bool(answer["topics"][0]["partitions"][0]["errorCode"] == 0)


def wait_for_topic(ask: Asked, name: str) -> Row:
    def has_leader(answer: Row) -> bool:
        (topic,) = answer["topics"]
        return topic["errorCode"] == 0 and all(partition["leaderId"] >= 0 for partition in topic["partitions"])

    return ask.until(has_leader, "Metadata", version=12, topics=[{"name": name}], allowAutoTopicCreation=False)


def produce(ask: Asked, topic_id: UUID, records: bytes, version: int | None = None, **fields: Any) -> Row:
    data = [{"name": ask.name, "topicId": topic_id, "partitionData": [{"index": 0, "records": records}]}]
    return ask("Produce", version=version, **{"acks": -1, "timeoutMs": 5000, "topicData": data} | fields)


def fetch(ask: Asked, topic_id: UUID, offset: int = 0, **fields: Any) -> Row:
    partition = {"partition": 0, "fetchOffset": offset, "partitionMaxBytes": 1 << 20}
    topics = [{"topic": ask.name, "topicId": topic_id, "partitions": [partition | fields.pop("partition", {})]}]
    return ask("Fetch", **{"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1 << 20, "topics": topics} | fields)


# Topics


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


# Records


@scenario("Produce")
def produce_and_refuse(ask: Asked) -> None:
    topic_id = make_topic(ask)
    good = batch(b"one", b"two")
    produce(ask, topic_id, good)
    produce(ask, topic_id, good, acks=1)
    produce(ask, topic_id, good, acks=2)
    produce(ask, topic_id, good[:-1] + b"\0")
    produce(ask, topic_id, good + good)
    produce(ask, topic_id, b"")
    produce(ask, topic_id, batch(bytes(1_100_000)))
    produce(ask, topic_id, batch(b"x", producer=(123_456, 0, 5)))
    missing = [{"name": "none", "topicId": NOBODY, "partitionData": [{"index": 0, "records": good}]}]
    ask("Produce", acks=-1, timeoutMs=5000, topicData=missing)
    beyond = [{"name": ask.name, "topicId": topic_id, "partitionData": [{"index": 9, "records": good}]}]
    ask("Produce", acks=-1, timeoutMs=5000, topicData=beyond)
    fetch(ask, topic_id)


@scenario("InitProducerId")
def idempotence(ask: Asked) -> None:
    topic_id = make_topic(ask)
    given = new_producer(ask)
    for epoch, sequence in [(0, 0), (0, 0), (0, 1), (0, 5), (0, 2), (1, 0), (0, 3), (1, 5)]:
        produce(ask, topic_id, batch(b"v", producer=(given["producerId"], epoch, sequence)))
    fetch(ask, topic_id)


@scenario("Fetch")
def fetch_all(ask: Asked) -> None:
    topic_id = make_topic(ask)
    fetch(ask, topic_id)
    for _ in range(3):
        produce(ask, topic_id, batch(b"one", b"two"))
    fetch(ask, topic_id)
    fetch(ask, topic_id, 3)
    fetch(ask, topic_id, 6)
    fetch(ask, topic_id, 7)
    fetch(ask, topic_id, -5)
    fetch(ask, topic_id, partition={"partitionMaxBytes": 1})
    fetch(ask, topic_id, partition={"partition": 9})
    fetch(ask, topic_id, isolationLevel=1)
    fetch(ask, topic_id, partition={"currentLeaderEpoch": 99})
    fetch(ask, NOBODY, topics=[{"topic": "none", "topicId": NOBODY, "partitions": [{"partition": 0}]}])
    if ask.version >= 7:
        opened = fetch(ask, topic_id, sessionEpoch=0)
        session = {"sessionId": opened["sessionId"], "topics": []}
        ask("Fetch", **session, sessionEpoch=1, maxWaitMs=0, maxBytes=1 << 20)
        produce(ask, topic_id, batch(b"three"))
        ask("Fetch", **session, sessionEpoch=9, maxWaitMs=0)
        ask("Fetch", sessionId=12345, sessionEpoch=1, maxWaitMs=0)
        ask("Fetch", **session, sessionEpoch=-1, maxWaitMs=0)


@scenario("ListOffsets")
def list_offsets(ask: Asked) -> None:
    topic_id = make_topic(ask)

    def listed(timestamp: int, partition: int = 0, **fields: Any) -> None:
        row = {"partitionIndex": partition, "timestamp": timestamp}
        ask("ListOffsets", replicaId=-1, topics=[{"name": ask.name, "partitions": [row | fields]}])

    for timestamp in (-1, -2, -3, 0):
        listed(timestamp)
    produce(ask, topic_id, batch(b"one", b"two"))
    for timestamp in (-1, -2, -3, -4, -5, 0, EPOCH_MS + 1, EPOCH_MS + 2, -9):
        listed(timestamp)
    listed(-1, 9)
    listed(-1, currentLeaderEpoch=99)
    ask("ListOffsets", replicaId=-1, topics=[{"name": "none", "partitions": [{"partitionIndex": 0, "timestamp": -1}]}])


@scenario("OffsetForLeaderEpoch")
def offset_for_leader_epoch(ask: Asked) -> None:
    topic_id = make_topic(ask)
    produce(ask, topic_id, batch(b"one", b"two"))
    for row in [{"leaderEpoch": 0}, {"leaderEpoch": 5}, {"currentLeaderEpoch": 99}, {"partition": 9}]:
        ask("OffsetForLeaderEpoch", replicaId=-1, topics=[{"topic": ask.name, "partitions": [{"partition": 0} | row]}])
    ask("OffsetForLeaderEpoch", replicaId=-1, topics=[{"topic": "none", "partitions": [{"partition": 0}]}])


@scenario("DeleteRecords")
def delete_records(ask: Asked) -> None:
    topic_id = make_topic(ask)
    produce(ask, topic_id, batch(b"one", b"two", b"three"))
    for row in [{"offset": 1}, {"offset": 1}, {"offset": 9}, {"offset": -2}, {"partitionIndex": 9}, {"offset": -1}]:
        rows = [{"name": ask.name, "partitions": [{"partitionIndex": 0} | row]}]
        ask("DeleteRecords", topics=rows, timeoutMs=5000)
    ask("DeleteRecords", topics=[{"name": "none", "partitions": [{"partitionIndex": 0}]}], timeoutMs=5000)
    make_topic(ask, configs={"cleanup.policy": "compact"}, name=f"{ask.name}-compact")
    rows = [{"name": f"{ask.name}-compact", "partitions": [{"partitionIndex": 0, "offset": -1}]}]
    ask("DeleteRecords", topics=rows, timeoutMs=5000)


def new_producer(ask: Asked) -> Row:
    whole = {"transactionalId": None, "transactionTimeoutMs": 1000}
    return ask.until(lambda answer: answer["errorCode"] == 0, "InitProducerId", **whole)


# Groups


def find(ask: Asked, key: str, kind: int = 0) -> None:
    def found(answer: Row) -> bool:
        return all(row["errorCode"] == 0 for row in answer["coordinators"])

    ask.until(found, "FindCoordinator", version=6, coordinatorKeys=[key], keyType=kind)


def join(ask: Asked, **fields: Any) -> Row:
    whole = {
        "groupId": ask.name,
        "sessionTimeoutMs": 10_000,
        "rebalanceTimeoutMs": 10_000,
        "protocolType": "consumer",
        "protocols": PROTOCOLS,
    }
    answer = ask("JoinGroup", **whole | fields)
    if answer.get("errorCode") == 79:
        answer = ask("JoinGroup", **whole | fields | {"memberId": answer["memberId"]})
    return answer


def sync(ask: Asked, joined: Row, version: int | None = None) -> Row:
    mine = {"groupId": ask.name, "generationId": joined["generationId"], "memberId": joined["memberId"]}
    assignments = [{"memberId": joined["memberId"], "assignment": b"\0\0all of it"}]
    protocol = {"protocolType": "consumer", "protocolName": "range"}
    return ask("SyncGroup", version=version, **mine, **protocol, assignments=assignments)


@scenario("FindCoordinator")
def find_coordinator(ask: Asked) -> None:
    find(ask, ask.name)
    ask("FindCoordinator", key=ask.name, coordinatorKeys=[ask.name, f"{ask.name}-2"])
    ask("FindCoordinator", key="", coordinatorKeys=[""])
    if ask.version:
        find(ask, ask.name, 1)
        ask("FindCoordinator", key=ask.name, coordinatorKeys=[ask.name], keyType=1)
        ask("FindCoordinator", key=ask.name, coordinatorKeys=[ask.name], keyType=9)


@scenario("JoinGroup")
def join_group(ask: Asked) -> None:
    find(ask, ask.name)
    joined = join(ask)
    sync(ask, joined)
    join(ask, memberId=joined["memberId"])
    join(ask, memberId="nobody")
    join(ask, groupId="")
    join(ask, sessionTimeoutMs=1)
    join(ask, protocolType="other")
    join(ask, protocols=[])
    join(ask, protocols=[{"name": "unknown", "metadata": b""}])
    if ask.version >= 5:
        join(ask, groupId=f"{ask.name}-static", groupInstanceId="i", memberId="nobody")
        join(ask, groupId=f"{ask.name}-static", groupInstanceId="i")


@scenario("SyncGroup")
def sync_group(ask: Asked) -> None:
    find(ask, ask.name)
    joined = join(ask)
    for wrong in [{"memberId": "nobody"}, {"generationId": 99}, {"groupId": "none"}]:
        mine = {"groupId": ask.name, "generationId": joined["generationId"], "memberId": joined["memberId"]}
        ask("SyncGroup", **mine | wrong, protocolType="consumer", protocolName="range")
    if ask.version >= 5:
        ask("SyncGroup", **mine, protocolType="consumer", protocolName="other")
    sync(ask, joined)
    sync(ask, joined)


@scenario("Heartbeat")
def heartbeat(ask: Asked) -> None:
    find(ask, ask.name)
    joined = join(ask)
    mine = {"groupId": ask.name, "generationId": joined["generationId"], "memberId": joined["memberId"]}
    ask("Heartbeat", **mine)
    sync(ask, joined)
    for wrong in [{}, {"memberId": "nobody"}, {"generationId": 99}, {"groupId": "none"}, {"groupId": ""}]:
        ask("Heartbeat", **mine | wrong)


@scenario("LeaveGroup")
def leave_group(ask: Asked) -> None:
    find(ask, ask.name)
    joined = join(ask)
    for member in ("nobody", joined["memberId"], joined["memberId"]):
        ask("LeaveGroup", groupId=ask.name, memberId=member, members=[{"memberId": member}])
    ask("LeaveGroup", groupId="none", memberId="nobody", members=[{"memberId": "nobody"}])
    if ask.version >= 3:
        ask("LeaveGroup", groupId=ask.name, members=[{"memberId": "", "groupInstanceId": "i"}])


@scenario("DescribeGroups")
def describe_groups(ask: Asked) -> None:
    find(ask, ask.name)
    ask("DescribeGroups", groups=[f"{ask.name}-none", ""])
    joined = join(ask)
    sync(ask, joined)
    ask("DescribeGroups", groups=[ask.name])
    ask("LeaveGroup", groupId=ask.name, members=[{"memberId": joined["memberId"]}])
    ask("DescribeGroups", groups=[ask.name], includeAuthorizedOperations=True)


@scenario("OffsetCommit")
def offset_commit(ask: Asked) -> None:
    topic_id = make_topic(ask)
    find(ask, ask.name)

    def commit(partition: Row | None = None, **fields: Any) -> None:
        row = {"partitionIndex": 0, "committedOffset": 5, "committedMetadata": "m"} | (partition or {})
        topics = [{"name": ask.name, "topicId": topic_id, "partitions": [row]}]
        ask("OffsetCommit", **{"groupId": ask.name, "topics": topics} | fields)

    commit()
    commit({"committedOffset": 7, "committedMetadata": None, "committedLeaderEpoch": 3})
    commit({"committedOffset": -5})
    commit({"committedMetadata": "x" * 5000})
    commit({"partitionIndex": 9})
    commit(topics=[{"name": "none", "topicId": NOBODY, "partitions": [{"partitionIndex": 0}]}])
    commit(groupId="")
    commit(memberId="nobody", generationIdOrMemberEpoch=1)
    joined = join(ask)
    sync(ask, joined)
    commit()
    mine = {"memberId": joined["memberId"], "generationIdOrMemberEpoch": joined["generationId"]}
    commit(**mine)
    commit(**mine | {"generationIdOrMemberEpoch": 99})
    groups = [{"groupId": ask.name, "topics": None}]
    ask("OffsetFetch", groups=groups)


@scenario("OffsetFetch")
def offset_fetch(ask: Asked) -> None:
    topic_id = make_topic(ask, 2)
    find(ask, ask.name)
    partition = {"partitionIndex": 0, "committedOffset": 5, "committedLeaderEpoch": 2, "committedMetadata": "m"}
    topics = [{"topicId": topic_id, "partitions": [partition]}]
    ask("OffsetCommit", groupId=ask.name, topics=topics)
    wanted = [{"name": ask.name, "topicId": topic_id, "partitionIndexes": [0, 1, 9]}]
    none = [{"name": "none", "topicId": NOBODY, "partitionIndexes": [0]}]
    for group in (ask.name, f"{ask.name}-none"):
        for rows in (wanted, none, [], *([None] if ask.version >= 2 else [])):
            ask("OffsetFetch", groupId=group, topics=rows, groups=[{"groupId": group, "topics": rows}])
    if ask.version >= 7:
        stable = {"groupId": ask.name, "topics": wanted, "groups": [{"groupId": ask.name, "topics": wanted}]}
        ask("OffsetFetch", **stable, requireStable=True)
    if ask.version >= 9:
        ask("OffsetFetch", groups=[{"groupId": ask.name, "topics": wanted, "memberId": "nobody", "memberEpoch": 1}])


@scenario("DeleteGroups")
def delete_groups(ask: Asked) -> None:
    find(ask, ask.name)
    joined = join(ask)
    sync(ask, joined)
    ask("DeleteGroups", groupsNames=[ask.name, f"{ask.name}-none"])
    ask("LeaveGroup", groupId=ask.name, members=[{"memberId": joined["memberId"]}])
    ask("DeleteGroups", groupsNames=[ask.name])
    ask("DeleteGroups", groupsNames=[ask.name, ""])


@scenario("OffsetDelete")
def offset_delete(ask: Asked) -> None:
    topic_id = make_topic(ask)
    find(ask, ask.name)
    topics = [{"topicId": topic_id, "partitions": [{"partitionIndex": 0, "committedOffset": 5}]}]
    ask("OffsetCommit", groupId=ask.name, topics=topics)
    rows = [{"name": ask.name, "partitions": [{"partitionIndex": 0}, {"partitionIndex": 9}]}]
    ask("OffsetDelete", groupId=f"{ask.name}-none", topics=rows)
    ask("OffsetDelete", groupId=ask.name, topics=rows)
    ask("OffsetFetch", groups=[{"groupId": ask.name, "topics": None}])


@scenario("ConsumerGroupHeartbeat")
def consumer_group(ask: Asked) -> None:
    make_topic(ask, 2)
    find(ask, ask.name)
    new = {"memberId": "AAAAAAAAAAAAAAAAAAAAAQ", "memberEpoch": 0, "rebalanceTimeoutMs": 10_000, "topicPartitions": []}
    whole = {"groupId": ask.name, "subscribedTopicNames": [ask.name], **new}
    for wrong in [
        {"groupId": ""},
        {"memberId": ""},
        {"rebalanceTimeoutMs": -1},
        {"subscribedTopicNames": None},
        {"topicPartitions": None},
        {"serverAssignor": "none"},
        {"memberEpoch": 7},
        {"memberEpoch": -3},
        {"rackId": ""},
    ]:
        ask("ConsumerGroupHeartbeat", **whole | wrong)

    def assigned(answer: Row) -> bool:
        return bool(answer["assignment"] and answer["assignment"]["topicPartitions"])

    joined = ask("ConsumerGroupHeartbeat", **whole)
    member = {"groupId": ask.name, "memberId": joined["memberId"], "memberEpoch": joined["memberEpoch"]}
    if not assigned(joined):
        ask.until(assigned, "ConsumerGroupHeartbeat", **member)
    ask("ConsumerGroupHeartbeat", **member)
    ask("ConsumerGroupHeartbeat", **member | {"memberEpoch": 99})
    ask("ConsumerGroupDescribe", groupIds=[ask.name, f"{ask.name}-none"])
    ask("ListGroups", version=5, statesFilter=["nothing"])
    join(ask)
    ask("OffsetFetch", version=8, groups=[{"groupId": ask.name, "topics": None}])
    ask("ConsumerGroupHeartbeat", **member | {"memberEpoch": -1})
    ask("ConsumerGroupDescribe", groupIds=[ask.name])


@scenario("ConsumerGroupDescribe")
def consumer_group_describe(ask: Asked) -> None:
    find(ask, ask.name)
    ask("ConsumerGroupDescribe", groupIds=[f"{ask.name}-none", ""])
    join(ask)
    ask("ConsumerGroupDescribe", groupIds=[ask.name])


@scenario("ListGroups")
def list_groups(ask: Asked) -> None:
    find(ask, ask.name)
    sync(ask, join(ask))
    if ask.version >= 4:
        ask("ListGroups", statesFilter=["nothing"])
        ask("ListGroups", statesFilter=["PreparingRebalance"])
    if ask.version >= 5:
        ask("ListGroups", typesFilter=["nothing"])
        ask("ListGroups", typesFilter=["share"])


# Transactions


def begin(ask: Asked, timeout_ms: int = 10_000) -> Row:
    find(ask, ask.name, 1)

    def given(answer: Row) -> bool:
        return bool(answer["errorCode"] not in (14, 15, 51))

    version = None if ask.version <= 5 else 5
    return ask.until(given, "InitProducerId", version, transactionalId=ask.name, transactionTimeoutMs=timeout_ms)


def owner(ask: Asked, given: Row) -> Row:
    return {"transactionalId": ask.name, "producerId": given["producerId"], "producerEpoch": given["producerEpoch"]}


def add_partitions(ask: Asked, mine: Row, *topics: str, version: int | None = None) -> Row:
    rows = [{"name": topic, "partitions": [0]} for topic in topics]
    old = {"v3AndBelow" + key[0].upper() + key[1:]: value for key, value in mine.items()} | {"v3AndBelowTopics": rows}
    return ask("AddPartitionsToTxn", version=version, **old, transactions=[mine | {"topics": rows}])


@scenario("InitProducerId")
def init_producer_id(ask: Asked) -> None:
    first = begin(ask)
    begin(ask)
    ask("InitProducerId", transactionalId=ask.name, transactionTimeoutMs=0)
    ask("InitProducerId", transactionalId=ask.name, transactionTimeoutMs=10**9)
    ask("InitProducerId", transactionalId="", transactionTimeoutMs=1000)
    if ask.version >= 3:
        kept = {"transactionalId": ask.name, "transactionTimeoutMs": 1000, "producerId": first["producerId"]}
        ask("InitProducerId", **kept, producerEpoch=first["producerEpoch"])
        ask("InitProducerId", **kept, producerEpoch=first["producerEpoch"] + 1)
        ask("InitProducerId", **kept | {"producerId": 999_999}, producerEpoch=0)


@scenario("AddPartitionsToTxn")
def add_partitions_to_txn(ask: Asked) -> None:
    make_topic(ask)
    mine = owner(ask, begin(ask))
    add_partitions(ask, mine, f"{ask.name}-none")
    add_partitions(ask, mine, ask.name, f"{ask.name}-none")
    add_partitions(ask, mine, ask.name)
    add_partitions(ask, mine | {"producerEpoch": 99}, ask.name)
    add_partitions(ask, mine | {"producerId": 999_999}, ask.name)
    add_partitions(ask, mine | {"transactionalId": f"{ask.name}-none"}, ask.name)
    add_partitions(ask, mine | {"transactionalId": ""}, ask.name)
    ask("DescribeTransactions", transactionalIds=[ask.name, f"{ask.name}-none"])
    ask("EndTxn", **mine, committed=False, version=4)


@scenario("EndTxn")
def end_txn(ask: Asked) -> None:
    topic_id = make_topic(ask)
    given = begin(ask)
    mine = owner(ask, given)
    ask("EndTxn", **mine, committed=True)
    for committed in (True, False):
        if ask.version < 5:
            add_partitions(ask, mine, ask.name, version=3)
        producer = (mine["producerId"], mine["producerEpoch"], 0 if committed or ask.version >= 5 else 1)
        records = batch(b"v", producer=producer, transactional=True)
        produce(ask, topic_id, records, 11 if ask.version < 5 else None, transactionalId=ask.name)
        ended = ask("EndTxn", **mine, committed=committed)
        ask.until(lambda answer: answer["errorCode"] != 51, "EndTxn", **mine, committed=committed)
        if ask.version >= 5:
            mine |= {"producerId": ended["producerId"], "producerEpoch": ended["producerEpoch"]}
    ask("EndTxn", **mine | {"producerEpoch": 99}, committed=True)
    ask("EndTxn", **mine | {"producerId": 999_999}, committed=True)
    ask("EndTxn", **mine | {"transactionalId": f"{ask.name}-none"}, committed=True)
    ask.until(
        lambda answer: answer["responses"][0]["partitions"][0]["lastStableOffset"] == 4,
        "Fetch",
        maxWaitMs=0,
        maxBytes=1 << 20,
        isolationLevel=1,
        topics=[
            {"topicId": topic_id, "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}]}
        ],
    )


@scenario("TxnOffsetCommit")
def txn_offset_commit(ask: Asked) -> None:
    make_topic(ask)
    find(ask, ask.name)
    mine = owner(ask, begin(ask))
    if ask.version < 5:
        ask("AddOffsetsToTxn", **mine, groupId=ask.name)

    def commit(partition: Row | None = None, **fields: Any) -> None:
        row = {"partitionIndex": 0, "committedOffset": 5, "committedMetadata": "m"} | (partition or {})
        topics = [{"name": ask.name, "partitions": [row]}]
        ask("TxnOffsetCommit", **mine | {"groupId": ask.name, "topics": topics} | fields)

    commit()
    commit({"partitionIndex": 9})
    commit({"committedMetadata": "x" * 5000})
    commit(producerEpoch=99)
    commit(groupId="")
    if ask.version >= 3:
        commit(memberId="nobody", generationId=3)
    groups = [{"groupId": ask.name, "topics": None}]
    ask("OffsetFetch", version=8, groups=groups)
    ask("OffsetFetch", version=8, groups=groups, requireStable=True)
    ask("EndTxn", **mine, committed=True, version=4)

    def stable(answer: Row) -> bool:
        (group,) = answer["groups"]
        return bool(group["topics"] and group["topics"][0]["partitions"][0]["errorCode"] == 0)

    ask.until(stable, "OffsetFetch", version=8, groups=groups, requireStable=True)


@scenario("AddOffsetsToTxn")
def add_offsets_to_txn(ask: Asked) -> None:
    mine = owner(ask, begin(ask))
    for wrong in [{}, {"groupId": ""}, {"producerEpoch": 99}, {"transactionalId": f"{ask.name}-none"}]:
        ask("AddOffsetsToTxn", **mine | {"groupId": ask.name} | wrong)
    ask("EndTxn", **mine, committed=True, version=4)


@scenario("ListTransactions")
def list_transactions(ask: Asked) -> None:
    begin(ask)
    ask("ListTransactions", stateFilters=["nothing"])
    ask("ListTransactions", stateFilters=["Ongoing"])
    if ask.version >= 2:
        ask("ListTransactions", transactionalIdPattern=ask.name)
        ask("ListTransactions", transactionalIdPattern="(")


@scenario("DescribeTransactions")
def describe_transactions(ask: Asked) -> None:
    begin(ask)
    ask("DescribeTransactions", transactionalIds=[ask.name, f"{ask.name}-none", ""])


@scenario("DescribeProducers")
def describe_producers(ask: Asked) -> None:
    topic_id = make_topic(ask)
    given = new_producer(ask)
    produce(ask, topic_id, batch(b"v", producer=(given["producerId"], 0, 0)))
    ask("DescribeProducers", topics=[{"name": ask.name, "partitionIndexes": [0, 9]}])
    ask("DescribeProducers", topics=[{"name": "none", "partitionIndexes": [0]}])


# Configs, cluster


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


# Security


@scenario("SaslHandshake")
def sasl_handshake(ask: Asked) -> None:
    ask("SaslHandshake", mechanism="PLAIN")


@scenario("CreateAcls")
def acls(ask: Asked) -> None:
    one = {
        "resourceType": TOPIC_ACL,
        "resourceName": ask.name,
        "resourcePatternType": LITERAL,
        "principal": "User:nobody",
        "host": "*",
        "operation": READ,
        "permissionType": DENY,
    }
    for wrong in [
        {},
        {},
        {"resourcePatternType": PREFIXED} if ask.version else {},
        {"resourcePatternType": ANY} if ask.version else {},
        {"principal": "nobody"},
        {"principal": ""},
        {"host": "not a host"},
        {"operation": 99},
        {"operation": 1},
        {"permissionType": 1},
        {"resourceName": ""},
        {"resourceType": CLUSTER_ACL, "resourceName": "x"},
    ]:
        ask("CreateAcls", creations=[one | wrong])
    wanted = {"resourceTypeFilter": TOPIC_ACL, "resourceNameFilter": ask.name, "patternTypeFilter": ANY}
    whose = {"principalFilter": None, "hostFilter": None, "operation": 1, "permissionType": 1}
    ask("DescribeAcls", **wanted, **whose)
    ask("DescribeAcls", **wanted | {"patternTypeFilter": 2}, **whose)
    ask("DescribeAcls", **wanted, **whose | {"principalFilter": "User:other"})
    ask("DeleteAcls", filters=[wanted | whose, wanted | whose | {"principalFilter": "User:other"}])
    ask.until(lambda answer: not answer["resources"], "DescribeAcls", **wanted, **whose)


@scenario("AlterUserScramCredentials")
def scram(ask: Asked) -> None:
    salted = {"name": ask.name, "mechanism": 1, "iterations": 4096, "salt": b"salt", "saltedPassword": b"p" * 32}
    for wrong in [{}, {"iterations": 10}, {"iterations": 10**6}, {"mechanism": 9}, {"name": ""}]:
        ask("AlterUserScramCredentials", upsertions=[salted | wrong])
    ask("AlterUserScramCredentials", upsertions=[salted, salted])
    users = [{"name": ask.name}, {"name": f"{ask.name}-none"}]
    ask.until(lambda answer: not answer["results"][0]["errorCode"], "DescribeUserScramCredentials", users=users)
    ask("DescribeUserScramCredentials", users=[users[0], users[0]])
    for mechanism in (1, 2, 1):
        ask("AlterUserScramCredentials", deletions=[{"name": ask.name, "mechanism": mechanism}])


@scenario("CreateDelegationToken")
def create_delegation_token(ask: Asked) -> None:
    ask("CreateDelegationToken", renewers=[], maxLifetimeMs=1000)


@scenario("RenewDelegationToken")
def renew_delegation_token(ask: Asked) -> None:
    ask("RenewDelegationToken", hmac=b"none", renewPeriodMs=1000)


@scenario("ExpireDelegationToken")
def expire_delegation_token(ask: Asked) -> None:
    ask("ExpireDelegationToken", hmac=b"none", expiryTimePeriodMs=1000)


@scenario("DescribeDelegationToken")
def describe_delegation_token(ask: Asked) -> None:
    ask("DescribeDelegationToken", owners=None)
