"""Rules for requests about groups, where rows are not all there is (Kafka: KafkaApis)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from broker_embedded.errors import KafkaError
from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.security.guard import Answer, Guard, denied, group, may_know, refusal, topic, transaction
from broker_embedded.wire.error_response import error_response

if TYPE_CHECKING:
    from broker_embedded.wire.messages.consumer_groups import (
        ConsumerGroupDescribeRequest,
        ConsumerGroupDescribeResponse,
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse,
        DescribedGroup,
    )
    from broker_embedded.wire.messages.groups import (
        FindCoordinatorRequest,
        FindCoordinatorResponse,
        ListGroupsRequest,
        ListGroupsResponse,
        OffsetFetchRequest,
        OffsetFetchRequestGroup,
        OffsetFetchResponse,
        OffsetFetchResponseGroup,
    )

_GROUP_KEY, _TRANSACTION_KEY = 0, 1
_SOME_TOPICS_DENIED = "The group has described topic(s) that the client is not authorized to describe."


async def offset_fetch(guard: Guard, request: OffsetFetchRequest, answer: Answer) -> OffsetFetchResponse:
    """Describe of each group and of each topic that is named; from a list of all, other topics are left out."""
    errors = {asked.group_id: group(Operation.DESCRIBE)(guard, asked) for asked in request.groups}
    allowed = [_describable(guard, asked) for asked in request.groups if errors[asked.group_id] is None]
    response: OffsetFetchResponse = await answer(replace(request, groups=allowed))
    rows = {row.group_id: row for row in response.groups}
    response.groups = []
    for asked in request.groups:
        error = errors[asked.group_id]
        if error is not None:
            response.groups += refusal(request, "groups", replace(asked, topics=[]), error).groups
        else:
            response.groups.append(_with_denied(guard, request, asked, rows[asked.group_id]))
    return response


def _describable(guard: Guard, asked: OffsetFetchRequestGroup) -> OffsetFetchRequestGroup:
    return replace(asked, topics=asked.topics and [row for row in asked.topics if may_know(guard, row)])


def _with_denied(
    guard: Guard, request: OffsetFetchRequest, asked: OffsetFetchRequestGroup, row: OffsetFetchResponseGroup
) -> OffsetFetchResponseGroup:
    if asked.topics is None:
        row.topics = [found for found in row.topics if may_know(guard, found)]
        return row
    check = topic(Operation.DESCRIBE)
    topics = [found for found in asked.topics if check(guard, found) is not None]
    if topics and row.error_code == 0:
        refused = refusal(request, "groups", replace(asked, topics=topics), denied(ResourceType.TOPIC))
        row.topics += refused.groups[0].topics
    return row


async def find_coordinator(guard: Guard, request: FindCoordinatorRequest, answer: Answer) -> FindCoordinatorResponse:
    """Describe of each group or transactional id."""
    checks = {_GROUP_KEY: group(Operation.DESCRIBE), _TRANSACTION_KEY: transaction(Operation.DESCRIBE)}
    check = checks.get(request.key_type)
    errors: dict[str, KafkaError | None] = {key: check and check(guard, key) for key in request.coordinator_keys}
    allowed = [key for key, error in errors.items() if error is None]
    response: FindCoordinatorResponse = await answer(replace(request, coordinator_keys=allowed))
    for key, error in errors.items():
        if error is not None:
            response.coordinators += refusal(request, "coordinator_keys", key, error).coordinators
    return response


async def list_groups(guard: Guard, request: ListGroupsRequest, answer: Answer) -> ListGroupsResponse:
    """Those that may be described; with Describe on the cluster, all."""
    response: ListGroupsResponse = await answer(request)
    if not guard.allows_cluster(Operation.DESCRIBE):
        response.groups = [
            row for row in response.groups if guard.allows(Operation.DESCRIBE, ResourceType.GROUP, row.group_id)
        ]
    return response


async def consumer_group_heartbeat(
    guard: Guard, request: ConsumerGroupHeartbeatRequest, answer: Answer
) -> ConsumerGroupHeartbeatResponse:
    """Read of the group, Describe of every topic it subscribes to by name."""
    names = request.subscribed_topic_names or ()
    error = group(Operation.READ)(guard, request)
    if error is None and not all(guard.allows_topic(Operation.DESCRIBE, name) for name in names):
        error = denied(ResourceType.TOPIC)
    if error is not None:
        return error_response(request, error)  # type: ignore[return-value]
    return await answer(request)  # type: ignore[no-any-return]


async def consumer_group_describe(
    guard: Guard, request: ConsumerGroupDescribeRequest, answer: Answer
) -> ConsumerGroupDescribeResponse:
    """Describe of each topic that members have: of a group with others, nothing is told."""
    response: ConsumerGroupDescribeResponse = await answer(request)
    response.groups = [_without_denied(guard, row) for row in response.groups]
    return response


def _without_denied(guard: Guard, row: DescribedGroup) -> DescribedGroup:
    assignments = [half for member in row.members for half in (member.assignment, member.target_assignment)]
    names = {found.topic_name for assignment in assignments for found in assignment.topic_partitions}
    if all(guard.allows_topic(Operation.DESCRIBE, name) for name in names):
        return row
    return type(row)(row.group_id, denied(ResourceType.TOPIC).code, _SOME_TOPICS_DENIED)
