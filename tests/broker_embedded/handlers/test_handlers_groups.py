"""What admins ask of groups, through the handlers; and where groups are coordinated."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from broker_embedded.coordinator.groups.classic.records import GroupValue, MemberValue, encode_group_key
from broker_embedded.coordinator.groups.classic.records import encode_group_value as encode
from broker_embedded.coordinator.offset_records import OffsetValue
from broker_embedded.handlers import LOCAL, RequestContext
from broker_embedded.wire.messages.groups import (
    Coordinator,
    DeleteGroupsRequest,
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    FindCoordinatorRequest,
    ListedGroup,
    ListGroupsRequest,
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)

UNKNOWN_TOPIC_OR_PARTITION, INVALID_GROUP_ID, INVALID_REQUEST, NON_EMPTY_GROUP = 3, 24, 42, 68
GROUP_ID_NOT_FOUND, GROUP_SUBSCRIBED_TO_TOPIC, UNKNOWN_TOPIC_ID = 69, 86, 100

READS_FLIGHTS = bytes.fromhex("0000 00000001 0007") + b"flights" + bytes.fromhex("ffffffff")


def value(group_id: str, protocol_type: str, *members: str) -> GroupValue:
    rows = tuple(
        MemberValue(name, None, "c", "/127.0.0.1", 60_000, 45_000, READS_FLIGHTS, name.encode()) for name in members
    )
    return GroupValue(protocol_type, 4, "range" if rows else None, members[0] if rows else None, -1, rows)


@pytest.fixture(autouse=True)
async def groups(folder: Any, client: Any) -> Any:
    """A group that has only offsets, an empty one, a stable one of consumers, a stable one of workers of Connect."""
    await client.create("flights", 1)
    await client.create("trains", 1)
    rows = {
        "empty": value("empty", "consumer"),
        "stable": value("stable", "consumer", "m"),
        "workers": value("workers", "connect", "w"),
    }
    for group_id, row in rows.items():
        client.cluster.groups.write(group_id, [(encode_group_key(group_id), encode(row))])
    for group_id in ("simple", "empty"):
        for topic in ("flights", "trains"):
            await client.commit_offset(group_id, topic, 5)
    value_5 = OffsetValue(5, commit_timestamp=client.clock.now)
    client.cluster.offsets.commit("stable", {("flights", 0): value_5, ("trains", 0): value_5})
    client.cluster.offsets.load()
    client.cluster.groups.load()


# 15 DescribeGroups


async def describe(client: Any, group_id: str, version: int = 6, **fields: Any) -> DescribedGroup:
    request = DescribeGroupsRequest([group_id], **fields)
    row: DescribedGroup = (await client.cluster.handle(request, RequestContext(version))).groups[0]
    return row


@pytest.mark.parametrize(
    ("group_id", "version", "row"),
    [
        ("simple", 6, DescribedGroup("simple", group_state="Empty")),
        ("empty", 6, DescribedGroup("empty", group_state="Empty", protocol_type="consumer")),
        (
            "stable",
            0,
            DescribedGroup(
                *("stable", 0, None, "Stable", "consumer", "range"),
                [DescribedGroupMember("m", None, "c", "/127.0.0.1", READS_FLIGHTS, b"m")],
            ),
        ),
        ("nobody", 5, DescribedGroup("nobody", group_state="Dead")),
        ("nobody", 6, DescribedGroup("nobody", GROUP_ID_NOT_FOUND, "Group nobody not found.", "Dead")),
    ],
)
async def test_describing(client: Any, group_id: str, version: int, row: DescribedGroup) -> None:
    assert await describe(client, group_id, version) == row


async def test_what_may_be_done_with_a_group(client: Any) -> None:
    row = await describe(client, "stable", include_authorized_operations=True)
    assert row.authorized_operations & 1 << 8  # DESCRIBE


# 16 ListGroups


@pytest.mark.parametrize(
    ("states", "types", "names"),
    [
        ([], [], ["empty", "simple", "stable", "workers"]),
        (["stable"], [], ["stable", "workers"]),
        (["Empty", "Dead"], [], ["empty", "simple"]),
        ([], ["Classic"], ["empty", "simple", "stable", "workers"]),
        ([], ["consumer"], []),
        (["STABLE"], ["share"], []),
    ],
)
async def test_listing(client: Any, states: list[str], types: list[str], names: list[str]) -> None:
    answer = await client.cluster.handle(ListGroupsRequest(states, types))
    assert [row.group_id for row in answer.groups] == names


async def test_a_listed_group(client: Any) -> None:
    answer = await client.cluster.handle(ListGroupsRequest(["Stable"]))
    assert answer.groups == [
        ListedGroup("stable", "consumer", "Stable", "classic"),
        ListedGroup("workers", "connect", "Stable", "classic"),
    ]


# 42 DeleteGroups


async def test_deleting_groups(folder: Any, client: Any) -> None:
    request = DeleteGroupsRequest(["simple", "stable", "nobody", "empty"])
    answer = await client.cluster.handle(request)
    assert [row.error_code for row in answer.results] == [0, NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, 0]
    folder.kill()
    again = folder.open()
    assert [group.group_id for group in again.cluster.groups.all()] == ["stable", "workers"]
    assert await again.offsets("simple") == await again.offsets("empty") == {}


async def test_a_deleted_group_s_undecided_offsets_do_not_come_back(folder: Any, client: Any) -> None:
    writer = await client.init()
    await client.send_offset(writer, "simple", "flights", 9)
    assert (await client.cluster.handle(DeleteGroupsRequest(["simple"]))).results[0].error_code == 0
    folder.kill()
    for one in (client, folder.open()):
        await one.end(writer)
        assert await one.offsets("simple") == {}


# 47 OffsetDelete


@pytest.mark.parametrize(
    ("group_id", "codes"),
    [
        ("simple", [0, 0, UNKNOWN_TOPIC_OR_PARTITION]),
        ("stable", [GROUP_SUBSCRIBED_TO_TOPIC, 0, UNKNOWN_TOPIC_OR_PARTITION]),
        ("workers", NON_EMPTY_GROUP),
        ("nobody", GROUP_ID_NOT_FOUND),
        ("", INVALID_GROUP_ID),
    ],
)
async def test_deleting_offsets(folder: Any, client: Any, group_id: str, codes: list[int] | int) -> None:
    rows = [OffsetDeleteRequestTopic(topic, [OffsetDeleteRequestPartition(0)]) for topic in ("flights", "trains", "x")]
    answer = await client.cluster.handle(OffsetDeleteRequest(group_id, rows))
    if isinstance(codes, int):
        assert (answer.error_code, answer.topics) == (codes, [])
        return
    assert [row.error_code for topic in answer.topics for row in topic.partitions] == codes
    kept = {("flights", 0): 5} if codes[0] else {}
    assert await client.offsets(group_id) == kept
    await client.cluster.close()
    assert await folder.open().offsets(group_id) == kept


# 10 FindCoordinator


@pytest.mark.parametrize(("version", "message"), [(3, "NONE"), (4, "")])
async def test_groups_and_transactions_are_coordinated_here(client: Any, version: int, message: str) -> None:
    node_id, host, port = client.cluster.advertised(LOCAL)
    for key_type in (0, 1):
        answer = await client.cluster.handle(FindCoordinatorRequest(key_type, ["a", "b"]), RequestContext(version))
        assert answer.coordinators == [Coordinator(key, node_id, host, port, 0, message) for key in "ab"]


@pytest.mark.parametrize("key_type", [2, 7])
async def test_nothing_else_is(client: Any, key_type: int) -> None:
    (row,) = (await client.cluster.handle(FindCoordinatorRequest(key_type, ["a"]))).coordinators
    assert (row.key, row.node_id, row.host, row.port, row.error_code) == ("a", -1, "", -1, INVALID_REQUEST)


# 8 OffsetCommit, 9 OffsetFetch: topics by id


async def test_offsets_by_topic_id(client: Any) -> None:
    known, unknown = client.cluster.topics["flights"].id, UUID(int=7)
    rows = [
        OffsetCommitRequestTopic("", topic_id, [OffsetCommitRequestPartition(0, 8)]) for topic_id in (known, unknown)
    ]
    committed = await client.cluster.handle(OffsetCommitRequest("ids", topics=rows), RequestContext(10))
    codes = [(topic.topic_id, topic.partitions[0].error_code) for topic in committed.topics]
    assert codes == [(known, 0), (unknown, UNKNOWN_TOPIC_ID)]
    asked = [OffsetFetchRequestTopics("", topic_id, [0]) for topic_id in (known, unknown)]
    request = OffsetFetchRequest([OffsetFetchRequestGroup("ids", topics=asked), OffsetFetchRequestGroup("ids")])
    some, everything = (await client.cluster.handle(request, RequestContext(10))).groups
    found = [
        (topic.topic_id, row.committed_offset, row.error_code) for topic in some.topics for row in topic.partitions
    ]
    assert found == [(known, 8, 0), (unknown, -1, UNKNOWN_TOPIC_ID)]
    assert [(topic.name, topic.topic_id) for topic in everything.topics] == [("flights", known)]


# Offsets that nobody needs (KIP-211)

RETENTION_MS = 10_080 * 60_000


async def test_offsets_expire(folder: Any, client: Any) -> None:
    """Those of groups without members, and the groups with them; of consumers those of topics they do not read."""
    await client.commit_offset("workers-before", "flights", 1)
    folder.clock.now += RETENTION_MS - 1
    for group_id in ("stable", "workers"):
        heartbeats(client, group_id)
    client.cluster.tick()
    assert len(await client.offsets("simple")) == len(await client.offsets("stable")) == 2
    folder.clock.now += 600_000
    for group_id in ("stable", "workers"):
        heartbeats(client, group_id)
    client.cluster.tick()
    for _ in range(2):
        assert [group.group_id for group in client.cluster.groups.all()] == ["stable", "workers"]
        assert await client.offsets("stable") == {("flights", 0): 5}
        await client.cluster.close()
        client = folder.open()


async def test_a_commit_of_a_transaction_that_is_open_keeps_an_offset(folder: Any, client: Any) -> None:
    writer = await client.init(transaction_timeout_ms=900_000)
    folder.clock.now += RETENTION_MS
    await client.send_offset(writer, "simple", "flights", 6)
    client.cluster.groups.tick(folder.clock.now)
    assert await client.offsets("simple") == {("flights", 0): 5}


def heartbeats(client: Any, group_id: str) -> None:
    group = client.cluster.groups.get(group_id)
    for member in group.members:
        group.heard_of(member)
