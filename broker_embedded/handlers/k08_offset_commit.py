# 8 OffsetCommit: a group's positions, outside of transactions.
#
# - The commit of a client without membership (generation -1) is taken while the group has no members, and makes a group
#   that did not exist. Of the others: ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS;
#   for a group that does not exist GROUP_ID_NOT_FOUND from version 9 on, ILLEGAL_GENERATION before.
# - Version 9 is KIP-848's (member epochs, STALE_MEMBER_EPOCH), version 10 names topics by id (UNKNOWN_TOPIC_ID).
# - With `sync_on_commit` everything in the log is on the disk before the offsets are, and those before the answer: what
#   the group has done up to its positions is not lost to a power cut.
# - A partition that does not exist is an error of its row, metadata beyond offset.metadata.max.bytes too. Versions 2 to
#   4 name a retention time, which is passed over: offsets.retention.minutes is what counts (KIP-211).
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.offset_records import OffsetValue
from broker_embedded.errors import KafkaError, UnknownTopicIdError, UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

Offsets = dict[tuple[str, int], OffsetValue]

_NOT_THERE = (UnknownTopicOrPartitionError.info.code, UnknownTopicIdError.info.code)


@handler(8, versions=(2, 10))
async def handle(cluster: Cluster, request: OffsetCommitRequest, context: RequestContext) -> OffsetCommitResponse:
    offsets: Offsets = {}
    answers = [OffsetCommitResponseTopic(topic.name, topic.topic_id) for topic in request.topics]
    for topic, answer in zip(request.topics, answers, strict=True):
        for row in topic.partitions:
            code = 0
            try:
                name = topic.name or cluster.topic(None, topic.topic_id).name
                offsets[name, row.partition_index] = cluster.offsets.checked(name, row)
            except KafkaError as error:
                code = error.code
            answer.partitions.append(OffsetCommitResponsePartition(row.partition_index, code))
    try:
        await _commit(cluster, request, context, offsets)
    except KafkaError as error:
        for partition in (partition for answer in answers for partition in answer.partitions):
            if partition.error_code not in _NOT_THERE:
                partition.error_code = error.code
    return OffsetCommitResponse(answers)


async def _commit(cluster: Cluster, request: OffsetCommitRequest, context: RequestContext, offsets: Offsets) -> None:
    _check(cluster, request, context, offsets)
    if cluster.config.sync_on_commit:
        await cluster.durability.flush(list(cluster.logs()))
        _check(cluster, request, context, offsets)  # the group has gone on meanwhile
    cluster.offsets.commit(request.group_id, offsets)
    if cluster.config.sync_on_commit:
        await cluster.durability.flush([cluster.log(*cluster.offsets.partition_of(request.group_id))])


def _check(cluster: Cluster, request: OffsetCommitRequest, context: RequestContext, offsets: Offsets) -> None:
    cluster.groups.check_commit(
        request.group_id,
        request.member_id,
        request.generation_id_or_member_epoch,
        request.group_instance_id,
        api_version=context.api_version,
        partitions=offsets.keys(),
    )
