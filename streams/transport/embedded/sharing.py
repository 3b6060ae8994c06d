"""One broker per data folder and process: the first who needs it opens it, the last who lets go closes it.

It also serves the folder over loopback, so that other processes, and other event loops of this one, reach what they
can't open: on the port of the last holder if that is free, as whoever was connected then comes back there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from broker_embedded.cluster import Cluster
from broker_embedded.errors import KafkaError
from broker_embedded.security.listeners import Listener
from broker_embedded.serving.server import Server
from streams.transport.contract import TransportError

log = logging.getLogger(__name__)


class OpenElsewhereError(TransportError):
    """Another event loop of this process has the folder open, and serves it at `address` if that is not None."""

    def __init__(self, data_dir: Path, address: str | None) -> None:
        super().__init__(
            f"{data_dir} is open in another event loop of this process. Use one loop, or a folder for each; a client "
            "(app.client()) reaches it from any loop."
        )
        self.address = address


class SharedCluster:
    """An open cluster, how many use it, its server, and the task that tells it the time."""

    def __init__(self, data_dir: Path, cluster: Cluster) -> None:
        self.data_dir = data_dir
        self.cluster = cluster
        self._loop = asyncio.get_running_loop()
        self._users = 0
        self._starting = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None
        self._server: Server | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def acquire(
        cls, data_dir: Path, opener: Callable[[], Cluster], tick_interval_ms: int | None
    ) -> SharedCluster:
        """The cluster over `data_dir`, from `opener` if nobody has it open.

        Without `tick_interval_ms` it has no clock and no server. Raises FolderInUseError, OpenElsewhereError.
        """
        while (shared := _open.get(data_dir)) is not None:
            if shared._loop is not asyncio.get_running_loop():
                raise OpenElsewhereError(data_dir, shared._address)
            if shared._closing is None:
                break
            await asyncio.wait([shared._closing])
        if shared is None:
            shared = _open[data_dir] = cls(data_dir, opener())
        shared._users += 1
        try:
            await shared._start(tick_interval_ms)
        except BaseException:
            await shared.release()
            raise
        return shared

    async def _start(self, tick_interval_ms: int | None) -> None:
        async with self._starting:
            if tick_interval_ms is None or self._ticker is not None:
                return
            self._server = await _serve(self.cluster)
            self._ticker = asyncio.create_task(_tick(self.cluster, self._server, tick_interval_ms))
            self._ticker.add_done_callback(_report)

    @property
    def _address(self) -> str | None:
        return None if self._server is None else "{}:{}".format(*self._server.advertised)

    async def release(self) -> None:
        """Let go; the last one closes the cluster, to the end even if it is cancelled."""
        self._users -= 1
        if self._users == 0:
            self._closing = asyncio.create_task(self._close())
            await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            if self._ticker is not None:
                self._ticker.cancel()
                await asyncio.wait([self._ticker])
            if self._server is not None:
                await self._server.close()
            await self.cluster.close()
        finally:
            del _open[self.data_dir]


_open: dict[Path, SharedCluster] = {}


async def _serve(cluster: Cluster) -> Server:
    lock = cluster.folder.lock
    last = int(lock.last_address.rpartition(":")[2]) if lock.last_address else 0
    try:
        server = await Server.listen(cluster, Listener(port=last))
    except OSError:  # somebody else has that port now
        server = await Server.listen(cluster, Listener())
    cluster.listeners[server.listener.name] = server.advertised
    lock.announce("{}:{}".format(*server.advertised))
    return server


async def _tick(cluster: Cluster, server: Server, interval_ms: int) -> None:
    while True:
        await asyncio.sleep(interval_ms / 1000)
        try:
            cluster.tick()
            await cluster.flush_due()
        except KafkaError:
            log.exception("the broker over %s could not do its periodic work", cluster.folder.path)
        server.close_idle()


def _report(ticker: asyncio.Task[None]) -> None:
    if not ticker.cancelled() and (error := ticker.exception()) is not None:
        log.error("the embedded broker's clockwork has stopped", exc_info=error)
