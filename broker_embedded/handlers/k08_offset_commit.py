# 8 OffsetCommit: a group's positions, outside of transactions.
#
# - The commit of a client without membership (generation -1, no member id) is taken; there are no members yet, so any
#   other is UNKNOWN_MEMBER_ID.
# - With `sync_on_commit` everything in the log is on the disk before the offsets are, and those before the answer: what
#   the group has done up to its positions is not lost to a power cut.
# - A partition that does not exist is an error of its row; metadata beyond 4,096 bytes is OFFSET_METADATA_TOO_LARGE.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.records import OffsetValue
from broker_embedded.errors import KafkaError, UnknownMemberIdError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(8, versions=(2, 10))
async def handle(cluster: Cluster, request: OffsetCommitRequest, context: RequestContext) -> OffsetCommitResponse:
    offsets: dict[tuple[str, int], OffsetValue] = {}
    answers = []
    for topic in request.topics:
        answer = OffsetCommitResponseTopic(topic.name, topic.topic_id)
        for row in topic.partitions:
            code = 0
            try:
                name = topic.name or cluster.topic(None, topic.topic_id).name
                offsets[name, row.partition_index] = cluster.offsets.checked(name, row)
            except KafkaError as error:
                code = error.code
            answer.partitions.append(OffsetCommitResponsePartition(row.partition_index, code))
        answers.append(answer)
    try:
        if request.member_id or request.generation_id_or_member_epoch >= 0:
            raise UnknownMemberIdError(f"group {request.group_id!r} has no member {request.member_id!r}")
        if cluster.config.sync_on_commit:
            await cluster.flush(list(cluster.logs()))
        cluster.offsets.commit(request.group_id, offsets)
        if cluster.config.sync_on_commit:
            await cluster.flush([cluster.log(*cluster.offsets.partition_of(request.group_id))])
    except KafkaError as error:
        for answer in answers:
            for partition in answer.partitions:
                partition.error_code = error.code
    return OffsetCommitResponse(answers)
