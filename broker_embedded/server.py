"""Listens on an address and hands each connection to `connection.py`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from broker_embedded.security.listeners import Listener

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.connection import Connection

log = logging.getLogger(__name__)

_SCRATCH_BYTES = 1 << 18
_BACKLOG = 1024


class Server:
    """One listener of a broker, and its connections.

    >>> import socket, tempfile
    >>> from pathlib import Path
    >>> from broker_embedded.cluster import Cluster
    >>> async def main() -> bool:
    ...     server = await Server.listen(Cluster.open(Path(tempfile.mkdtemp())), Listener())
    ...     reached = socket.create_connection((server.listener.host, server.port))
    ...     reached.close()
    ...     await server.close()
    ...     await server.cluster.close()
    ...     return server.port > 0
    >>> asyncio.run(main())
    True
    """

    def __init__(self, cluster: Cluster, listener: Listener) -> None:
        """Use `listen`."""
        self.cluster = cluster
        self.listener = listener
        self.loop = asyncio.get_running_loop()
        self.scratch = bytearray(_SCRATCH_BYTES)
        self.port = 0
        self._connections: set[Connection] = set()

    @classmethod
    async def listen(cls, cluster: Cluster, listener: Listener) -> Server:
        """Listen; port 0 takes a free one, which is in `port`. Raises OSError when the address is taken."""
        server = cls(cluster, listener)
        server._server = await server.loop.create_server(
            server._connect, listener.host, listener.port, ssl=listener.ssl_context(), backlog=_BACKLOG
        )
        server.port = server._server.sockets[0].getsockname()[1]
        return server

    _server: asyncio.Server

    def _connect(self) -> Connection:
        from broker_embedded.connection import Connection  # with the codec: not before somebody comes

        return Connection(self)

    @property
    def advertised(self) -> tuple[str, int]:
        """Host and port that clients are told."""
        return self.listener.advertised(self.port)

    def accept(self, connection: Connection) -> bool:
        """Whether one more connection may be; one too many is closed."""
        self._connections.add(connection)
        limit = self.cluster.config.max_connections
        if len(self._connections) > limit:
            connection.close(f"{limit} connections are open already (max.connections)")
            return False
        return True

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def close_idle(self) -> None:
        """Close the connections that were silent for `connections.max.idle.ms`."""
        limit = self.cluster.config.connections_max_idle_ms / 1000
        if limit > 0:
            now = self.loop.time()
            for connection in [one for one in self._connections if now - one.active_at > limit]:
                connection.close(f"silent for more than {limit:.0f} s (connections.max.idle.ms)")

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # lost connections say so in the next turn of the loop
        await self._server.wait_closed()
