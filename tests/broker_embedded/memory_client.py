"""A connection of a server without a socket."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from broker_embedded.serving.connection import Connection
from broker_embedded.serving.server import Server


class MemoryTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.writes = 0
        self.closed = self.reading_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.written += data
        self.writes += 1

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False


class MemoryClient:
    """A connection without a socket: bytes come exactly as they are fed."""

    def __init__(self, server: Server) -> None:
        self.transport = MemoryTransport()
        self.connection = Connection(server)
        self.connection.connection_made(self.transport)

    def feed(self, data: bytes) -> None:
        while data:
            data = self.feed_some(data)

    def feed_some(self, data: bytes) -> bytes:
        """As much as the connection takes at once; gives the rest."""
        buffer = self.connection.get_buffer(-1)
        taken = min(len(buffer), len(data))
        buffer[:taken] = data[:taken]
        self.connection.buffer_updated(taken)
        return data[taken:]

    async def settle(self, turns: int = 20) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    def numbers(self) -> list[int]:
        """The correlation ids of the answers so far."""
        found, at, data = [], 0, self.transport.written
        while at < len(data):
            size, number = struct.unpack_from(">ii", data, at)
            found.append(number)
            at += 4 + size
        return found

    async def hang_up(self) -> None:
        self.transport.closed = True
        self.connection.connection_lost(None)
        await self.settle(3)
