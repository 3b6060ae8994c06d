"""Fetch sessions: a client names its partitions once, and then only what changes (KIP-227, Kafka's FetchSession).

A session also knows which of its partitions are worth looking at: those that are new or asked for anew, those with data
that was not taken yet, and those in which something has happened since. A thousand idle ones cost a fetch nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

from broker_embedded.errors import (
    FetchSessionIdNotFoundError,
    FetchSessionTopicIdError,
    InvalidFetchSessionEpochError,
    UnknownTopicIdError,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.wire.messages.records import FetchPartition, FetchRequest, PartitionData

SLOTS: Final = 1_000  # max.incremental.fetch.session.cache.slots
_EVICTABLE_AFTER_MS: Final = 120_000  # min.incremental.fetch.session.eviction.ms
_FINAL_EPOCH: Final = -1
_INITIAL_EPOCH: Final = 0
_LARGEST: Final = 2**31 - 1

Key = tuple[UUID | str, int]


class FetchedPartition:
    """What is asked of a partition, and what its watermarks were when the client was told of it last."""

    __slots__ = ("high_watermark", "log_start_offset", "row", "stop_watching", "topic", "topic_id")

    def __init__(self, topic: str, topic_id: UUID | None, row: FetchPartition) -> None:
        self.topic = topic  # empty for an id that nobody knows
        self.topic_id = topic_id
        self.row = row
        self.high_watermark = self.log_start_offset = -1
        self.stop_watching: Callable[[], None] | None = None

    @property
    def key(self) -> Key:
        return self.topic_id or self.topic, self.row.partition

    def has_news(self, data: PartitionData) -> bool:
        """Whether the client must be told, which it then is."""
        news = (
            bool(data.records)
            or data.error_code != 0
            or data.diverging_epoch is not None
            or data.high_watermark != self.high_watermark
            or data.log_start_offset != self.log_start_offset
        )
        self.log_start_offset = data.log_start_offset
        self.high_watermark = -1 if data.error_code else data.high_watermark  # told again when the error is over
        return news


class FetchSession:
    """The partitions of one client. `due` are those to look at, in the order in which their turn comes."""

    def __init__(self, session_id: int, now_ms: int, *, uses_ids: bool) -> None:
        self.id = session_id
        self.uses_ids = uses_ids
        self.created_ms = self.used_ms = now_ms
        self.epoch = _INITIAL_EPOCH
        self.partitions: dict[Key, FetchedPartition] = {}
        self.due: dict[Key, FetchedPartition] = {}
        self.wake: Callable[[], None] | None = None

    def update(self, cluster: Cluster, request: FetchRequest) -> None:
        """Partitions that are new, asked for anew, or no longer wanted."""
        for topic in request.topics:
            name = topic_name(cluster, topic.topic, topic.topic_id)
            for row in topic.partitions:
                key = topic.topic_id or topic.topic, row.partition
                found = self.partitions.get(key)
                if found is None:
                    found = self.partitions[key] = FetchedPartition(name, topic.topic_id, row)
                    self._watch(cluster, key, found)
                found.row = row
                self.due[key] = found
        for gone in request.forgotten_topics_data:
            for partition in gone.partitions:
                self._forget((gone.topic_id or gone.topic, partition))

    def _watch(self, cluster: Cluster, key: Key, partition: FetchedPartition) -> None:
        def progressed() -> None:
            self.due[key] = partition
            if self.wake is not None:
                self.wake()

        if partition.topic:
            partition.stop_watching = cluster.progress.watch(partition.topic, key[1], progressed)

    def _forget(self, key: Key) -> None:
        partition = self.partitions.pop(key, None)
        self.due.pop(key, None)
        if partition is not None and partition.stop_watching is not None:
            partition.stop_watching()

    def resolve(self, cluster: Cluster, partition: FetchedPartition) -> None:
        """Its topic may be known by now, while it was not when the client named it."""
        partition.topic = topic_name(cluster, "", partition.topic_id)
        self._watch(cluster, partition.key, partition)

    def looked_at(self, partition: FetchedPartition, *, is_idle: bool, gave_records: bool) -> None:
        """An idle one waits until something happens; one that gave records is behind all others next time."""
        key = partition.key
        if is_idle or gave_records:
            self.due.pop(key, None)
        if not is_idle:
            self.due[key] = partition

    def close(self) -> None:
        for key in list(self.partitions):
            self._forget(key)

    @property
    def next_epoch(self) -> int:
        return 1 if self.epoch == _LARGEST else self.epoch + 1


def topic_name(cluster: Cluster, name: str, topic_id: UUID | None) -> str:
    """The name of a topic that may be given by id; empty when nobody knows it."""
    if name:
        return name
    try:
        return cluster.topic(None, topic_id).name
    except UnknownTopicIdError:
        return ""


class FetchSessions:
    """The sessions of a broker, of which there are at most `slots`."""

    def __init__(self, cluster: Cluster, slots: int = SLOTS) -> None:
        self._cluster = cluster
        self._slots = slots
        self._sessions: dict[int, FetchSession] = {}  # the one not used for longest first

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, request: FetchRequest, *, uses_ids: bool) -> FetchSession | None:
        """The session a request belongs to, up to date with it; None for a request that stands alone.

        Raises FetchSessionIdNotFoundError, InvalidFetchSessionEpochError, FetchSessionTopicIdError.
        """
        if request.session_epoch in (_INITIAL_EPOCH, _FINAL_EPOCH):
            self._close(request.session_id)
            wants_one = request.session_epoch == _INITIAL_EPOCH
            session = self._create(request, uses_ids=uses_ids) if wants_one else None
        else:
            session = self._find(request, uses_ids=uses_ids)
        if session is None:
            return None
        session.update(self._cluster, request)
        if not session.partitions and request.session_epoch != _INITIAL_EPOCH:
            self._close(session.id)
            return None
        session.epoch = session.next_epoch
        session.used_ms = self._cluster.now_ms()
        self._sessions[session.id] = self._sessions.pop(session.id)
        return session

    def _find(self, request: FetchRequest, *, uses_ids: bool) -> FetchSession:
        session = self._sessions.get(request.session_id)
        if session is None:
            raise FetchSessionIdNotFoundError(f"there is no fetch session {request.session_id}")
        if session.epoch != request.session_epoch:
            raise InvalidFetchSessionEpochError(
                f"fetch session {session.id} is at epoch {session.epoch}, the request at {request.session_epoch}"
            )
        if session.uses_ids != uses_ids:
            raise FetchSessionTopicIdError(f"fetch session {session.id} names topics the other way")
        return session

    def _create(self, request: FetchRequest, *, uses_ids: bool) -> FetchSession | None:
        now_ms = self._cluster.now_ms()
        size = sum(len(topic.partitions) for topic in request.topics)
        if len(self._sessions) >= self._slots and not self._evict(size, now_ms):
            return None
        session_id = 0
        while session_id == 0 or session_id in self._sessions:
            session_id = random.randint(1, _LARGEST)
        session = self._sessions[session_id] = FetchSession(session_id, now_ms, uses_ids=uses_ids)
        return session

    def _evict(self, size: int, now_ms: int) -> bool:
        """Make room for a session of `size` partitions: a stale one goes, or a smaller one that is not young."""
        oldest = next(iter(self._sessions.values()), None)
        if oldest is None:
            return False
        if now_ms - oldest.used_ms > _EVICTABLE_AFTER_MS:
            self._close(oldest.id)
            return True
        smallest = min(self._evictable(), key=lambda session: (len(session.partitions), session.id), default=None)
        if smallest is None or len(smallest.partitions) >= size:
            return False
        self._close(smallest.id)
        return True

    def _evictable(self) -> Iterable[FetchSession]:
        for session in self._sessions.values():
            if session.used_ms - session.created_ms > _EVICTABLE_AFTER_MS:
                yield session

    def _close(self, session_id: int) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.close()
