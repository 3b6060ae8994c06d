"""Apache Kafka of one broker or several on loopback, whose brokers can be killed, frozen and started again.

Each node is broker and controller, so of three one may be away at a time. With three, everything has three replicas and
takes writes while two are in sync.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tests.interop.apache_kafka import ApacheKafka, free_port

_WITHIN_S = 60.0
_CLIENT_TIMEOUT_S = 5.0
_QUICK = {
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controller.quorum.election.timeout.ms": "500",
    "replica.lag.time.max.ms": "3000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
}
"""A broker that is gone is missed within three seconds."""


class KafkaCluster:
    """`brokers` nodes with ids from 1 on; `config` has Kafka's names and goes over the fixture's own.

    Not started; `running_cluster` does that. All methods block: under asyncio, call them by `asyncio.to_thread`.
    """

    def __init__(
        self,
        folder: Path,
        brokers: int = 3,
        config: Mapping[str, str] | None = None,
        *,
        of_node: Callable[[int], Mapping[str, str]] = lambda node: {},
    ) -> None:
        """`of_node` gives what only one node has."""
        ids = range(1, brokers + 1)
        voters = ",".join(f"{node}@127.0.0.1:{free_port()}" for node in ids)
        common = (
            _QUICK
            | _replication(brokers)
            | {"controller.quorum.voters": voters, "cluster.id": _cluster_id()}
            | dict(config or {})
        )
        self.nodes = {
            node: ApacheKafka(folder / str(node), common | {"node.id": str(node)} | dict(of_node(node))) for node in ids
        }
        self.away: set[int] = set()
        self._admin: Any = None

    @property
    def bootstrap(self) -> str:
        """host:port of each node, also of those that are away."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self) -> None:
        """Returns when all nodes answer: some 6 s."""
        for broker in self.nodes.values():
            broker.launch()
        for broker in self.nodes.values():
            broker.wait()
        self.wait_for(lambda: len(self.metadata().brokers) == len(self.nodes), "all brokers are there")

    def stop(self) -> None:
        """Ends all nodes at once: one after the other, the last would have no quorum to say goodbye to."""
        for node, broker in self.nodes.items():
            if node not in self.away:
                broker.kill()
        self.away = set(self.nodes)

    # Faults

    def kill(self, node: int) -> None:
        """As a power switch would."""
        self.nodes[node].kill()
        self.away.add(node)

    def restart(self, node: int) -> None:
        """A killed node, at the same address and over the same folder; returns when it answers."""
        self.nodes[node].start()
        self.away.discard(node)

    def freeze(self, node: int) -> None:
        """It keeps its connections, and does not answer (SIGSTOP)."""
        os.kill(self.nodes[node].pid, signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """It goes on (SIGCONT)."""
        os.kill(self.nodes[node].pid, signal.SIGCONT)

    @contextmanager
    def without(self, node: int) -> Iterator[None]:
        """A node is killed for as long as the block lasts; afterwards it is back and in sync."""
        self.kill(node)
        try:
            yield
        finally:
            self.restart(node)
            self.wait_until_in_sync()

    # Looking at it

    def metadata(self, topic: str | None = None) -> Any:
        """What the brokers say of brokers and topics (confluent-kafka's ClusterMetadata)."""
        if self._admin is None:
            from confluent_kafka.admin import AdminClient

            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "logger": None, "log_level": 0})
        return self._admin.list_topics(topic, timeout=_CLIENT_TIMEOUT_S)

    def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition, -1 where nobody does."""
        found: int = self.metadata(topic).topics[topic].partitions[partition].leader
        return found

    def group_coordinator(self, group: str) -> int:
        """The node that coordinates a consumer group."""
        return self._coordinator("__consumer_offsets", group)

    def transaction_coordinator(self, transactional_id: str) -> int:
        """The node that coordinates a transactional id."""
        return self._coordinator("__transaction_state", transactional_id)

    def _coordinator(self, topic: str, name: str) -> int:
        partitions = len(self.metadata(topic).topics[topic].partitions)
        return self.leader(topic, abs(_java_hash(name)) % partitions)

    def wait_until_in_sync(self) -> None:
        """Returns when every partition has a leader and all its replicas in sync."""
        self.wait_for(self._is_in_sync, "all replicas are in sync")

    def _is_in_sync(self) -> bool:
        topics = self.metadata().topics.values()
        rows = [row for topic in topics for row in topic.partitions.values()]
        return all(row.leader > 0 and len(row.isrs) == len(row.replicas) for row in rows)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Returns when `condition` holds. Raises TimeoutError after a minute."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + _WITHIN_S
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except KafkaException:  # nobody answered this time
                pass
            time.sleep(0.1)
        raise TimeoutError(f"not within {_WITHIN_S:.0f} s: {what}")


def _replication(brokers: int) -> dict[str, str]:
    replicas, in_sync = str(min(3, brokers)), str(min(2, brokers))
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _cluster_id() -> str:
    """As Kafka's Uuid: base64 for URLs."""
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(UUID(int=uuid4().int >> 1).bytes).decode().rstrip("=")


def _java_hash(text: str) -> int:
    """Java's String.hashCode, by which a coordinator is found.

    >>> _java_hash("shop-0"), _java_hash("hello")
    (-903152871, 99162322)
    """
    value = 0
    for unit in text:
        value = (31 * value + ord(unit)) & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


@contextmanager
def running_cluster(folder: Path, brokers: int = 3, config: Mapping[str, str] | None = None) -> Iterator[KafkaCluster]:
    """A started cluster, which ends with the block whatever happened to its nodes."""
    cluster = KafkaCluster(folder, brokers, config)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
