"""Who leads which partition, by the cluster's metadata: from memory where it is known, else asked for."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from broker_embedded.wire.messages.topics import MetadataResponse
from streams.transport.contract import ConnectionLostError, TopicPartition, UnknownTopicError
from streams.transport.error_codes import MISSING, RetryError, check

T = TypeVar("T")

ANY = -1
"""Instead of a broker's id: whichever."""
_WITHIN_MS = 5_000


class KafkaTopic(msgspec.Struct, frozen=True):
    """A topic as the cluster's metadata has it: its id, the leader of each partition, how many replicas there are."""

    name: str
    id: Any
    leaders: dict[int, int]
    replicas: int = 1


class AsksMetadata(Protocol):
    """The connection, as far as it is needed here."""

    def any_node(self) -> int | None:
        """A broker that is known."""

    async def metadata_of(
        self, names: Sequence[str] | None, node: int = ANY, timeout_ms: int | None = None
    ) -> MetadataResponse:
        """What one broker says of topics, or of all."""
        ...

    async def retry(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, asked again while that may help."""
        ...


class Leaders:
    """Of the topics of a cluster. What is older than `max_age_ms` is asked for again."""

    def __init__(self, asks: AsksMetadata, max_age_ms: int) -> None:
        self._asks = asks
        self._max_age_s = max_age_ms / 1000
        self._topics: dict[str, KafkaTopic] = {}
        self._learned_s = time.monotonic()
        self._nodes: set[int] = set()
        """Ids of all brokers that were ever there."""

    def forget(self) -> None:
        """Ask again next time."""
        self._topics.clear()

    async def topics(self, names: Iterable[str]) -> dict[str, KafkaTopic]:
        """Those of `names` that exist. Raises TransportError for a forbidden one."""
        names = list(names)
        if time.monotonic() - self._learned_s > self._max_age_s:
            self._topics.clear()
        found = {name: self._topics[name] for name in names if name in self._topics}
        missing = [name for name in names if name not in found]
        if missing:  # while this is awaited, somebody else may forget what was known
            found |= await self._asks.retry(lambda: self._learn(missing))
        return found

    async def by_leader(self, tps: Iterable[TopicPartition]) -> dict[int, list[tuple[KafkaTopic, list[int]]]]:
        """The partitions of each leader. Raises UnknownTopicError, RetryError for one without a leader."""
        tps = list(tps)
        topics = await self.topics({tp.topic for tp in tps})
        found: dict[int, dict[str, list[int]]] = {}
        for tp in tps:
            topic = topics.get(tp.topic)
            if topic is None or tp.partition not in topic.leaders:
                self.forget()
                raise UnknownTopicError(f"{tp}: there is no such partition")
            leader = topic.leaders[tp.partition]
            if leader < 0:
                self.forget()
                raise RetryError(f"{tp} has no leader")
            found.setdefault(leader, {}).setdefault(tp.topic, []).append(tp.partition)
        return {node: [(topics[name], rows) for name, rows in names.items()] for node, names in found.items()}

    async def _learn(self, names: Sequence[str]) -> dict[str, KafkaTopic]:
        """Brokers hear of a new topic one after the other, and one that has just started may have heard of none: what
        one does not know is asked of the others. A topic is not there when most brokers say so.
        """
        found: dict[str, KafkaTopic] = {}
        missing, said, lost = list(names), 0, None
        first = self._asks.any_node()
        for node in [first if first is not None else ANY, *sorted(self._nodes - {first})]:
            try:
                answer = await self._asks.metadata_of(missing, node, _WITHIN_MS)
            except ConnectionLostError as error:
                lost = error
                continue
            said += 1
            found |= self._remember(answer)
            missing = [name for name in names if name not in found]
            if not missing:
                return found
        if 2 * said <= len(self._nodes):
            raise lost or RetryError(f"topics {', '.join(missing)}: one broker of several does not know them")
        return found

    def _remember(self, answer: MetadataResponse) -> dict[str, KafkaTopic]:
        self._nodes.update(broker.node_id for broker in answer.brokers)
        if not self._topics:
            self._learned_s = time.monotonic()
        found = {}
        for row in answer.topics:
            if row.error_code not in MISSING:
                check(row.error_code, f"topic {row.name!r}")
                leaders = {part.partition_index: part.leader_id for part in row.partitions}
                replicas = min((len(part.replica_nodes) for part in row.partitions), default=1)
                found[row.name or ""] = KafkaTopic(row.name or "", row.topic_id, leaders, replicas)
        self._topics |= found
        return found
