"""The cluster: topics that last, a folder that is held, unclean starts, progress, disk failures."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from broker_embedded.cluster import Cluster
from broker_embedded.errors import KafkaStorageError
from broker_embedded.lock import FolderInUseError
from broker_embedded.log import disk
from broker_embedded.log.checkpoints import META_PROPERTIES, read_meta_properties, sync_clean_shutdown
from broker_embedded.log.index import Index
from broker_embedded.metadata import ForeignFolderError
from broker_embedded.metadata import records as r
from broker_embedded.metadata.log import MetadataLog
from broker_embedded.wire.messages.topics import DeleteTopicsRequest, DeleteTopicState


async def test_topics_last(folder: Any) -> None:
    client = folder.open()
    made = await client.create("flights", 3, retention_ms="1000")
    await client.produce("flights", "a", "b", partition=2)
    await client.cluster.close()

    again = folder.open().cluster
    topic = again.topics["flights"]
    assert (topic.id, topic.configs) == (made.topic_id, {"retention.ms": "1000"})
    assert [source.log_end_offset for source in topic.partitions] == [0, 0, 2]
    assert topic.partitions[0].config.retention_ms == 1000
    assert again.topics["__consumer_offsets"].is_internal


async def test_topics_survive_a_kill(folder: Any) -> None:
    client = folder.open()
    await client.create("flights", 2)
    await client.produce("flights", "a", partition=1)
    folder.kill()
    again = folder.open()
    assert again.read("flights", 1) == ["a"]


async def test_a_folder_is_opened_once(client: Any) -> None:
    with pytest.raises(FolderInUseError):
        Cluster.open(client.cluster.folder.path)


async def test_a_failed_open_gives_the_folder_back(tmp_path: Path) -> None:
    (tmp_path / "topics.json").write_text("{}")
    for _ in range(2):
        with pytest.raises(ForeignFolderError, match="a version before the first release wrote it"):
            Cluster.open(tmp_path)


async def test_a_topic_deleted_and_made_again_is_empty(folder: Any) -> None:
    client = folder.open()
    first = await client.create("flights")
    await client.produce("flights", "old")
    await client.commit_offset("group", "flights", 1)
    await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("flights")]))
    assert await client.offsets("group") == {}
    second = await client.create("flights")
    assert first.topic_id != second.topic_id
    folder.kill()
    again = folder.open()
    assert again.read("flights") == []
    assert await again.offsets("group") == {}


def write_metadata(folder: Any, *changes: r.Record) -> None:
    """What a process writes down and then dies."""
    meta = read_meta_properties(folder.path / META_PROPERTIES)
    log = MetadataLog.open(folder.path, meta, folder.clock, was_clean=False)
    log.append([r.encode(change) for change in changes])
    log.close()


async def test_a_deletion_cut_short_is_finished(folder: Any) -> None:
    client = folder.open()
    await client.create("flights", 2)
    await client.produce("flights", "old")
    folder.kill()
    write_metadata(folder, r.RemoveTopicRecord(topic_id=client.cluster.topics["flights"].id))

    again = folder.open()
    assert "flights" not in again.cluster.topics
    assert not list(folder.path.glob("flights-*"))


async def test_partitions_of_an_unknown_topic_are_put_aside(folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = folder.open()
    await client.create("flights")
    await client.produce("flights", "kept")
    folder.kill()
    (folder.path / "flights-0").rename(folder.path / "trains-0")

    with caplog.at_level(logging.WARNING, "broker_embedded"):
        again = folder.open()
    (stray,) = folder.path.glob("trains-0.*-stray")
    assert f"renamed to {stray.name}" in caplog.text
    await again.create("trains")
    assert again.read("trains") == again.read("flights") == []


async def test_a_missing_partition_folder_is_made(folder: Any) -> None:
    # The metadata log names them all from the moment of creation, the folders follow.
    client = folder.open()
    await client.create("flights")
    folder.kill()
    for file in (folder.path / "flights-0").iterdir():
        file.unlink()
    (folder.path / "flights-0").rmdir()
    assert folder.open().read("flights") == []


async def test_producer_ids_are_never_given_twice(folder: Any) -> None:
    seen = set()
    for _ in range(3):
        client = folder.open()
        for _ in range(2):
            seen.add((await client.init(None)).producer_id)
        folder.kill()
    assert len(seen) == 6


async def test_offsets_beyond_a_lost_tail_go_back(folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = folder.open()
    await client.create("flights")
    await client.produce("flights", "a", "b")
    await client.produce("flights", "c")
    await client.commit_offset("group", "flights", 3)
    folder.kill()
    segment = folder.path / "flights-0" / f"{0:020d}.log"
    segment.write_bytes(segment.read_bytes()[:-5])

    with caplog.at_level(logging.WARNING, "broker_embedded"):
        again = folder.open()
    assert again.read("flights") == ["a", "b"]
    assert await again.offsets("group") == {("flights", 0): 2}
    assert "group 'group' had committed offset 3 of flights-0, whose log ends at 2" in caplog.text
    folder.kill()
    assert await folder.open().offsets("group") == {("flights", 0): 2}


async def test_progress_is_told_once_asked_for(client: Any) -> None:
    await client.create("flights", 2)
    calls: list[int] = []
    unsubscribe = client.cluster.progress.watch("flights", 0, lambda: calls.append(0))
    await client.produce("flights", "a")
    await client.produce("flights", "b", partition=1)
    writer = await client.init()
    await client.produce("flights", "c", writer=writer)
    await client.end(writer)
    assert len(calls) == 3  # two batches and a marker
    unsubscribe()
    await client.produce("flights", "d")
    assert len(calls) == 3


async def test_a_failed_sync_stops_the_broker(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = folder.open(sync_on_commit=True)
    await client.create("flights")
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)

    def fail(fd: int, path: str) -> None:
        raise KafkaStorageError(f"{path}: fsync failed")

    monkeypatch.setattr(disk, "sync_file", fail)
    assert await client.end(writer) == KafkaStorageError.info.code
    with pytest.raises(KafkaStorageError, match=r"has stopped serving: .*flights-0.*fsync failed"):
        await client.fetch("flights")


async def test_everything_of_a_commit_is_synced(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = folder.open(sync_on_commit=True)
    await client.create("flights", 2)
    await client.create("source", 2)
    await client.produce("source", "read by the transaction")
    await client.produce("source", "not read", partition=1)
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    await client.send_offset(writer, "group", "source", 1)
    ends = {}
    synced: list[str] = []
    monkeypatch.setattr(disk, "observer", lambda kind, path, size: synced.append(Path(path).parent.name))
    for source in client.cluster.logs():
        ends[f"{source.topic}-{source.partition}"] = source.log_end_offset
    assert await client.end(writer) == 0
    data = [name for name in synced if name.startswith(("flights", "source", "__consumer"))]
    assert sorted(set(data)) == ["__consumer_offsets-0", "flights-0", "source-0"]
    assert synced.index("__transaction_state-0") > max(synced.index(name) for name in data)
    for source in client.cluster.logs():
        if f"{source.topic}-{source.partition}" in data:
            assert source.recovery_point >= ends[f"{source.topic}-{source.partition}"]


async def test_decisions_are_synced_before_data(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a commit marker could survive whose decision is lost: see agreement.py."""
    await client.create("flights", flush_messages="1")
    synced: list[str] = []
    monkeypatch.setattr(disk, "observer", lambda kind, path, size: synced.append(Path(path).parent.name))
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    assert synced.index("__transaction_state-0") < synced.index("flights-0")


