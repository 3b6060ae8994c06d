"""The broker: topics, coordinators, and the way of a request to its handler. The one owner of state.

Everything happens on one event loop, so there are no locks; what must wait for a disk does so in a thread, and whoever
depends on the order says so (`Transaction.ending`). Time comes in from outside: `now_ms`, and `tick` when the caller
thinks it is due.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

from broker_embedded import handlers
from broker_embedded.config import BrokerConfig
from broker_embedded.coordinator.groups.registry import Groups
from broker_embedded.coordinator.offsets import Offsets
from broker_embedded.coordinator.transactions.registry import Transactions
from broker_embedded.durability import Durability
from broker_embedded.errors import (
    InvalidRequestError,
    KafkaStorageError,
    TopicAlreadyExistsError,
    UnknownTopicIdError,
    UnknownTopicOrPartitionError,
)
from broker_embedded.fetching.sessions import FetchSessions
from broker_embedded.folder import DataFolder
from broker_embedded.handlers import LOCAL, RequestContext
from broker_embedded.housekeeping import Housekeeping
from broker_embedded.metadata.log import METADATA_TOPIC
from broker_embedded.progress import Progress
from broker_embedded.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, Topic

if TYPE_CHECKING:
    from broker_embedded.faults import Faults
    from broker_embedded.log.partition import PartitionLog
    from broker_embedded.records import BatchHeader
    from broker_embedded.security.authorizer import Authorizer
    from broker_embedded.wire.messages import Request

log = logging.getLogger(__name__)


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Endpoint(NamedTuple):
    """A broker as clients see it; port -1 where nobody listens."""

    node_id: int
    host: str
    port: int


class Cluster:
    """One broker over one data folder.

    >>> import tempfile
    >>> from broker_embedded.wire.messages.topics import (CreatableTopic, CreateTopicsRequest)
    >>> async def main() -> list[str]:
    ...     cluster = Cluster.open(Path(tempfile.mkdtemp()))
    ...     await cluster.handle(CreateTopicsRequest([CreatableTopic("flights", num_partitions=2)]))
    ...     await cluster.close()
    ...     return sorted(name for name, topic in cluster.topics.items() if not topic.is_internal)
    >>> asyncio.run(main())
    ['flights']
    """

    def __init__(self, folder: DataFolder, config: BrokerConfig, now_ms: Callable[[], int]) -> None:
        """Use `open`."""
        self.config = config  # what is in force; made anew when a client sets something
        self.static_config = config  # what the broker was opened with
        self.now_ms = now_ms
        self.folder = folder
        self.metadata = folder.metadata
        self.topics: dict[str, Topic] = {}
        self._by_id: dict[UUID | None, Topic] = {}
        self._leaving: set[str] = set()  # names of topics of which not everything is removed yet
        self.offsets = Offsets(self)
        self.groups = Groups(self)
        self.transactions = Transactions(self)
        self.housekeeping = Housekeeping(self)
        self.fetch_sessions = FetchSessions(self)
        self.faults: Faults | None = None
        self.listeners: dict[str, tuple[str, int]] = {}  # name -> advertised host and port, while somebody listens
        self.authorizer: Authorizer | None = None  # without one, everybody may do everything
        self.progress = Progress()
        self.durability = Durability(self)
        self._stopped: str | None = None

    @classmethod
    def open(
        cls, data_dir: Path, *, config: BrokerConfig | None = None, now_ms: Callable[[], int] = wall_clock_ms
    ) -> Cluster:
        """Take the folder (made if missing), recover its logs, finish what was decided and not finished.

        Raises FolderInUseError when another process, or this one, serves the folder.
        """
        config = config or BrokerConfig()
        cluster = cls(DataFolder.take(data_dir, config.node_id, now_ms), config, now_ms)
        try:
            cluster._load()
        except BaseException:
            cluster.folder.release()
            raise
        return cluster

    def _load(self) -> None:
        folder = self.folder
        if any(self.metadata.broker_configs(node) for node in ("", self.config.node_id)):
            from broker_embedded.configs.broker import apply_dynamic  # the table of all settings takes its time

            apply_dynamic(self)
        self.topics = folder.open_topics(self.config, self.now_ms)
        config = self.config
        internal = {
            OFFSETS_TOPIC: (config.offsets_topic_num_partitions, config.offsets_topic_segment_bytes),
            TRANSACTIONS_TOPIC: (config.transaction_state_num_partitions, config.transaction_state_log_segment_bytes),
        }
        self.add_topics(
            [
                Topic(name, uuid4(), count, {"cleanup.policy": "compact", "segment.bytes": str(segment_bytes)})
                for name, (count, segment_bytes) in internal.items()
                if name not in self.topics
            ]
        )
        self.offsets.load()
        self.transactions.load()
        if not folder.was_clean:
            self._agree()
        self.transactions.reconcile()
        if not folder.was_clean:
            self.offsets.clamp()
        self.groups.load()
        if self.config.properties.get("authorizer.class.name"):
            from broker_embedded.security.acl_store import open_authorizer  # few brokers have one

            open_authorizer(self)

    def _agree(self) -> None:
        from broker_embedded.coordinator.agreement import restore_agreement  # after a crash only

        restore_agreement(self)
        if self.config.sync_on_commit:  # commits sync partitions; see the rules in agreement.py
            for source in self.topics[TRANSACTIONS_TOPIC].partitions:
                source.sync()
        # A log that was cut shorter than its recovery point goes on with bytes that are not on the disk.
        self.folder.write_checkpoints(list(self.logs()))

    async def handle(self, request: Request, context: RequestContext = LOCAL) -> Any:
        """Answer one request. What goes wrong with a part of it is an error code in the answer's row of that part."""
        self.check_serving()
        handle = handlers.find(request.api_key)
        if self.authorizer is not None and not context.in_process:
            from broker_embedded.security.rules import guarded  # few brokers have them

            handle = guarded(self.authorizer, handle)
        if self.faults is not None:
            return await self.faults.handle(self, request, context, lambda: handle(self, request, context))
        return await handle(self, request, context)

    def advertised(self, context: RequestContext) -> Endpoint:
        """Where a client finds this broker: the address of the listener it came by."""
        host, port = self.listeners.get(context.session.listener) or next(iter(self.listeners.values()), ("", -1))
        return Endpoint(self.config.node_id, host, port)

    def check_serving(self) -> None:
        """Raise KafkaStorageError once the broker is closed or its disk has failed."""
        if self._stopped is not None:
            raise KafkaStorageError(self._stopped)

    def stop_serving(self, reason: str) -> None:
        """From now on every request fails with that."""
        self._stopped = f"the broker over {self.folder.path} {reason}"

    # Topics and partitions

    def topic(self, name: str | None, topic_id: UUID | None = None) -> Topic:
        """A topic by name, or else by id. Raises UnknownTopicOrPartitionError, UnknownTopicIdError."""
        if name:
            found = self.topics.get(name)
            if found is None:
                raise UnknownTopicOrPartitionError(f"topic {name!r} does not exist")
            return found
        found = self._by_id.get(topic_id)
        if found is None or self.topics.get(found.name) is not found:  # unknown, or deleted since
            self._by_id = {topic.id: topic for topic in self.topics.values()}
            found = self._by_id.get(topic_id)
        if found is None:
            raise UnknownTopicIdError(f"no topic has id {topic_id}")
        return found

    def add_topics(self, topics: Sequence[Topic]) -> None:
        """Make new topics, all or none. Raises TopicAlreadyExistsError."""
        for topic in topics:
            self.check_free(topic.name)
        if topics:
            self.folder.create(topics, self.config, self.now_ms)
            self.topics.update({topic.name: topic for topic in topics})

    def check_free(self, name: str) -> None:
        """Raise TopicAlreadyExistsError for a name that a topic has, or had until its deletion that is under way.

        And InvalidRequestError for that of the metadata log, which is in the folder as if it were a topic.
        """
        if name == METADATA_TOPIC:
            raise InvalidRequestError(f"Creation of internal topic {name} is prohibited.")
        if name in self.topics or (name in self.metadata.topics and name not in self._leaving):
            raise TopicAlreadyExistsError(f"Topic '{name}' already exists.")
        if name in self._leaving:
            raise TopicAlreadyExistsError(f"Topic '{name}' is marked for deletion.")

    async def remove_topic(self, topic: Topic) -> None:
        """Delete a topic with its records and its committed offsets.

        The offsets go first, and to the disk: they must not meet another topic of that name. What has begun is brought
        to its end, also when the caller is cancelled.
        """
        del self.topics[topic.name]
        self._leaving.add(topic.name)
        await self.durability.keep_running(self._remove_all_of(topic))

    async def _remove_all_of(self, topic: Topic) -> None:
        try:
            self.housekeeping.forget_topic(topic.name)
            self.offsets.forget_topic(topic.name)
            await self.durability.flush(self.topics[OFFSETS_TOPIC].partitions)
            await self.housekeeping.let_go(topic.name)
            self.folder.delete(topic)
        finally:
            self._leaving.discard(topic.name)
        for index in range(topic.partition_count):
            self.progress.made(topic.name, index)  # whoever waits there learns that it is gone

    def find_log(self, topic: str, partition: int) -> PartitionLog | None:
        found = self.topics.get(topic)
        if found is None or not 0 <= partition < len(found.partitions):
            return None
        return found.partitions[partition]

    def log(self, topic: str, partition: int) -> PartitionLog:
        """The log of a partition. Raises UnknownTopicOrPartitionError."""
        found = self.find_log(topic, partition)
        if found is None:
            raise UnknownTopicOrPartitionError(f"{topic}-{partition} does not exist")
        return found

    def logs(self) -> Iterator[PartitionLog]:
        for topic in self.topics.values():
            yield from topic.partitions

    def read_all(self, source: PartitionLog, start: int = 0) -> Iterator[tuple[BatchHeader, memoryview]]:
        """As `PartitionLog.read_all`."""
        return source.read_all(start)

    def next_producer_id(self) -> int:
        return self.metadata.next_producer_id()

    # Time, and the end

    def tick(self) -> None:
        """What is due by the clock and waits for no disk: transaction timeouts, those of groups, retention.

        Each is done, also when another one can't be: then that one's error is raised.
        """
        with ExitStack() as due:  # the last one comes first
            due.callback(self.housekeeping.enforce_retention_if_due)
            due.callback(self.groups.tick, self.now_ms())
            due.callback(self.transactions.expire, self.now_ms())

    async def flush_due(self) -> None:
        """What is due by the clock and waits for the disk: syncs that topics ask for, checkpoints."""
        await self.housekeeping.flush_due()

    async def close(self) -> None:
        """Finish what runs, write everything down, and give the folder back. A second call does nothing.

        Raises KafkaStorageError for what cannot be written: the folder is given back all the same, and the next open
        has to recover it.
        """
        self.housekeeping.stop()
        await self.durability.finish()
        has_failed = self._stopped is not None
        self.stop_serving("is closed")
        self.progress.end()
        self.groups.close()
        try:
            if not has_failed:
                self.transactions.write_down_open()
                await asyncio.to_thread(self.folder.close, list(self.logs()))
        finally:
            for source in self.logs():
                source.abandon()
            self.folder.release()
