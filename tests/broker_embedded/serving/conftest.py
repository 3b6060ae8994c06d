"""A server over a temporary folder, and clients that speak frames to it: over sockets, or byte by byte in memory."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from broker_embedded import records
from broker_embedded.security.listeners import Listener
from broker_embedded.serving.connection import Connection
from broker_embedded.serving.server import Server
from broker_embedded.wire import codec, frames
from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.records import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.broker_embedded.memory_client import MemoryClient

TOPIC = "flights"
VERSIONS = {0: 9, 1: 11, 3: 9, 11: 5, 18: 3}


def frame(request: Request, correlation_id: int = 1, version: int | None = None, client_id: str = "raw") -> bytes:
    """A whole request as it is sent."""
    key = request.api_key
    version = VERSIONS[key] if version is None else version
    body = codec.encode_request(key, version, request)
    return b"".join(frames.request_frame(key, version, correlation_id, client_id, body))


def produce(*values: str, acks: int = 1, topic: str = TOPIC) -> ProduceRequest:
    batch = records.encode([None] * len(values), [value.encode() for value in values], [0] * len(values))
    return ProduceRequest(None, acks, topic_data=[TopicProduceData(topic, None, [PartitionProduceData(0, batch)])])


def fetch(offset: int = 0, max_wait_ms: int = 3_600_000) -> FetchRequest:
    return FetchRequest(max_wait_ms, topics=[FetchTopic(TOPIC, None, [FetchPartition(0, offset)])])


def values(response: Any) -> list[str]:
    """The values in a Fetch of one partition."""
    data = response.responses[0].partitions[0].records or b""
    return [
        (value or b"").decode() for batch in records.batches(bytes(data)) for value in records.decode(batch[1]).values()
    ]


@dataclass
class RawClient:
    """A socket. `send` gives the requests numbers, `receive` the answers with theirs, in the order of the wire."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: dict[int, tuple[int, int]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: count(1))

    def send(self, *requests: Request, version: int | None = None, client_id: str = "raw") -> None:
        data = b""
        for request in requests:
            number = next(self.numbers)
            key = request.api_key
            self.asked[number] = key, VERSIONS[key] if version is None else version
            data += frame(request, number, version, client_id)
        self.writer.write(data)

    async def receive(self) -> tuple[int, Any]:
        size = struct.unpack(">i", await self.reader.readexactly(4))[0]
        data = await self.reader.readexactly(size)
        number = struct.unpack_from(">i", data)[0]
        key, version = self.asked[number]
        return number, codec.decode_response(key, version, data, frames.response_body_position(data, key, version))

    async def ask(self, request: Request, version: int | None = None) -> Any:
        self.send(request, version=version)
        return (await self.receive())[1]

    async def is_closed(self) -> bool:
        """Whether the broker has hung up; waits until there is an answer, or that."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def hang_up(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):  # the broker was first
            await self.writer.wait_closed()


@dataclass
class Served:
    """A broker's cluster, one server of it, its clock, and clients."""

    client: Any  # see the client of the cluster's tests
    server: Server
    opened: list[RawClient] = field(default_factory=list)

    @property
    def cluster(self) -> Any:
        return self.client.cluster

    @property
    def clock(self) -> Any:
        return self.client.clock

    async def connect(self, limit: int = 1 << 16) -> RawClient:
        streams = await asyncio.open_connection(self.server.listener.host, self.server.port, limit=limit)
        self.opened.append(RawClient(*streams))
        return self.opened[-1]

    def in_memory(self) -> MemoryClient:
        return MemoryClient(self.server)

    def connections(self) -> list[Connection]:
        return list(self.server._connections)


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
async def serve(folder: Any) -> AsyncIterator[Callable[..., Any]]:
    """`await serve(**config)` gives a server over the test's folder, with the topic `flights`."""
    started: list[Served] = []

    async def start(**config: Any) -> Served:
        client = folder.open(**config)
        if TOPIC not in client.cluster.topics:
            await client.create(TOPIC)
        started.append(Served(client, await Server.listen(client.cluster, Listener())))
        return started[-1]

    yield start
    for served in started:
        for client in served.opened:
            await client.hang_up()
        await served.server.close()


@pytest.fixture
async def served(serve: Any) -> Served:
    found: Served = await serve()
    return found


@pytest.fixture
def wire() -> Any:
    """What tests write requests with and read answers with."""
    return Wire


class Wire:
    frame, produce, fetch, values, until = map(staticmethod, (frame, produce, fetch, values, until))
    memory = MemoryClient
