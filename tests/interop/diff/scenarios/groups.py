"""Groups of both protocols, and their offsets."""

from __future__ import annotations

from typing import Any

from tests.interop.diff.broker import Asked
from tests.interop.diff.messages import Row
from tests.interop.diff.steps import NOBODY, PROTOCOLS, find, make_topic, scenario


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
