"""Three brokers that their clients reach in two ways: directly, as tests do, and through proxies, as workers do.

The brokers among themselves go the direct way, so that a cut between workers and brokers is no cut within the cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.kafka_cluster import KafkaCluster
from tests.cluster.proxy import Proxy, running_loop
from tests.interop.apache_kafka import free_port

CONFIG = {
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}
"""A transaction that has timed out is ended within a second more."""


class ProxiedCluster(KafkaCluster):
    """`bootstrap` is the direct way, `proxied` the other; `proxies` are by the number of their node."""

    def __init__(
        self,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        brokers: int = 3,
        config: Mapping[str, str] | None = None,
    ) -> None:
        ports = {node: free_port() for node in range(1, brokers + 1)}
        self.proxies = {node: Proxy(loop, port) for node, port in ports.items()}
        super().__init__(
            folder,
            brokers,
            CONFIG | dict(config or {}),
            of_node=lambda node: self._listeners(free_port(), ports[node], node),
        )

    def _listeners(self, direct: int, behind: int, node: int) -> dict[str, str]:
        def both(other: int) -> str:
            return f"PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{other}"

        return {"listeners": both(behind), "advertised.listeners": both(self.proxies[node].port)}

    @property
    def proxied(self) -> str:
        """host:port of each proxy."""
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies.values())

    def mend(self) -> None:
        """Every broker is there and in sync again, and every proxy lets through."""
        for proxy in self.proxies.values():
            proxy.allow()
        for node in sorted(self.away):
            self.restart(node)
        self.wait_until_in_sync()

    def stop(self) -> None:
        super().stop()
        for proxy in self.proxies.values():
            proxy.close()


@contextmanager
def running_proxied_cluster(
    folder: Path, brokers: int = 3, config: Mapping[str, str] | None = None
) -> Iterator[ProxiedCluster]:
    """A started cluster, which ends with the block whatever happened to its nodes."""
    with running_loop() as loop:
        cluster = ProxiedCluster(folder, loop, brokers, config)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