async def test_a_commit_goes_on_when_its_caller_is_cancelled(folder: Any) -> None:
    client = folder.open(sync_on_commit=True)
    await client.create("flights")
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    ending = asyncio.create_task(client.end(writer))
    await asyncio.sleep(0)
    assert (await client.produce("flights", "b", writer=writer)).error_code == 51  # CONCURRENT_TRANSACTIONS
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await client.cluster.close()
    assert folder.open().read("flights") == ["a"]


async def test_flush_messages_syncs_before_the_answer(client: Any) -> None:
    await client.create("flights", flush_messages="2")
    source = client.cluster.log("flights", 0)
    await client.produce("flights", "a")
    assert source.recovery_point == 0
    await client.produce("flights", "b")
    assert source.recovery_point == 2


async def test_flush_ms_is_done_when_due(client: Any) -> None:
    await client.create("flights", flush_ms="1000")
    source = client.cluster.log("flights", 0)
    await client.produce("flights", "a")
    await client.cluster.flush_due()
    assert source.recovery_point == 0
    client.clock.now += 1000
    await client.cluster.flush_due()
    assert source.recovery_point == 1


async def test_tick_removes_what_retention_lets_go(client: Any) -> None:
    await client.create("flights", retention_ms="1000")
    await client.produce("flights", "a")
    client.cluster.tick()
    assert client.read("flights") == ["a"]
    client.clock.now += 60_000
    client.cluster.tick()
    assert client.cluster.log("flights", 0).log_start_offset == 1


