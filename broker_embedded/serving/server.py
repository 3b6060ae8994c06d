"""Listens on an address and hands each connection to `connection.py`."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import TYPE_CHECKING

from broker_embedded.security.listeners import Listener
from broker_embedded.serving.limits import ConnectionLimits

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.serving.connection import Connection

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

    def __init__(self, cluster: Cluster, listener: Listener, limits: ConnectionLimits) -> None:
        """Use `listen`."""
        self.cluster = cluster
        self.listener = listener
        self.loop = asyncio.get_running_loop()
        self.scratch = bytearray(_SCRATCH_BYTES)
        self.port = 0
        self._limits = limits
        self._connections: dict[Connection, str] = {}  # each with the address it comes from
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._is_closing = False

    @classmethod
    async def listen(cls, cluster: Cluster, listener: Listener, limits: ConnectionLimits | None = None) -> Server:
        """Listen; port 0 takes a free one, which is in `port`. Servers of one broker share `limits`.

        Raises OSError when the address is taken.
        """
        server = cls(cluster, listener, limits or ConnectionLimits(cluster))
        port = listener.port if listener.host else listener.port or _free_port()
        server._server = await server.loop.create_server(
            server._connect, listener.host, port, ssl=listener.ssl_context(), backlog=_BACKLOG
        )
        server.port = server._server.sockets[0].getsockname()[1]
        return server

    _server: asyncio.Server

    def _connect(self) -> Connection:
        from broker_embedded.serving.connection import Connection  # with the codec: not before somebody comes

        return Connection(self)

    @property
    def advertised(self) -> tuple[str, int]:
        """Host and port that clients are told."""
        return self.listener.advertised(self.port)

    def add(self, connection: Connection) -> str | None:
        """Take one more connection; gives what is wrong with it, if anything: it is to be closed then."""
        host = connection.peer.rpartition(":")[0]
        self._connections[connection] = host
        self._none_left.clear()
        refusal = self._limits.add(host)
        return "the broker stops" if self._is_closing else refusal

    def forget(self, connection: Connection) -> None:
        """It is over: nothing of it is being handled any more."""
        self._limits.remove(self._connections.pop(connection))
        if not self._connections:
            self._none_left.set()

    def close_idle(self) -> None:
        """Close the connections whose clients were silent for `connections.max.idle.ms`."""
        limit_ms = self.cluster.config.connections_max_idle_ms
        if limit_ms <= 0:
            return
        latest = self.cluster.now_ms() - limit_ms
        for connection in [one for one in self._connections if one.active_ms < latest and one.is_idle]:
            if connection.is_closing:  # its client does not take what is left
                connection.abort()
            else:
                connection.close(f"silent for more than {limit_ms} ms (connections.max.idle.ms)", logging.INFO)

    async def close(self) -> None:
        """Stop listening, end every connection, and wait for what is being handled. A second call does nothing."""
        self._is_closing = True
        self._server.close()
        if sys.version_info >= (3, 13):
            self._server.abort_clients()  # those too whose TLS handshake is not over
        for connection in list(self._connections):
            connection.abort()
        await self._none_left.wait()


def _free_port() -> int:
    """One for all addresses: with port 0 the event loop would take one for IPv4 and another for IPv6."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
