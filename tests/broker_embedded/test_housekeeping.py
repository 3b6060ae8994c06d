"""What is done by the clock, and what a deletion of records waits for."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.log import checkpoints
from broker_embedded.wire.messages.records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from broker_embedded.wire.messages.topics import DeleteTopicsRequest, DeleteTopicState


@pytest.fixture(autouse=True)
async def topics(client: Any) -> None:
    await client.create("in", internal_segment_bytes="100", retention_ms="-1")
    await client.create("out")


async def delete_before(client: Any, offset: int) -> None:
    rows = [DeleteRecordsTopic("in", [DeleteRecordsPartition(0, offset)])]
    await client.cluster.handle(DeleteRecordsRequest(rows))


async def read_and_delete(client: Any) -> None:
    """A transaction reads three records and commits that; then they are deleted."""
    for value in "abc":
        await client.produce("in", value)
    writer = await client.init()
    await client.produce("out", "ABC", writer=writer)
    await client.send_offset(writer, "group", "in", 3)
    await client.end(writer)
    await delete_before(client, 3)
    assert client.read("in") == []


def segments(client: Any) -> int:
    return len(list((client.cluster.folder.path / "in-0").glob("*.log")))


async def test_deleted_records_stay_until_their_readers_commits_are_on_the_disk(folder: Any, client: Any) -> None:
    await read_and_delete(client)
    client.clock.now += 60_000
    client.cluster.tick()
    assert segments(client) == 3
    folder.kill()
    for topic in ("out-0", "__consumer_offsets-0", "__transaction_state-0"):  # the power cut takes the commit back
        (folder.path / topic / f"{0:020d}.log").write_bytes(b"")
    again = folder.open()
    assert await again.offsets("group") == {}
    assert again.read("in") == ["a", "b", "c"]


async def test_then_they_go(folder: Any, client: Any) -> None:
    await read_and_delete(client)
    await client.cluster.flush_due()
    assert client.cluster.log("out", 0).recovery_point == 2
    assert segments(client) == 1
    folder.kill()
    assert folder.open().read("in") == []


async def test_a_deletion_that_frees_nothing_costs_no_sync(folder: Any, client: Any) -> None:
    await client.produce("in", "a")
    await client.produce("out", "b")
    await delete_before(client, 1)
    client.clock.now += 60_000
    await client.cluster.flush_due()
    assert client.cluster.log("out", 0).recovery_point == 0
    client.clock.now += 600_000
    await client.cluster.flush_due()
    assert client.cluster.log("out", 0).recovery_point == 1


async def test_what_is_deleted_meanwhile_waits_for_the_next_time(folder: Any, client: Any) -> None:
    for value in "abcd":
        await client.produce("in", value)
    await delete_before(client, 2)
    flush = client.cluster.durability.flush

    async def flush_and_more(logs: Any) -> None:
        await flush(logs)
        await delete_before(client, 3)

    client.cluster.durability.flush = flush_and_more
    await client.cluster.flush_due()
    folder.kill()
    assert folder.open().read("in") == ["c", "d"]


async def test_what_is_deleted_while_checkpoints_are_written_is_not_in_them(folder: Any, client: Any) -> None:
    cluster = client.cluster
    for value in "ab":
        await client.produce("in", value)
    write = cluster.folder.write_checkpoints

    def delete_and_write(*arguments: Any) -> None:  # runs in a thread, so the loop may do the one before the other
        cluster.housekeeping.delete_records(cluster.log("in", 0), 2)
        write(*arguments)

    cluster.folder.write_checkpoints = delete_and_write
    await cluster.housekeeping.write_checkpoints()
    folder.kill()
    assert folder.open().read("in") == ["a", "b"]


async def test_a_deleted_topic_is_forgotten(client: Any) -> None:
    await read_and_delete(client)
    await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("in")]))
    await client.cluster.flush_due()


async def test_retention_is_looked_at_now_and_then(folder: Any, client: Any) -> None:
    """As in Kafka first after 30 s: records with old timestamps can be read for a while."""
    await client.create("old", segment_bytes="1048576", retention_ms="1000")
    await client.produce("old", "a")
    client.clock.now += 10_000
    client.cluster.tick()
    assert client.read("old") == ["a"]
    client.clock.now += 20_000
    client.cluster.tick()
    assert client.read("old") == []


def written_of_in(folder: Any) -> dict[str, int | None]:
    """What the checkpoints say of the partition."""
    names = (checkpoints.RECOVERY_POINTS, checkpoints.LOG_START_OFFSETS)
    return {name: checkpoints.read_offsets(folder.path / name).get(("in", 0)) for name in names}


async def test_a_recovery_point_goes_back_with_the_cut_that_agreement_makes(folder: Any, client: Any) -> None:
    writer = await client.init()
    await client.produce("in", "a", writer=writer)
    await client.produce("out", "A", writer=writer)
    await client.end(writer)
    await client.cluster.durability.flush([client.cluster.log("in", 0)])
    await client.cluster.housekeeping.write_checkpoints()
    assert written_of_in(folder)[checkpoints.RECOVERY_POINTS] == 2
    folder.kill()
    (folder.path / "out-0" / f"{0:020d}.log").write_bytes(b"")
    assert folder.open().read("in") == []
    assert written_of_in(folder)[checkpoints.RECOVERY_POINTS] == 0, "what is written next is not on the disk"


async def test_checkpoints_of_a_topic_say_nothing_of_the_next_one_of_its_name(folder: Any, client: Any) -> None:
    await read_and_delete(client)
    await client.cluster.flush_due()
    await client.cluster.flush_due()
    assert None not in written_of_in(folder).values()
    await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("in")]))
    await client.create("in")
    assert set(written_of_in(folder).values()) == {None}
    await client.produce("in", "d")
    folder.kill()
    assert folder.open().read("in") == ["d"]


async def test_checkpoints_say_nothing_of_partitions_that_a_topic_gets_later(folder: Any, client: Any) -> None:
    await client.create("wide", partitions=2)
    await client.produce("wide", "a", partition=1)
    await client.cluster.durability.flush(list(client.cluster.logs()))
    await client.cluster.housekeeping.write_checkpoints()
    await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("wide")]))
    await client.create("wide")
    cluster = client.cluster
    cluster.folder.grow(cluster.topics["wide"], 2, cluster.config, cluster.now_ms)
    assert ("wide", 1) not in checkpoints.read_offsets(folder.path / checkpoints.RECOVERY_POINTS)


async def test_a_topic_that_goes_while_checkpoints_are_written_is_not_in_them(folder: Any, client: Any) -> None:
    folder_of = client.cluster.folder
    write, calls = folder_of.write_checkpoints, []

    def write_and_lose(*arguments: Any) -> None:
        write(*arguments)
        if not calls:
            del client.cluster.topics["in"]
        calls.append(arguments)

    folder_of.write_checkpoints = write_and_lose
    await client.cluster.housekeeping.write_checkpoints()
    assert len(calls) == 2 and set(written_of_in(folder).values()) == {None}
