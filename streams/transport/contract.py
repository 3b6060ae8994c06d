"""What the runtime asks of a transport: topics, offsets, raw record batches in and out, transactions.

`embedded` keeps it in this process, `kafka` over the wire. Record batches cross it as they are stored
(`broker_embedded/records`). The checks in `streams/testing/transport.py` say the same as code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from streams.errors import StreamsError

if TYPE_CHECKING:
    from broker_embedded.wire.messages import Request

T = TypeVar("T")

Isolation = Literal["read_committed", "read_uncommitted"]


class TopicPartition(NamedTuple):
    """A partition of a topic.

    >>> str(TopicPartition("flights", 3))
    'flights-3'
    """

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be. `configs` are Kafka's topic configs by their dotted names.

    A `replication_factor` of -1 is the cluster's default; a broker that is alone keeps one replica, whatever is said.
    """

    name: str
    partitions: int = 1
    configs: Mapping[str, str] = field(default_factory=dict)
    replication_factor: int = -1


@dataclass(frozen=True)
class TopicInfo:
    """A topic as it is. Deleted and made again it has another `topic_id`; `configs` are those set on the topic.

    `defaults` are what holds for some of the others, where the broker tells.
    """

    name: str
    topic_id: str
    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)
    replication_factor: int = 1
    defaults: Mapping[str, str] = field(default_factory=dict)


class Committed(msgspec.Struct, frozen=True):
    """A group's position in a partition: the offset of the next record to read, and a note of the reader's."""

    offset: int
    metadata: str = ""


class GroupIdentity(NamedTuple):
    """A group, and who in it speaks: a broker refuses the offsets of a member that is none any more (KIP-447).

    Without a member the broker takes offsets for the group as long as nobody is in it, and in transactions always.

    >>> GroupIdentity("flights")
    GroupIdentity(group='flights', generation=-1, member_id='', instance_id=None)
    """

    group: str
    generation: int = -1
    member_id: str = ""
    instance_id: str | None = None


class Fetched(msgspec.Struct):
    """What a fetch found in one partition.

    `data` is whole batches as stored, in order, in one or several pieces: control batches and aborted data are among
    them, and the first may begin before `start_offset`, the offset asked for (`read_committed` sorts that out).
    `next_offset` is where to go on, past everything in `data`. `aborted` holds (producer id, first offset).
    """

    tp: TopicPartition
    data: list[memoryview]
    start_offset: int
    next_offset: int
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    aborted: list[tuple[int, int]] = []


class TransportError(StreamsError):
    """The transport cannot do what was asked; the message says what, where and what to do."""


class ConnectionLostError(TransportError):
    """No answer came: the broker is gone, or the way to it. What it did with the request is not known."""


class OffsetOutOfRangeError(TransportError):
    """A fetch position lies outside of the log: records were removed by retention, or the topic was made again."""

    def __init__(self, tp: TopicPartition, offset: int, earliest: int, latest: int) -> None:
        super().__init__(f"{tp}: offset {offset} is outside of the log, which goes from {earliest} to {latest}")
        self.tp, self.offset, self.earliest, self.latest = tp, offset, earliest, latest


class DamagedLogError(TransportError):
    """A batch in the log is not what was written: the disk has changed it, or somebody else."""

    def __init__(self, tp: TopicPartition, fault: Exception) -> None:
        super().__init__(
            f"{tp}: the log is damaged: {fault}. Nothing behind it was read. Put the folder back from a copy, or give "
            "the batch up: delete the records up to its end (`delete_records`), or the topic."
        )
        self.tp = tp


class FencedError(TransportError):
    """Somebody else has taken over: the transactional id, or the seat in the group. What is not committed is lost.

    Also where the transaction has timed out, or the group has given the member up.
    """


class StaleGenerationError(TransportError):
    """The group is being shared anew, and the offsets come from the generation before. The member is still in: once it
    knows its new generation, send them again.
    """


class UnknownOutcomeError(TransportError):
    """A commit was asked for and its outcome is not known. Drop what was buffered, and read the positions again."""


class TopicMismatchError(TransportError):
    """A topic exists with another number of partitions than wanted."""

    def __init__(self, topic: str, wanted: int, found: int) -> None:
        super().__init__(
            f"topic {topic!r} has {found} partitions, {wanted} are wanted. Keys would move between partitions, away "
            f"from their state: set partitions={found}, or delete or rename the topic"
        )
        self.topic, self.wanted, self.found = topic, wanted, found


class NotAllowedError(TransportError):
    """The broker knows who this client is, and does not let that one do what was asked."""


