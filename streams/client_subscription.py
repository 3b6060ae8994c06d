"""A client as a member of a group: it shares the partitions of topics with the others, and comes back where it was.

Membership is aiokafka's consumer, over the wire. It finds a broker that comes back at its address by itself; where the
address is another, it begins anew there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from streams.client_records import ClientRecord
from streams.errors import DecodeError
from streams.graph.definitions import TopicDef
from streams.serde import key_serde_for, serde_for
from streams.transport.contract import Isolation, TransportError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord

_POLL_MS = 1_000


class SubscribedRecord(ClientRecord):
    """A record that a member of a group was given."""

    subscription: Subscription

    async def commit(self) -> None:
        """Let the group go on behind this record in its partition, now and after a restart.

        Raises TransportError when the partition is another member's by now: it will read the record again.
        """
        await self.subscription.commit(self)


class Subscription:
    """What `client.subscribe` gives: iterate over it, for ever. `close` leaves the group; the client does it too."""

    def __init__(
        self,
        topics: Mapping[str, TopicDef],
        group: str,
        *,
        address: Callable[[], str],
        security: Mapping[str, Any],
        start: Literal["beginning", "end"],
        isolation: Isolation,
        instance_id: str | None,
    ) -> None:
        self.group = group
        self._topics = topics
        self._serdes = {name: (key_serde_for(t.key_type), serde_for(t.value_type)) for name, t in topics.items()}
        self._address = address
        self._options: dict[str, Any] = {
            **security,
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest" if start == "beginning" else "latest",
            "isolation_level": isolation,
            "group_instance_id": instance_id,
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._connected_to = ""
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[SubscribedRecord]:
        while not self._closed:
            consumer = await self._member()
            for messages in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                for message in messages:
                    yield self._record(message)

    async def _member(self) -> AIOKafkaConsumer:
        address = self._address()
        if self._consumer is not None and address == self._connected_to:
            return self._consumer
        from aiokafka import AIOKafkaConsumer
        from aiokafka.errors import KafkaError

        await self._leave()
        consumer = AIOKafkaConsumer(*self._topics, bootstrap_servers=address, **self._options)
        try:
            await consumer.start()
        except BaseException as error:
            await asyncio.shield(consumer.stop())
            if isinstance(error, KafkaError):
                raise TransportError(f"group {self.group!r} at {address}: {error}") from error
            raise
        self._consumer, self._connected_to = consumer, address
        return consumer

    def _record(self, message: ConsumerRecord) -> SubscribedRecord:
        keys, values = self._serdes[message.topic]
        try:
            key = None if message.key is None else keys.decode(message.key)
            value = None if message.value is None else values.decode(message.value)
        except Exception as error:
            raise DecodeError(
                f"does not decode: {error}", topic=message.topic, partition=message.partition, offset=message.offset
            ) from error
        place = (message.topic, message.partition, message.offset)
        record = SubscribedRecord(key, value, message.timestamp, message.headers, *place)
        record.subscription = self
        return record

    async def commit(self, record: ClientRecord) -> None:
        """Let the group go on behind `record`. Raises TransportError."""
        from aiokafka import TopicPartition
        from aiokafka.errors import KafkaError

        if self._consumer is None:
            raise TransportError(f"the subscription of group {self.group!r} is closed")
        try:
            await self._consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        except (KafkaError, ValueError) as error:
            raise TransportError(
                f"group {self.group!r}, {record.topic}-{record.partition} offset {record.offset}: {error!r}"
            ) from error

    async def close(self) -> None:
        """Leave the group. A second call does nothing."""
        self._closed = True
        await self._leave()

    async def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await asyncio.shield(consumer.stop())
