"""One broker per data folder and process: the first who needs it opens it, the last who lets go closes it.

It also serves the folder over loopback, so that other processes, and other event loops of this one, reach what they
can't open: on the port of the last holder if that is free, as whoever was connected then comes back there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from broker_embedded.broker import Broker
from broker_embedded.cluster import Cluster
from streams.transport.contract import TransportError


class OpenElsewhereError(TransportError):
    """Another event loop of this process has the folder open, and serves it at `address` if that is not None."""

    def __init__(self, data_dir: Path, address: str | None) -> None:
        super().__init__(
            f"{data_dir} is open in another event loop of this process. Use one loop, or a folder for each; a client "
            "(app.client()) reaches it from any loop."
        )
        self.address = address


class SharedCluster:
    """An open cluster, how many use it, and the broker that serves it and tells it the time."""

    def __init__(self, data_dir: Path, cluster: Cluster) -> None:
        self.data_dir = data_dir
        self.cluster = cluster
        self._loop = asyncio.get_running_loop()
        self._users = 0
        self._starting = asyncio.Lock()
        self._broker: Broker | None = None
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
            if tick_interval_ms is None or self._broker is not None:
                return
            last = self.cluster.folder.lock.last_address
            last_port = int(last.rpartition(":")[2]) if last else 0
            broker = Broker(self.cluster, tick_interval_ms=tick_interval_ms, preferred_port=last_port)
            await broker.serve()
            self._broker = broker

    @property
    def _address(self) -> str | None:
        return None if self._broker is None else self._broker.bootstrap_servers

    async def release(self) -> None:
        """Let go; the last one closes the cluster, to the end even if it is cancelled."""
        self._users -= 1
        if self._users == 0:
            self._closing = asyncio.create_task(self._close())
            await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await (self.cluster.close() if self._broker is None else self._broker.stop())
        finally:
            del _open[self.data_dir]


_open: dict[Path, SharedCluster] = {}
