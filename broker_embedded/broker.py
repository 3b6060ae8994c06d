"""A whole broker: a cluster, the addresses it listens on, and the clock that tells it the time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.security.listeners import Listener, exposure_warning
from broker_embedded.serving.limits import ConnectionLimits
from broker_embedded.serving.server import Server

log = logging.getLogger(__name__)

_HELD_UP_S = 1.0
_GRACE_S = 5.0


class Broker:
    """Serves a data folder on one or several listeners. An async context manager.

    >>> import tempfile
    >>> async def main() -> str:
    ...     async with Broker(Cluster.open(Path(tempfile.mkdtemp()))) as broker:
    ...         return broker.bootstrap_servers.partition(":")[0]
    >>> asyncio.run(main())
    '127.0.0.1'
    """

    def __init__(
        self,
        cluster: Cluster,
        listeners: Sequence[Listener] = (Listener(),),
        *,
        tick_interval_ms: int = 100,
        preferred_port: int = 0,
    ) -> None:
        """A listener with port 0 gets `preferred_port` if that is free, else any that is."""
        self.cluster = cluster
        self._listeners = listeners
        self._tick_interval_ms = tick_interval_ms
        self._preferred_port = preferred_port
        self.servers: list[Server] = []
        self._clock: asyncio.Task[None] | None = None

    @classmethod
    def open(
        cls, data_dir: Path, *, config: BrokerConfig | None = None, listeners: Sequence[Listener] = (Listener(),)
    ) -> Broker:
        """A broker over `data_dir`, not started. Raises FolderInUseError."""
        return cls(Cluster.open(data_dir, config=config), listeners)

    async def start(self) -> None:
        """Listen. Raises OSError when an address is taken; then nothing is left open."""
        try:
            await self.serve()
        except BaseException:
            await self.cluster.close()
            raise

    async def serve(self) -> None:
        """`start` for who goes on with the cluster if it fails: then nobody listens."""
        limits = ConnectionLimits(self.cluster)
        try:
            for listener in self._listeners:
                server = await self._listen(listener, limits)
                self.servers.append(server)
                self.cluster.listeners[listener.name] = server.advertised
                warning = exposure_warning(listener, server.port)
                if warning is not None:
                    log.warning("%s", warning)
        except BaseException:
            await self._close_servers()
            raise
        self.cluster.folder.lock.announce(self.bootstrap_servers)
        self._clock = asyncio.create_task(self._tell_time())

    async def _listen(self, listener: Listener, limits: ConnectionLimits) -> Server:
        if self._preferred_port and listener.port == 0:
            with suppress(OSError):  # somebody else has that port now
                return await Server.listen(self.cluster, replace(listener, port=self._preferred_port), limits)
        return await Server.listen(self.cluster, listener, limits)

    async def stop(self) -> None:
        """End every connection, write everything down, give the folder back."""
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait([self._clock])
        await self._close_servers()
        await self.cluster.close()

    async def _close_servers(self) -> None:
        for server in self.servers:
            await server.close()
        self.cluster.listeners.clear()

    async def __aenter__(self) -> Broker:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """The address of the first listener, as clients want it: host:port."""
        host, port = self.servers[0].advertised
        return f"{host}:{port}"

    def address(self, listener: str) -> str:
        """The address of the listener of that name. Raises KeyError."""
        host, port = self.cluster.listeners[listener]
        return f"{host}:{port}"

    async def _pause(self) -> None:
        """Until the next tick. Where something has held up the event loop, those that it serves could show no sign of
        life either: they have as long again, up to `_GRACE_S`, before anybody is taken for gone.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + self._tick_interval_ms / 1000
        await asyncio.sleep(self._tick_interval_ms / 1000)
        late_s = loop.time() - due
        if late_s > _HELD_UP_S:
            log.debug("the event loop was held up for %.1f s", late_s)
            await asyncio.sleep(min(late_s, _GRACE_S))

    async def _tell_time(self) -> None:
        while True:
            await self._pause()
            try:
                self.cluster.tick()
                await self.cluster.flush_due()
            except Exception:  # the next time may do better, and much else depends on the time
                log.exception("the broker over %s could not do its periodic work", self.cluster.folder.path)
            for server in self.servers:
                server.close_idle()
