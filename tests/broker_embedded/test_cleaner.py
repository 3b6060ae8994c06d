"""Compaction in the background: which logs, when, and up to where."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker_embedded import cleaner
from broker_embedded.log import checkpoints, disk
from broker_embedded.log.compaction import Compaction
from broker_embedded.wire.messages.topics import DeleteTopicsRequest, DeleteTopicState

COMPACT = {"cleanup_policy": "compact", "internal_segment_bytes": "200"}


@pytest.fixture(autouse=True)
async def topics(client: Any) -> None:
    await client.create("flights", 2, **COMPACT)
    await client.create("input")


async def clean(client: Any) -> None:
    """Let the time come at which dirty logs are looked for, and all that is found then be done."""
    client.clock.now += 15_000
    await client.cluster.flush_due()
    running = client.cluster.housekeeping.cleaner._running
    if running is not None:
        await running


async def fill(client: Any, topic: str = "flights", partition: int = 0, writer: Any = None, count: int = 8) -> None:
    for number in range(count):
        await client.produce(topic, str(number), partition=partition, writer=writer)


async def test_dirty_logs_are_compacted(folder: Any, client: Any) -> None:
    await fill(client)
    await fill(client, partition=1)
    await clean(client)
    for partition in (0, 1):
        assert client.read("flights", partition) == ["5", "6", "7"]  # the open segment, and the newest before it
    path = folder.path / checkpoints.CLEANED
    assert checkpoints.read_offsets(path) == {("flights", 0): 6, ("flights", 1): 6}
    folder.kill()
    again = folder.open()
    assert again.read("flights") == ["5", "6", "7"]
    assert again.cluster.log("flights", 0).cleanable(6, 8).dirty_bytes == 0


async def test_not_before_the_time_and_not_again(client: Any) -> None:
    await fill(client)
    await client.cluster.flush_due()
    assert len(client.read("flights")) == 8
    await clean(client)
    first = client.cluster.housekeeping.cleaner._running
    await clean(client)
    assert client.cluster.housekeeping.cleaner._running is first


async def test_it_can_be_switched_off(client: Any) -> None:
    object.__setattr__(client.cluster.config, "log_cleaner_enable", False)
    await fill(client)
    await clean(client)
    assert len(client.read("flights")) == 8


async def test_memory_for_few_keys_takes_several_passes(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    read_keys = Compaction.read_keys
    monkeypatch.setattr(Compaction, "read_keys", lambda run: passes.append(1) or read_keys(run))
    object.__setattr__(client.cluster.config, "log_cleaner_dedupe_buffer_size", 1)
    await client.create("planes", min_cleanable_dirty_ratio="0", **COMPACT)
    await fill(client, "planes")
    await clean(client)
    assert client.read("planes") == ["5", "6", "7"]
    assert len(passes) > 1


async def test_what_an_open_transaction_may_take_back_stays(client: Any) -> None:
    """Not only in its own log: a cut goes on wherever transactions overlap."""
    other, writer = await client.init("other"), await client.init("t")
    await client.produce("input", "open", writer=other)
    await fill(client, writer=writer)
    await client.end(writer)
    await clean(client)
    assert len(client.read("flights")) == 8
    assert client.cluster.housekeeping.cleaner.awaits_quiet
    await client.end(other)
    assert not client.cluster.housekeeping.cleaner.awaits_quiet
    await clean(client)
    assert client.read("flights")[-1] == "7"
    assert len(client.read("flights")) < 8


async def test_what_was_settled_before_is_compacted_beside_open_transactions(client: Any) -> None:
    writer = await client.init("t")
    await fill(client, writer=writer)
    await client.end(writer)
    client.clock.now += 15_000
    client.cluster.housekeeping.cleaner._settle()
    await client.produce("input", "open", writer=writer)
    await clean(client)
    assert len(client.read("flights")) < 8


async def test_decisions_are_on_the_disk_before_they_are_compacted(client: Any) -> None:
    writer = await client.init("t")
    await fill(client, writer=writer)
    await client.produce("input", "a", writer=writer)
    await client.end(writer)
    await clean(client)
    assert all(source.recovery_point == source.log_end_offset for source in client.cluster.logs())


async def test_without_transactions_only_what_is_compacted_is_synced(client: Any) -> None:
    await client.produce("input", "a")
    await fill(client)
    await clean(client)
    assert client.cluster.log("input", 0).recovery_point == 0
    assert len(client.read("flights")) < 8


async def test_internal_topics_stay_small(folder: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaner, "ROLL_INTERNAL_BYTES", 2_000)
    await client.produce("input", *"abc" * 20)
    writer = await client.init("t")
    for offset in range(60):
        await client.produce("flights", str(offset), writer=writer)
        await client.send_offset(writer, "group", "input", offset)
        await client.end(writer)
        if offset % 20 == 19:
            await clean(client)
    await clean(client)
    sizes = [
        source.size_bytes
        for name in ("__consumer_offsets", "__transaction_state")
        for source in client.cluster.topics[name].partitions
    ]
    assert max(sizes) < 8_000
    folder.kill()
    again = folder.open()
    assert await again.offsets("group") == {("input", 0): 59}
    assert again.read("flights")[-1] == "59"
    writer = await again.init("t")
    await again.produce("flights", "60", writer=writer)
    assert await again.end(writer) == 0


async def test_a_topic_is_removed_while_it_is_compacted(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(client, count=30)
    removing: list[asyncio.Task[Any]] = []
    loop = asyncio.get_running_loop()
    begun = Compaction.read_keys

    def read_keys(run: Compaction) -> None:
        request = DeleteTopicsRequest([DeleteTopicState("flights")])
        removing.append(asyncio.run_coroutine_threadsafe(client.cluster.handle(request), loop))  # type: ignore[arg-type]
        begun(run)

    monkeypatch.setattr(Compaction, "read_keys", read_keys)
    await clean(client)
    answer = await asyncio.wrap_future(removing[0])  # type: ignore[arg-type]
    assert answer.responses[0].error_code == 0
    await client.create("flights", 1, **COMPACT)
    assert client.read("flights") == []


async def test_closing_ends_a_compaction(folder: Any, client: Any) -> None:
    await fill(client, count=30)
    client.clock.now += 15_000
    await client.cluster.flush_due()
    await client.cluster.close()
    assert not list(folder.path.glob("*/*.cleaned"))
    assert folder.open().read("flights")[-1] == "29"


async def test_a_disk_that_fails_leaves_the_log(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(fd: int, path: str) -> None:
        if path.endswith(".cleaned"):
            raise disk.storage_error(OSError(5, "Input/output error"), path, "fsync")

    await fill(client)
    with monkeypatch.context() as failing:
        failing.setattr(disk, "sync_file", fail)
        await clean(client)
    assert "flights-0 was not compacted" in caplog.text
    assert len(client.read("flights")) == 8
    await clean(client)
    assert len(client.read("flights")) == 8  # not again so soon
    client.clock.now += 600_000
    await clean(client)
    assert client.read("flights") == ["5", "6", "7"]


async def test_retention_leaves_alone_what_is_being_compacted(client: Any) -> None:
    await client.create("both", 1, cleanup_policy="compact,delete", internal_segment_bytes="200", retention_ms="1000")
    await fill(client, "both")
    source = client.cluster.log("both", 0)
    client.cluster.housekeeping.cleaner._busy_with = source
    client.clock.now += 10_000
    client.cluster.housekeeping.enforce_retention()
    assert source.log_start_offset == 0
    client.cluster.housekeeping.cleaner._busy_with = None
    client.cluster.housekeeping.enforce_retention()
    assert source.log_start_offset == 8
