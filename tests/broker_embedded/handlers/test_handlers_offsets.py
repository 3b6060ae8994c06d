"""Committed offsets through the handlers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broker_embedded.handlers import RequestContext
from broker_embedded.log import disk
from broker_embedded.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponsePartitions,
)
from broker_embedded.wire.messages.transactions import (
    AddOffsetsToTxnRequest,
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)

UNKNOWN_TOPIC_OR_PARTITION, OFFSET_METADATA_TOO_LARGE, GROUP_ID_NOT_FOUND = 3, 12, 69
INVALID_TXN_STATE, UNSTABLE_OFFSET_COMMIT = 48, 88


@pytest.fixture(autouse=True)
async def topic(client: Any) -> None:
    await client.create("flights", 2)


async def fetch(client: Any, group: str, *partitions: int, **fields: Any) -> list[OffsetFetchResponsePartitions]:
    rows = [OffsetFetchRequestTopics("flights", None, list(partitions))]
    request = OffsetFetchRequest([OffsetFetchRequestGroup(group, topics=rows)], **fields)
    found: list[OffsetFetchResponsePartitions] = (await client.cluster.handle(request)).groups[0].topics[0].partitions
    return found


async def test_a_commit_comes_back(folder: Any, client: Any) -> None:
    rows = [OffsetCommitRequestPartition(0, 5, 3, "note")]
    await client.cluster.handle(OffsetCommitRequest("g", topics=[OffsetCommitRequestTopic("flights", None, rows)]))
    await client.cluster.close()
    found = await fetch(folder.open(), "g", 0, 1)
    assert found == [
        OffsetFetchResponsePartitions(0, 5, 3, "note"),
        OffsetFetchResponsePartitions(1, -1, -1, ""),
    ]


@pytest.mark.parametrize("sync_on_commit", [False, True])
async def test_what_the_offsets_stand_for_is_on_the_disk_before_them(
    folder: Any, monkeypatch: pytest.MonkeyPatch, sync_on_commit: bool
) -> None:
    folder.kill()
    client = folder.open(sync_on_commit=sync_on_commit)
    await client.produce("flights", "a", partition=1)
    synced: list[str] = []
    monkeypatch.setattr(disk, "observer", lambda kind, path, size: synced.append(Path(path).parent.name))
    assert await client.commit_offset("g", "flights", 1) == 0
    logs = [name for name in dict.fromkeys(synced) if name.startswith(("flights", "__consumer_offsets"))]
    assert [name.rpartition("-")[0] for name in logs] == (["flights", "__consumer_offsets"] if sync_on_commit else [])


async def test_an_unknown_group_is_no_error(client: Any) -> None:
    assert await fetch(client, "nobody", 0) == [OffsetFetchResponsePartitions(0)]
    assert await client.offsets("nobody") == {}


@pytest.mark.parametrize(
    ("fields", "row", "code"),
    [
        ({}, OffsetCommitRequestPartition(0, 5), 0),
        ({}, OffsetCommitRequestPartition(9, 5), UNKNOWN_TOPIC_OR_PARTITION),
        ({}, OffsetCommitRequestPartition(0, 5, -1, "x" * 4097), OFFSET_METADATA_TOO_LARGE),
        ({}, OffsetCommitRequestPartition(0, 5, -1, None), 0),
        ({"member_id": "someone"}, OffsetCommitRequestPartition(0, 5), 0),  # nobody else is there
        ({"generation_id_or_member_epoch": 1}, OffsetCommitRequestPartition(0, 5), GROUP_ID_NOT_FOUND),
    ],
)
async def test_a_commit_is_checked(
    client: Any, fields: dict[str, Any], row: OffsetCommitRequestPartition, code: int
) -> None:
    topics = [OffsetCommitRequestTopic("flights", None, [row])]
    request = OffsetCommitRequest(**{"group_id": "g", "topics": topics} | fields)
    answer = await client.cluster.handle(request)
    assert answer.topics[0].partitions[0].error_code == code
    assert await client.offsets("g") == ({} if code else {("flights", 0): 5})


async def test_good_partitions_are_committed_beside_bad_ones(client: Any) -> None:
    rows = [OffsetCommitRequestPartition(index, 5) for index in (0, 9)]
    await client.cluster.handle(OffsetCommitRequest("g", topics=[OffsetCommitRequestTopic("flights", None, rows)]))
    assert await client.offsets("g") == {("flights", 0): 5}


async def test_undecided_offsets_are_unstable(client: Any) -> None:
    await client.commit_offset("g", "flights", 1)
    writer = await client.init()
    await client.send_offset(writer, "g", "flights", 2)
    stable, unstable = await fetch(client, "g", 1, 0, require_stable=True)
    assert (stable.error_code, unstable.error_code) == (0, UNSTABLE_OFFSET_COMMIT)
    (before,) = await fetch(client, "g", 0)
    assert before.committed_offset == 1
    await client.end(writer)
    (after,) = await fetch(client, "g", 0, require_stable=True)
    assert (after.error_code, after.committed_offset) == (0, 2)


async def test_undecided_offsets_outlive_a_restart(folder: Any, client: Any) -> None:
    writer = await client.init()
    await client.send_offset(writer, "g", "flights", 0)
    folder.kill()
    again = folder.open()
    (row,) = await fetch(again, "g", 0, require_stable=True)
    assert row.error_code == UNSTABLE_OFFSET_COMMIT
    await again.end(writer, False)
    assert await again.offsets("g") == {}


async def test_older_clients_add_offsets_first(client: Any) -> None:
    writer = await client.init()
    row = TxnOffsetCommitRequestTopic("flights", [TxnOffsetCommitRequestPartition(0, 1)])
    request = TxnOffsetCommitRequest("t", "g", writer.producer_id, writer.epoch, topics=[row])
    version_3 = RequestContext(api_version=3)
    answer = await client.cluster.handle(request, version_3)
    assert answer.topics[0].partitions[0].error_code == INVALID_TXN_STATE
    added = await client.cluster.handle(AddOffsetsToTxnRequest("t", writer.producer_id, writer.epoch, "g"))
    assert added.error_code == 0
    answer = await client.cluster.handle(request, version_3)
    assert answer.topics[0].partitions[0].error_code == 0
    await client.end(writer)
    assert await client.offsets("g") == {("flights", 0): 1}


async def test_several_groups_at_once(client: Any) -> None:
    for group in "abc":
        await client.commit_offset(group, "flights", 1)
    answer = await client.cluster.handle(OffsetFetchRequest([OffsetFetchRequestGroup(group) for group in "cab"]))
    assert [(group.group_id, group.topics[0].partitions[0].committed_offset) for group in answer.groups] == [
        *(("c", 1), ("a", 1), ("b", 1))
    ]
