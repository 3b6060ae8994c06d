"""How many connections a broker has, on all its listeners together, and how many it may have."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


class ConnectionLimits:
    """Counts connections by the address they come from (Kafka: ConnectionQuotas).

    Kafka lets one above `max.connections` wait until another ends; here it is closed, so that its client knows.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._by_host: Counter[str] = Counter()

    def add(self, host: str) -> str | None:
        """Count one more from `host`; gives what is wrong with that, if anything: it is to be closed then."""
        self._by_host[host] += 1
        config = self._cluster.config  # clients may change it
        if self._by_host.total() > config.max_connections:
            return f"{config.max_connections} connections are open already (max.connections)"
        if self._by_host[host] > config.max_connections_per_ip:
            return f"{config.max_connections_per_ip} connections of {host} are open already (max.connections.per.ip)"
        return None

    def remove(self, host: str) -> None:
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]
