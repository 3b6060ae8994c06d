"""Whatever comes in over a connection ends that connection or gets an answer; the broker goes on serving the others.

The inputs are bytes at random, and requests of every key and version, written by kio, with a change:
cut, bytes flipped, another length, key or version. A seed is an input; the slow suite takes 100,000 of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_embedded import handlers
from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.security.listeners import Listener
from broker_embedded.serving.server import Server
from tests.broker_embedded.memory_client import MemoryClient

CONFIG = BrokerConfig(auto_create_topics=True, socket_request_max_bytes=1 << 20, max_request_partition_size_limit=4)
API_VERSIONS = bytes.fromhex("00000011 0012 0000 0000002a 0007 63616e617279") + b"\0\0"  # with two bytes too many
TURNS = 6


async def talk(server: Server, data: bytes) -> bytearray:
    """What one connection is answered that sends `data`, waits a little and hangs up."""
    client = MemoryClient(server)
    while data and not client.transport.closed:
        data = client.feed_some(data)
    await client.settle(TURNS)
    await client.hang_up()
    return client.transport.written


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def an_input(kio: Any, seed: int) -> bytes:
    rng = random.Random(seed)
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(200))
    key = rng.choice(sorted(handlers.served()))
    first, last = handlers.served()[key]
    frame = bytearray(kio.frame(key, rng.randint(first, last), rng, rng.choice((0, 1, 1, 2))))
    change = rng.randrange(6)
    if change == 0:
        del frame[rng.randrange(len(frame)) :]
    elif change == 1:
        for _ in range(rng.randrange(1, 5)):
            frame[rng.randrange(len(frame))] = rng.randrange(256)
    elif change == 2:
        at = rng.randrange(len(frame))
        frame[at:at] = rng.randbytes(rng.randrange(1, 9))
    elif change == 3:
        struct.pack_into(">hh", frame, 0, rng.randrange(-2, 100), rng.randrange(-1, 20))
    elif change == 4:
        at = rng.randrange(max(1, len(frame) - 4))
        frame[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
    return framed(bytes(frame)) if rng.random() < 0.95 else bytes(frame)


def run(folder: Path, kio: Any, seeds: list[int], caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        cluster = Cluster.open(folder, config=CONFIG)
        server = await Server.listen(cluster, Listener())
        try:
            for number, seed in enumerate(seeds):
                caplog.clear()
                await talk(server, an_input(kio, seed))
                failed = [record for record in caplog.records if record.levelno >= logging.ERROR]
                assert not failed, f"seed {seed}: {failed[0].getMessage()} {failed[0].exc_info}"
                if number % 100 == 0:
                    answer = await talk(server, API_VERSIONS)
                    assert struct.unpack_from(">iih", answer, 0)[1:] == (42, 0), f"seed {seed}"
                    cluster.tick()
        finally:
            await server.close()
            await cluster.close()

    asyncio.run(main())


@given(seeds=st.lists(st.integers(0, 2**48), min_size=40, max_size=40))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(
    seeds: list[int], kio_messages: Any, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path_factory.mktemp("fuzz"), kio_messages(), seeds, caplog)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(int(os.environ.get("FUZZ_PARTS", "4"))))
def test_ten_thousand(part: int, kio_messages: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path, kio_messages(), list(range(part * 10_000, (part + 1) * 10_000)), caplog)
