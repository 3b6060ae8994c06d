"""Log directories: the one there is."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from broker_embedded.wire.messages.log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
)


@pytest.fixture(autouse=True)
async def topics(client: Any) -> None:
    await client.create("flights", 2)
    await client.produce("flights", "a", partition=1)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([DescribableLogDirTopic("flights", [1, 7]), DescribableLogDirTopic("missing", [0])], {"flights": [1]}),
        ([DescribableLogDirTopic("flights", [0, 1])], {"flights": [0, 1]}),
        ([], {}),
    ],
)
async def test_what_is_asked_for(client: Any, asked: Any, found: dict[str, list[int]]) -> None:
    (row,) = (await client.cluster.handle(DescribeLogDirsRequest(asked))).results
    assert {topic.name: [each.partition_index for each in topic.partitions] for topic in row.topics} == found


async def test_sizes_and_space(client: Any) -> None:
    (row,) = (await client.cluster.handle(DescribeLogDirsRequest(None))).results
    assert (row.error_code, row.log_dir) == (0, str(client.cluster.folder.path))
    sizes = {
        (topic.name, each.partition_index): each.partition_size for topic in row.topics for each in topic.partitions
    }
    assert sizes["flights", 1] == client.cluster.log("flights", 1).size_bytes > sizes["flights", 0] == 0
    assert ("__consumer_offsets", 0) in sizes
    assert row.total_bytes == shutil.disk_usage(client.cluster.folder.path).total
    assert 0 < row.usable_bytes <= row.total_bytes


async def test_there_is_nowhere_else_to_go(client: Any) -> None:
    here, topic = str(client.cluster.folder.path), [AlterReplicaLogDirTopic("flights", [0, 9])]
    for path, codes in ((here, [0, 9]), ("/elsewhere", [57, 57])):
        answer = await client.cluster.handle(AlterReplicaLogDirsRequest([AlterReplicaLogDir(path, topic)]))
        assert [row.error_code for row in answer.results[0].partitions] == codes