class UnknownTopicError(TransportError):
    """A topic or partition does not exist."""


class Producer(Protocol):
    """Sends batches; in transactions, if it has a transactional id."""

    async def start(self) -> None:
        """Get ready. A transactional producer ends what a crashed instance left open, and shuts older ones out."""

    async def begin(self) -> None:
        """Begin a transaction."""

    async def send(self, tp: TopicPartition, batch: bytearray) -> int:
        """Append one batch, made by `records.encode`; gives its first offset. The batch belongs to the transport then.

        Raises FencedError, UnknownTopicError, TransportError (too large, disk full, ...).
        """

    async def post(self, tp: TopicPartition, batch: bytearray) -> Awaitable[int]:
        """As `send`, without waiting for the answer but where too much is under way: that is what is given.

        The batches of a partition are appended in the order of the calls. `commit` waits for all; whether they were
        taken, only their answers say.
        """

    async def send_offsets(self, group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Positions of `group`, visible when the transaction commits; without a transactional id at once.

        Raises StaleGenerationError (nothing was taken; the transaction may go on), and FencedError where the member is
        none any more.
        """

    async def commit(self) -> None:
        """End the transaction: its batches and offsets become visible together, on a cluster perhaps a moment later.

        Raises FencedError (nothing became visible), UnknownOutcomeError.
        """

    async def abort(self) -> None:
        """End the transaction: nothing of it becomes visible."""

    async def close(self) -> None:
        """Abort what is open and let go."""


class Asks(Protocol):
    """Puts a question to the right broker: what administration needs of a transport."""

    async def ask(self, request: Request) -> Any:
        """The answer of any broker."""

    async def ask_node(self, request: Request, node: int) -> Any:
        """The answer of one broker."""

    async def ask_coordinator(
        self,
        request: Request,
        name: str,
        *,
        lane: str = "coordinator",
        last_version: int = 32_767,
        timeout_ms: int | None = None,
    ) -> Any:
        """The answer of the broker that coordinates a group.

        A request that waits holds up those behind it on its `lane`. `timeout_ms` is for one that may wait longer than
        an answer usually takes.
        """

    async def coordinator(self, name: str) -> int:
        """The id of the broker that coordinates a group."""

    async def nodes(self) -> list[int]:
        """The ids of all brokers."""

    async def check_partitions(self, tps: Iterable[TopicPartition]) -> None:
        """Raise UnknownTopicError for a partition that is not there, RetryError for one without a leader."""

    async def retry(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, asked again while an error is of the kind that passes."""


class Transport(Protocol):
    """Access to a broker."""

    @property
    def asks(self) -> Asks:
        """For questions beyond this contract."""

    @property
    def address(self) -> str:
        """Where Kafka's clients reach the same broker (host:port, several with commas). Raises TransportError."""

    @property
    def security(self) -> Mapping[str, Any]:
        """What aiokafka's clients need to get in there."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def topics(self) -> list[str]:
        """The names of all topics, the broker's own included."""

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        """Those of `topics` that exist."""

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        """Make the topics that are missing. Raises TopicMismatchError for one with another number of partitions."""

    async def delete(self, topics: Iterable[str]) -> None:
        """Remove topics with their records and committed offsets; a missing one is fine."""

    async def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        """Set configs of a topic; others stay. Raises UnknownTopicError, TransportError for a bad value."""

    async def earliest(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset of each log."""

    async def latest(
        self, tps: Iterable[TopicPartition], isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        """The end of each log: the last stable offset, or with read_uncommitted the high watermark."""

    async def at_time(self, tps: Iterable[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        """The offset of the first record with a timestamp of at least `ms`; the end where there is none."""

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
        """The group's positions; None where it has none. Waits for undecided transactions of the group."""

    async def fetch(
        self,
        positions: Mapping[TopicPartition, int],
        *,
        max_bytes: int = 16 << 20,
        partition_max_bytes: int = 1 << 20,
        isolation: Isolation = "read_committed",
        wait_ms: int = 0,
    ) -> list[Fetched]:
        """Batches from each position on; partitions without new data are left out.

        Answers at once if there is any data, else waits up to `wait_ms` for some, without blocking the loop. A batch
        larger than the limits is given all the same, alone. Raises OffsetOutOfRangeError, UnknownTopicError.
        """

    def producer(self, *, transactional_id: str | None = None, transaction_timeout_ms: int = 60_000) -> Producer:
        """A producer, not started."""

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Remove the records before an offset of each partition."""
