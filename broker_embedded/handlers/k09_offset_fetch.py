# 9 OffsetFetch: a group's positions.
#
# - A group or partition nobody committed for: offset -1 and no error. `topics` null is all that the group has.
# - `require_stable`: a partition with an offset in an undecided transaction is UNSTABLE_OFFSET_COMMIT, in its own row.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.records import OffsetValue
from broker_embedded.errors import UnknownTopicIdError, UnstableOffsetCommitError
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


@handler(9, versions=(1, 10))
async def handle(cluster: Cluster, request: OffsetFetchRequest, context: RequestContext) -> OffsetFetchResponse:
    return OffsetFetchResponse([_group(cluster, group, request.require_stable) for group in request.groups])


def _group(cluster: Cluster, group: OffsetFetchRequestGroup, require_stable: bool) -> OffsetFetchResponseGroup:
    committed = cluster.offsets.committed(group.group_id)
    unstable = cluster.offsets.unstable(group.group_id) if require_stable else set()
    asked = group.topics
    if asked is None:
        by_topic: dict[str, list[int]] = {}
        for topic, partition in sorted({*committed, *unstable}):
            by_topic.setdefault(topic, []).append(partition)
        asked = [OffsetFetchRequestTopics(topic, None, partitions) for topic, partitions in by_topic.items()]
    answer = OffsetFetchResponseGroup(group.group_id)
    for row in asked:
        name = row.name
        if not name:
            try:
                name = cluster.topic(None, row.topic_id).name
            except UnknownTopicIdError as error:
                rows = [OffsetFetchResponsePartitions(index, error_code=error.code) for index in row.partition_indexes]
                answer.topics.append(OffsetFetchResponseTopics(row.name, row.topic_id, rows))
                continue
        rows = []
        for index in row.partition_indexes:
            key = (name, index)
            rows.append(_row(index, committed.get(key), key in unstable))
        answer.topics.append(OffsetFetchResponseTopics(row.name, row.topic_id, rows))
    return answer


def _row(index: int, value: OffsetValue | None, is_unstable: bool) -> OffsetFetchResponsePartitions:
    if is_unstable:
        return OffsetFetchResponsePartitions(index, error_code=UnstableOffsetCommitError.info.code)
    if value is None:
        return OffsetFetchResponsePartitions(index)
    return OffsetFetchResponsePartitions(index, value.offset, value.leader_epoch, value.metadata)
