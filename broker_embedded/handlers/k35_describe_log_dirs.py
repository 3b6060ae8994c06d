# 35 DescribeLogDirs: the one directory there is, sizes of its partitions, and the space around it (KIP-113, KIP-827).
#
# - No topics (null) are all; what is asked for and not there is left out.
# - A size is that of all segments, without indexes. There are no lags and no moves from other directories.
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(35, versions=(1, 5))
async def handle(cluster: Cluster, request: DescribeLogDirsRequest, context: RequestContext) -> DescribeLogDirsResponse:
    space = os.statvfs(cluster.folder.path)
    result = DescribeLogDirsResult(
        str(cluster.folder.path),
        topics=list(_topics(cluster, request)),
        total_bytes=space.f_blocks * space.f_frsize,
        usable_bytes=space.f_bavail * space.f_frsize,
    )
    return DescribeLogDirsResponse([result])


def _topics(cluster: Cluster, request: DescribeLogDirsRequest) -> Iterator[DescribeLogDirsTopic]:
    wanted = None if request.topics is None else {topic.topic: set(topic.partitions) for topic in request.topics}
    for topic in cluster.topics.values():
        rows = [
            DescribeLogDirsPartition(source.partition, source.size_bytes)
            for source in topic.partitions
            if wanted is None or source.partition in wanted.get(topic.name, ())
        ]
        if rows:
            yield DescribeLogDirsTopic(topic.name, rows)
