# 34 AlterReplicaLogDirs: there is one log directory, so partitions are there already, or asked to go nowhere (KIP-113).
#
# Another directory is LOG_DIR_NOT_FOUND, a partition that is not there REPLICA_NOT_AVAILABLE.
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_REPLICA_NOT_AVAILABLE, _LOG_DIR_NOT_FOUND = 9, 57


@handler(34, versions=(1, 2))
async def handle(
    cluster: Cluster, request: AlterReplicaLogDirsRequest, context: RequestContext
) -> AlterReplicaLogDirsResponse:
    results: dict[str, AlterReplicaLogDirTopicResult] = {}
    for target in request.dirs:
        is_ours = Path(target.path) == cluster.folder.path
        for topic in target.topics:
            result = results.setdefault(topic.name, AlterReplicaLogDirTopicResult(topic.name))
            for index in topic.partitions:
                missing = 0 if cluster.find_log(topic.name, index) else _REPLICA_NOT_AVAILABLE
                code = missing if is_ours else _LOG_DIR_NOT_FOUND
                result.partitions.append(AlterReplicaLogDirPartitionResult(index, code))
    return AlterReplicaLogDirsResponse(list(results.values()))
