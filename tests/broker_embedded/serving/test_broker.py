"""A whole broker in the test's own loop: several listeners, its clock, its start and its end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from broker_embedded import Broker, BrokerConfig, Listener
from broker_embedded.cluster import Cluster
from broker_embedded.lock import FolderInUseError
from broker_embedded.wire.messages.cluster import ApiVersionsRequest

INSIDE, OUTSIDE = Listener(name="INSIDE"), Listener(name="OUTSIDE")


async def ask(address: str, wire: Any) -> int:
    """An ApiVersions; its error code, -1 where the broker hangs up."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(wire.frame(ApiVersionsRequest("tests", "1")))
    try:
        return int.from_bytes((await reader.readexactly(10))[8:])
    except (asyncio.IncompleteReadError, ConnectionError):
        return -1
    finally:
        writer.close()


async def test_each_listener_has_an_address(tmp_path: Path, wire: Any) -> None:
    async with Broker.open(tmp_path, listeners=[INSIDE, OUTSIDE]) as broker:
        assert broker.bootstrap_servers == broker.address("INSIDE") != broker.address("OUTSIDE")
        assert [await ask(broker.address(name), wire) for name in ("INSIDE", "OUTSIDE")] == [0, 0]
        with pytest.raises(KeyError):
            broker.address("ELSEWHERE")


async def test_listeners_share_their_limits(tmp_path: Path, wire: Any) -> None:
    async with Broker.open(tmp_path, listeners=[INSIDE, OUTSIDE], config=BrokerConfig(max_connections=1)) as broker:
        host, _, port = broker.address("INSIDE").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        await wire.until(lambda: broker.servers[0]._connections)
        assert await ask(broker.address("OUTSIDE"), wire) == -1
        writer.close()
        await wire.until(lambda: not broker.servers[0]._connections)
        assert await ask(broker.address("OUTSIDE"), wire) == 0


async def test_nothing_is_left_open_when_a_port_is_taken(tmp_path: Path, wire: Any) -> None:
    async with Broker.open(tmp_path / "first") as first:
        taken = Listener(name="TAKEN", port=int(first.bootstrap_servers.partition(":")[2]))
        second = Broker.open(tmp_path / "second", listeners=[INSIDE, taken])
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        with pytest.raises(ConnectionRefusedError):
            await ask(f"127.0.0.1:{second.servers[0].port}", wire)
        async with Broker.open(tmp_path / "second"):
            pass


async def test_one_broker_per_folder(tmp_path: Path) -> None:
    async with Broker.open(tmp_path):
        with pytest.raises(FolderInUseError):
            Broker.open(tmp_path)


async def test_it_stops_once(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    broker = Broker.open(tmp_path)
    await broker.start()
    await broker.stop()
    await broker.stop()
    assert asyncio.all_tasks() == before


async def test_time_goes_on_when_something_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticks = 0
    told = asyncio.Event()

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 1:
            raise ZeroDivisionError
        told.set()

    async with Broker(Cluster.open(tmp_path), tick_interval_ms=0) as broker:
        monkeypatch.setattr(broker.cluster, "tick", tick)
        await told.wait()
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True]
