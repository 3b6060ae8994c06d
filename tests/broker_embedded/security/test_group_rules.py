"""Rules for groups where rows are not all: committed offsets, listings, what members have."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.wire.messages.consumer_groups import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatRequest,
    DescribedAssignment,
    DescribedGroup,
    DescribedMember,
    DescribedTopicPartitions,
)
from broker_embedded.wire.messages.groups import (
    FindCoordinatorRequest,
    ListedGroup,
    ListGroupsRequest,
    ListGroupsResponse,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)

TOPIC, GROUP, TXN, CLUSTER = (
    ResourceType.TOPIC,
    ResourceType.GROUP,
    ResourceType.TRANSACTIONAL_ID,
    ResourceType.CLUSTER,
)
READ, DESCRIBE = Operation.READ, Operation.DESCRIBE
MAY_DESCRIBE = [(GROUP, "open", DESCRIBE), (TOPIC, "open", DESCRIBE)]


# OffsetFetch


def offsets(*topics: str, group: str = "open", error: int = 0) -> OffsetFetchResponseGroup:
    rows = [OffsetFetchResponseTopics(name, None, [OffsetFetchResponsePartitions(0, 7)]) for name in topics]
    return OffsetFetchResponseGroup(group, rows, error)


def wanted(*topics: str, group: str = "open") -> OffsetFetchRequestGroup:
    rows = [OffsetFetchRequestTopics(name, None, [0, 1]) for name in topics]
    return OffsetFetchRequestGroup(group, topics=rows)


def found(answer: Any) -> list[Any]:
    """Group, its error, and offset and error by topic."""
    return [
        (
            group.group_id,
            group.error_code,
            {
                topic.name: [(row.committed_offset, row.error_code) for row in topic.partitions]
                for topic in group.topics
            },
        )
        for group in answer.groups
    ]


async def test_offsets_of_topics_that_are_named(stand: Any) -> None:
    handler = stand.Handler(OffsetFetchResponse([offsets("open")]))

    answer = await stand.ask(OffsetFetchRequest([wanted("open", "secret")]), MAY_DESCRIBE, handler)

    assert found(answer) == [("open", 0, {"open": [(7, 0)], "secret": [(-1, 29), (-1, 29)]})]
    assert handler.seen.groups == [wanted("open")]


async def test_offsets_of_all_topics_leave_others_out(stand: Any) -> None:
    handler = stand.Handler(OffsetFetchResponse([offsets("open", "secret")]))

    answer = await stand.ask(OffsetFetchRequest([OffsetFetchRequestGroup("open")]), MAY_DESCRIBE, handler)

    assert found(answer) == [("open", 0, {"open": [(7, 0)]})]


async def test_offsets_of_several_groups(stand: Any) -> None:
    handler = stand.Handler(OffsetFetchResponse([offsets("open")]))
    asked = [wanted("open", group="secret"), wanted("open")]

    answer = await stand.ask(OffsetFetchRequest(asked), MAY_DESCRIBE, handler)

    assert found(answer) == [("secret", 30, {}), ("open", 0, {"open": [(7, 0)]})]
    assert handler.seen.groups == asked[1:]


async def test_an_error_of_the_group_stands_alone(stand: Any) -> None:
    handler = stand.Handler(OffsetFetchResponse([offsets(error=16)]))

    answer = await stand.ask(OffsetFetchRequest([wanted("secret")]), MAY_DESCRIBE, handler)

    assert found(answer) == [("open", 16, {})]


# FindCoordinator, ListGroups


async def test_coordinators_of_transactions_and_of_share_groups(stand: Any) -> None:
    answer = await stand.ask(FindCoordinatorRequest(1, ["open", "secret"]), [(TXN, "open", DESCRIBE)])
    share = await stand.ask(FindCoordinatorRequest(2, ["s"]), [])

    assert {row.key: row.error_code for row in answer.coordinators} == {"open": 0, "secret": 53}
    assert [row.error_code for row in share.coordinators] == [0]


@pytest.mark.parametrize(
    ("rights", "names"),
    [
        ([], []),
        ([(GROUP, "open", DESCRIBE)], ["open"]),
        ([(GROUP, "open", READ)], ["open"]),
        ([(CLUSTER, "kafka-cluster", DESCRIBE)], ["open", "secret"]),
    ],
)
async def test_a_list_of_groups(stand: Any, rights: list[Any], names: list[str]) -> None:
    listing = ListGroupsResponse(groups=[ListedGroup("open"), ListedGroup("secret")])

    answer = await stand.ask(ListGroupsRequest(), rights, stand.Handler(listing))

    assert [row.group_id for row in answer.groups] == names


# The consumer group protocol


@pytest.mark.parametrize(
    ("topics", "rights", "code"),
    [
        (None, [], 30),
        (None, [(GROUP, "g", READ)], 0),
        (["open"], [(GROUP, "g", READ)], 29),
        (["open"], [(GROUP, "g", READ), (TOPIC, "open", DESCRIBE)], 0),
        (["open", "secret"], [(GROUP, "g", READ), (TOPIC, "open", DESCRIBE)], 29),
    ],
)
async def test_a_heartbeat(stand: Any, topics: list[str] | None, rights: list[Any], code: int) -> None:
    handler = stand.Handler()
    request = stand.filled(ConsumerGroupHeartbeatRequest, group_id="g", subscribed_topic_names=topics)

    answer = await stand.ask(request, rights, handler)

    assert answer.error_code == code
    assert (handler.seen is request) is (code == 0)


@pytest.mark.parametrize("half", ["assignment", "target_assignment"])
async def test_of_a_group_that_has_other_topics_nothing_is_told(stand: Any, half: str) -> None:
    def group(name: str, topic: str) -> DescribedGroup:
        topics = [DescribedTopicPartitions(UUID(int=1), topic, [0])]
        halves = {"assignment": DescribedAssignment(), "target_assignment": DescribedAssignment()}
        member = stand.filled(DescribedMember, **{**halves, half: DescribedAssignment(topics)})
        return DescribedGroup(name, group_state="Stable", members=[member])

    response = ConsumerGroupDescribeResponse([group("a", "open"), group("b", "secret")])
    rights = [(GROUP, "a", DESCRIBE), (GROUP, "b", DESCRIBE), (TOPIC, "open", DESCRIBE)]

    answer = await stand.ask(ConsumerGroupDescribeRequest(["a", "b"]), rights, stand.Handler(response))

    assert [(row.group_id, row.error_code, len(row.members), row.group_state) for row in answer.groups] == [
        ("a", 0, 1, "Stable"),
        ("b", 29, 0, ""),
    ]
