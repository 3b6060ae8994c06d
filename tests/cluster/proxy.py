"""TCP proxies in front of brokers, so that connections can be cut and held up without a word to either side.

They run on an event loop in a thread of their own; all methods are called from others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

CHUNK_BYTES = 1 << 16


class Proxy:
    """From a port of its own to the one of a broker: connections through it are cut, refused or held."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target_port: int) -> None:
        self._loop = loop
        self._target_port = target_port
        self._open: set[asyncio.StreamWriter] = set()
        self._refuses = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def connections(self) -> int:
        """Open ones, each counted once."""
        return len(self._open) // 2

    def cut(self) -> None:
        """Resets all connections; new ones are let through."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Resets all connections, and new ones at once, until `allow`."""
        self._refuses = True
        self.cut()

    def hold(self) -> None:
        """Nothing passes any more in either direction, though everything stays open, until `allow`."""
        self._do(self._let_flow(False))

    def allow(self) -> None:
        """As at first."""
        self._refuses = False
        self._do(self._let_flow(True))

    def close(self) -> None:
        self._do(self._close())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _let_flow(self, flows: bool) -> None:
        (self._flows.set if flows else self._flows.clear)()

    async def _close(self) -> None:
        self._server.close()
        self._flows.set()
        await self._cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:  # the broker is away
            writer.transport.abort()
            return
        except BaseException:
            writer.transport.abort()
            raise
        ends = {writer, back}
        self._open |= ends
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Until either side ends; then the other one ends as well."""
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK_BYTES):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all() -> None:
    await _rounds()  # of a connection that has just come nobody would close what its task has not begun with
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await _rounds()  # what was aborted is closed in them


async def _rounds() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
