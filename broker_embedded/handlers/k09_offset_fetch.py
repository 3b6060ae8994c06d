# 9 OffsetFetch: a group's positions.
#
# - A group or partition nobody committed for: offset -1 and no error. `topics` null is all that the group has.
# - `require_stable`: a partition with an offset in an undecided transaction is UNSTABLE_OFFSET_COMMIT, in its own row.
# - Several groups from version 8 on. Version 9 has member and epoch (KIP-848: STALE_MEMBER_EPOCH); version 10 names
#   topics by id, and one that is unknown is UNKNOWN_TOPIC_ID. An error of the group is one of its rows in version 1.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.offset_records import OffsetValue
from broker_embedded.errors import KafkaError, UnknownTopicIdError, UnstableOffsetCommitError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_GROUP_ERROR_SINCE = 2


@handler(9, versions=(1, 10))
async def handle(cluster: Cluster, request: OffsetFetchRequest, context: RequestContext) -> OffsetFetchResponse:
    answers = []
    for group in request.groups:
        try:
            cluster.groups.check_offset_fetch(group.group_id, group.member_id, group.member_epoch)
            answers.append(_group(cluster, group, request.require_stable))
        except KafkaError as error:
            answers.append(_failed(group, error.code, context))
    return OffsetFetchResponse(answers)


def _failed(group: OffsetFetchRequestGroup, code: int, context: RequestContext) -> OffsetFetchResponseGroup:
    if context.api_version >= _GROUP_ERROR_SINCE:
        return OffsetFetchResponseGroup(group.group_id, error_code=code)
    return OffsetFetchResponseGroup(group.group_id, [_all_failed(row, code) for row in group.topics or ()])


def _all_failed(topic: OffsetFetchRequestTopics, code: int) -> OffsetFetchResponseTopics:
    rows = [OffsetFetchResponsePartitions(index, error_code=code) for index in topic.partition_indexes]
    return OffsetFetchResponseTopics(topic.name, topic.topic_id, rows)


def _group(cluster: Cluster, group: OffsetFetchRequestGroup, require_stable: bool) -> OffsetFetchResponseGroup:
    committed = cluster.offsets.committed(group.group_id)
    unstable = cluster.offsets.unstable(group.group_id) if require_stable else set()
    asked = _everything(cluster, set(committed)) if group.topics is None else group.topics
    answer = OffsetFetchResponseGroup(group.group_id)
    for row in asked:
        try:
            name = row.name or cluster.topic(None, row.topic_id).name
        except UnknownTopicIdError as error:
            answer.topics.append(_all_failed(row, error.code))
            continue
        keys = [(name, index) for index in row.partition_indexes]
        rows = [_row(key[1], _of_this_topic(cluster, key, committed.get(key)), key in unstable) for key in keys]
        answer.topics.append(OffsetFetchResponseTopics(row.name, row.topic_id, rows))
    return answer


def _of_this_topic(cluster: Cluster, key: tuple[str, int], value: OffsetValue | None) -> OffsetValue | None:
    """None for what was committed for an older topic of that name."""
    topic = cluster.topics.get(key[0])
    is_another = value is not None and value.topic_id is not None and topic is not None and value.topic_id != topic.id
    return None if is_another else value


def _everything(cluster: Cluster, partitions: set[tuple[str, int]]) -> list[OffsetFetchRequestTopics]:
    by_topic: dict[str, list[int]] = {}
    for topic, partition in sorted(partitions):
        by_topic.setdefault(topic, []).append(partition)
    found = [(name, cluster.topics.get(name), indexes) for name, indexes in by_topic.items()]
    return [OffsetFetchRequestTopics(name, topic.id if topic else None, indexes) for name, topic, indexes in found]


def _row(index: int, value: OffsetValue | None, is_unstable: bool) -> OffsetFetchResponsePartitions:
    if is_unstable:
        return OffsetFetchResponsePartitions(index, error_code=UnstableOffsetCommitError.info.code)
    if value is None:
        return OffsetFetchResponsePartitions(index)
    return OffsetFetchResponsePartitions(index, value.offset, value.leader_epoch, value.metadata)
