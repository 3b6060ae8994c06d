"""A client as a member of a group: it shares the partitions of topics with the others, and comes back where it was.

Membership is aiokafka's consumer, over the wire. It finds a broker that comes back at its address by itself; where the
address is another, it begins anew there.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from streams.client.records import ClientRecord
from streams.errors import DecodeError
from streams.graph.definitions import TopicDef
from streams.serde import key_serde_for, serde_for
from streams.transport.contract import ConnectionLostError, Isolation, TransportError
from streams.transport.kafka.logs import quietly

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord

_POLL_S = 1.0
_WITHIN_S = 30.0
_JOIN_INTERVAL_S = 0.2
_LEAVE_WITHIN_S = 2.0
_METADATA_AGE_MS = 5_000  # how late a new topic or partition may be noticed


class SubscribedRecord(ClientRecord):
    """A record that a member of a group was given."""

    subscription: Subscription

    async def commit(self) -> None:
        """Let the group go on behind this record in its partition, now and after a restart.

        Raises TransportError when the partition is another member's by now, which will read the record again, and
        ConnectionLostError when the broker stays away: the group may have moved or not.
        """
        await self.subscription.commit(self)


class Subscription:
    """What `client.subscribe` gives: iterate over it, for ever. `close` leaves the group; the client does it too.

    Records that were given out and not committed are given out again when the group shares its partitions anew. A
    record that does not decode raises DecodeError; whoever iterates again goes on behind it. Raises TransportError.

    >>> import tempfile
    >>> import streams
    >>> async def main() -> bytes | None:
    ...     async with streams.Client(data_dir=tempfile.mkdtemp()) as client:
    ...         await client.send("orders", value=b"tea")
    ...         async for record in client.subscribe("orders", group="kitchen"):
    ...             await record.commit()
    ...             return record.value
    >>> asyncio.run(main())
    b'tea'
    """

    def __init__(
        self,
        topics: Mapping[str, TopicDef],
        group: str,
        *,
        prepare: Callable[[], Awaitable[None]],
        address: Callable[[], str],
        security: Mapping[str, Any],
        start: Literal["beginning", "end"],
        isolation: Isolation,
        instance_id: str | None,
    ) -> None:
        self.group = group
        self._serdes = {name: (key_serde_for(t.key_type), serde_for(t.value_type)) for name, t in topics.items()}
        self._prepare = prepare
        self._address = address
        self._options: dict[str, Any] = {
            **security,
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest" if start == "beginning" else "latest",
            "isolation_level": isolation,
            "group_instance_id": instance_id,
            "metadata_max_age_ms": _METADATA_AGE_MS,
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._connected_to = ""
        self._waiting: deque[ConsumerRecord] = deque()
        self._joining = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[SubscribedRecord]:
        while not self._closed:
            if not self._waiting:
                await self._poll()
            while self._waiting and not self._closed:
                yield self._record(self._waiting.popleft())

    async def _poll(self) -> None:
        from aiokafka.errors import ConsumerStoppedError, KafkaError

        consumer = await self._member()
        try:
            found = await consumer.getmany(timeout_ms=int(_POLL_S * 1000))
        except ConsumerStoppedError:  # the subscription was closed, or has begun anew at another address
            return
        except KafkaError as error:
            raise TransportError(f"group {self.group!r} at {self._connected_to}: {error!r}") from error
        for messages in found.values():
            self._waiting.extend(messages)

    async def _member(self) -> AIOKafkaConsumer:
        """The consumer, joined anew if the broker has moved. Raises ConnectionLostError when it stays away."""
        deadline = time.monotonic() + _WITHIN_S
        async with self._joining:
            while self._consumer is None or self._address() != self._connected_to:
                try:
                    await self._join(self._address())
                except ConnectionLostError:
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(_JOIN_INTERVAL_S)
            return self._consumer

    async def _join(self, address: str) -> None:
        from aiokafka import AIOKafkaConsumer
        from aiokafka.errors import KafkaConnectionError, KafkaError

        await self._leave()
        if self._closed:
            raise TransportError(f"the subscription of group {self.group!r} is closed")
        await self._prepare()
        with quietly() as heard:
            consumer = AIOKafkaConsumer(bootstrap_servers=address, **self._options)
            consumer.subscribe(list(self._serdes), listener=_revocations(self._waiting))
            try:
                await consumer.start()
            except BaseException as error:
                await asyncio.shield(consumer.stop())
                if isinstance(error, KafkaError):
                    kind = ConnectionLostError if isinstance(error, KafkaConnectionError) else TransportError
                    why = "; ".join(heard) or repr(error)
                    raise kind(f"group {self.group!r} at {address}: {why}") from error
                raise
        self._consumer, self._connected_to = consumer, address

    def _record(self, message: ConsumerRecord) -> SubscribedRecord:
        keys, values = self._serdes[message.topic]
        try:
            key = None if message.key is None else keys.decode(message.key)
            value = None if message.value is None else values.decode_row(message.value, message.headers)
        except Exception as error:
            raise DecodeError(
                f"does not decode: {error}", topic=message.topic, partition=message.partition, offset=message.offset
            ) from error
        place = (message.topic, message.partition, message.offset)
        record = SubscribedRecord(key, value, message.timestamp, message.headers, *place)
        record.subscription = self
        return record

    async def commit(self, record: ClientRecord) -> None:
        """Let the group go on behind `record`. Raises TransportError, ConnectionLostError."""
        where = f"group {self.group!r}, {record.topic}-{record.partition} offset {record.offset}"
        if self._closed:
            raise TransportError(f"{where}: the subscription is closed")
        deadline = time.monotonic() + _WITHIN_S
        while not await self._commit(record, where):
            if time.monotonic() > deadline:
                raise ConnectionLostError(
                    f"{where}: the broker at {self._connected_to} has not answered for {_WITHIN_S:.0f} s; whether the "
                    "group has moved is not known"
                )

    async def _commit(self, record: ClientRecord, where: str) -> bool:
        """Whether the group has moved; aiokafka asks a broker that is away for ever, if it is let."""
        from aiokafka import TopicPartition
        from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

        consumer = await self._member()
        try:
            async with asyncio.timeout(_POLL_S):
                with quietly():
                    await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        except TimeoutError:
            return False
        except (CommitFailedError, IllegalStateError) as error:
            raise TransportError(
                f"{where}: the group has shared its partitions anew since the record was read ({error}). Who has the "
                "partition now reads the record again; go on with the next record."
            ) from error
        except KafkaError as error:
            raise TransportError(f"{where}: {error!r}") from error
        return True

    async def close(self) -> None:
        """Leave the group. A second call does nothing."""
        self._closed = True
        await self._leave()
        for leaving in self._leaving:
            leaving.cancel()

    async def _leave(self) -> None:
        """A consumer whose broker is gone may take its time over that, which nobody has to wait for."""
        consumer, self._consumer = self._consumer, None
        self._waiting.clear()
        if consumer is not None:
            with quietly():
                leaving = asyncio.create_task(consumer.stop())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            await asyncio.wait([leaving], timeout=_LEAVE_WITHIN_S)


def _revocations(waiting: deque[ConsumerRecord]) -> Any:
    """A listener that drops records nobody was given yet: their partitions may be another member's from now on."""
    from aiokafka import ConsumerRebalanceListener

    class Dropping(ConsumerRebalanceListener):  # type: ignore[misc]
        def on_partitions_revoked(self, revoked: object) -> None:
            waiting.clear()

        def on_partitions_assigned(self, assigned: object) -> None: ...

    return Dropping()