async def test_tick_does_the_rest_when_a_part_fails(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.create("flights", retention_ms="1000")
    await client.produce("flights", "a")

    def fail(now_ms: int) -> None:
        raise KafkaStorageError("the disk is full")

    monkeypatch.setattr(client.cluster.transactions, "expire", fail)
    client.clock.now += 60_000
    with pytest.raises(KafkaStorageError, match="full"):
        client.cluster.tick()
    assert client.cluster.log("flights", 0).log_start_offset == 1


async def test_closed_is_closed(client: Any) -> None:
    await client.create("flights")
    waiting = asyncio.create_task(client.fetch("flights", max_wait_ms=30_000))
    await asyncio.sleep(0)
    await client.cluster.close()
    with pytest.raises(KafkaStorageError, match="is closed"):
        await waiting
    with pytest.raises(KafkaStorageError, match="is closed"):
        await client.fetch("flights")
    await client.cluster.close()


async def test_a_full_disk_keeps_no_folder(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    open_files = len(os.listdir("/proc/self/fd"))
    client = folder.open()
    await client.create("flights", 3)
    await client.produce("flights", "a")

    def fail(index: Any) -> None:
        raise KafkaStorageError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(Index, "write", fail)
        with pytest.raises(KafkaStorageError, match="full"):
            await client.cluster.close()
    client.cluster.metadata.close()
    assert len(os.listdir("/proc/self/fd")) == open_files
    assert folder.open().read("flights") == ["a"]


async def test_after_a_crash_partitions_are_led_under_a_new_epoch(folder: Any) -> None:
    """Kafka elects leaders at each start; after a clean one nothing that a reader has seen can be gone."""
    client = folder.open()
    await client.create("flights", 2)
    await client.produce("flights", "a", partition=1)
    await client.cluster.close()
    again = folder.open()
    assert [source.leader_epoch for source in again.cluster.topics["flights"].partitions] == [0, 0]
    folder.kill()
    third = folder.open()
    await third.produce("flights", "b", partition=1)
    log = third.cluster.log("flights", 1)
    assert log.epochs.entries == [(0, 0), (1, 1)]
    assert third.cluster.metadata.topics["flights"].partitions[1].leader_epoch == 1
    folder.kill()
    assert folder.open().cluster.log("flights", 1).leader_epoch == 2


async def test_what_kafka_has_left_without_a_leader_is_led(folder: Any) -> None:
    """It takes the leaders away when it stops, and where its features say so the replicas in sync too (KIP-966)."""
    client = folder.open()
    await client.create("flights")
    folder.kill()
    flights = client.cluster.topics["flights"].id
    left = {"leader": -1, "isr": [], "eligible_leader_replicas": [1], "last_known_elr": [1]}
    write_metadata(folder, r.PartitionChangeRecord(partition_id=0, topic_id=flights, **left))
    sync_clean_shutdown(folder.path)
    partition = folder.open().cluster.metadata.topics["flights"].partitions[0]
    assert (partition.leader, partition.isr, partition.leader_epoch) == (1, [1], 2)
    assert (partition.eligible_leader_replicas, partition.last_known_elr) == ([], [])


async def test_configs_of_another_kafka_are_told_and_kept(folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = folder.open()
    await client.create("flights", retention_ms="5")
    folder.kill()
    write_metadata(folder, r.ConfigRecord(resource_type=2, resource_name="flights", name="warp.speed", value="9"))
    with caplog.at_level(logging.WARNING, "broker_embedded"):
        again = folder.open().cluster
    assert "topic flights has warp.speed=9, which this version does not know" in caplog.text
    assert again.topics["flights"].configs == {"retention.ms": "5", "warp.speed": "9"}
    assert again.log("flights", 0).config.retention_ms == 5
