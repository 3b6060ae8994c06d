"""A client for services, scripts and notebooks: send, read, look at tables; on every transport.

async with app.client() as client:
    sent = client.send("flights", key="AA", value=Flight(...))
    async for record in client.read("alerts"):
        ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from streams.client.records import ClientRecord, decoded, time_ms
from streams.client.table import ClientTable
from streams.config import Settings, load_settings
from streams.errors import TopologyError
from streams.graph.definitions import TopicDef
from streams.outgoing import Outgoing, Sent, Unsent
from streams.serde import key_serde_for, serde_for
from streams.transport.contract import (
    Isolation,
    OffsetOutOfRangeError,
    TopicPartition,
    Transport,
    UnknownTopicError,
)
from streams.transport.making import Making
from streams.transport.opening import open_transport

if TYPE_CHECKING:
    from streams.admin import Admin
    from streams.agent import Agent
    from streams.app import App
    from streams.client.agent import AgentCalls
    from streams.client.subscription import Subscription
    from streams.rpc.asker import Asker

__all__ = ["Client", "ClientRecord", "Sent"]

V = TypeVar("V")
R = TypeVar("R")

Start = int | str | datetime

_LOOK_INTERVAL_S = 0.5


class Client:
    """Opens the data folder of an app, or reaches the process that holds it; or a Kafka: `Client("kafka://host:9092")`.

    When the process that holds the folder ends, another that uses it takes it over, this one perhaps. An async context
    manager; entering raises ConfigError, HolderSilentError, ConnectionLostError, FolderInUseError.

    >>> import tempfile
    >>> async def main() -> list[bytes]:
    ...     async with Client(data_dir=tempfile.mkdtemp()) as client:
    ...         await client.send("greetings", key=b"en", value=b"hello")
    ...         return [record.value async for record in client.read("greetings")]
    >>> asyncio.run(main())
    [b'hello']
    """

    def __init__(self, app: App | str | None = None, *, data_dir: str | Path | None = None, **settings: Any) -> None:
        if isinstance(app, str):
            app, settings["broker"] = None, app
        self._app = app
        if data_dir is not None:
            settings["data_dir"] = str(data_dir)
        self._settings: Settings = _settings(app, settings)
        self._transport: Transport | None = None
        self._outgoing: Outgoing | None = None
        self._topics: dict[str, TopicDef] = {}
        self._tables: dict[str, ClientTable] = {}
        self._subscriptions: list[Subscription] = []
        self._partitions: dict[str, int] = {}
        self._asker: Asker | None = None

    async def start(self) -> Client:
        """What `async with` does, where no block fits: in a notebook, at the start of a web service. Gives itself."""
        if self._app is not None:
            self._topics = self._app.plan().topics
        transport, _ = await open_transport(self._settings)
        self._transport = transport
        self._outgoing = Outgoing(transport.producer(), self._ensure, self._partitions)
        return self

    async def stop(self) -> None:
        """Wait for what was sent, leave the groups, let the folder go."""
        async with AsyncExitStack() as closing:  # all of it, whatever fails on the way
            closing.push_async_callback(self._open().stop)
            closing.callback(self._forget)
            for subscription in self._subscriptions:
                closing.push_async_callback(subscription.close)
            if self._asker is not None:
                closing.push_async_callback(self._asker.close)
            closing.push_async_callback(self._sending().close)

    async def __aenter__(self) -> Client:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        broker, folder = self._settings.broker, self._settings.data_dir
        return f"<client of {folder if broker == 'embedded' else broker}{', not open' * (self._transport is None)}>"

    def _forget(self) -> None:
        self._transport = self._asker = None
        self._subscriptions.clear()
        self._tables.clear()

    # -- sending

    def send(
        self,
        topic: Any,
        *,
        key: Any = None,
        value: Any = None,
        timestamp: int | None = None,
        headers: list[tuple[str, bytes | None]] | None = None,
        partition: int | None = None,
    ) -> asyncio.Future[Sent]:
        """Sends one record, without waiting: `await` the answer to know where it lies, once acknowledged.

        Its partition is that of its key, as Kafka's clients choose it, unless `partition` is given.

        Records sent in one turn of the event loop leave together. While the broker is away they wait; awaiting raises
        ConnectionLostError when it stays away, and then a record may be there or not. Raises EncodeError for a key or
        value that is not of the topic's type.
        """
        sender = self._sending()
        name, definition = self._definition(topic)
        now = time.time_ns() // 1_000_000 if timestamp is None else timestamp
        answer: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        record = Unsent(
            name,
            partition,
            _encoded(key_serde_for(definition.key_type), key),
            _encoded(serde_for(definition.value_type), value, headers or ()),
            now,
            headers or (),
            answer,
        )
        sender.send(record)
        return answer

    async def send_many(self, topic: Any, rows: Iterable[Any]) -> list[Sent]:
        """Sends (key, value) pairs, values alone, or records that were read, and waits until all are acknowledged.

        Of a record key, value, timestamp and headers are sent. Raises the first error, when all have an answer.
        """
        answers = [self.send(topic, **_parts(row)) for row in rows]
        if answers:
            await asyncio.wait(answers)
        return [answer.result() for answer in answers]

    # -- reading

    async def read(
        self,
        topic: Any,
        *,
        start: Start = "beginning",
        follow: bool = False,
        isolation: Isolation = "read_committed",
        partition: int | None = None,
    ) -> AsyncIterator[ClientRecord]:
        """The records of a topic, in the order of each partition.

        `start` is "beginning", "end", an offset, or a time (a datetime or ISO-8601 text, UTC unless it says otherwise;
        each partition from its first record that is not earlier). Up to the end as of now, or with `follow` for ever. A
        value that does not decode raises DecodeError with its place. A topic that is not there yet has no records;
        with `follow` it is waited for.
        """
        name, definition = self._definition(topic)
        if self._app is not None and name in self._topics:
            await self._ensure({name})
        transport = self._open()
        while (info := (await transport.describe([name])).get(name)) is None:
            if not follow:
                return
            await asyncio.sleep(_LOOK_INTERVAL_S)
        if partition is not None and not 0 <= partition < info.partitions:
            raise TopologyError(f"topic {name!r} has partitions 0 to {info.partitions - 1}, not {partition}")
        tps = [TopicPartition(name, p) for p in range(info.partitions) if partition in (None, p)]
        ends = await transport.latest(tps, isolation)
        positions = await self._starts(tps, start, ends)
        while waiting := {tp: at for tp, at in positions.items() if follow or at < ends[tp]}:
            try:
                found = await transport.fetch(waiting, isolation=isolation, wait_ms=1_000)
            except OffsetOutOfRangeError as error:
                if error.offset > error.earliest:
                    raise
                positions[error.tp] = error.earliest  # retention was faster
                continue
            for fetched in found:
                for record in decoded(fetched, definition, isolation):
                    if follow or record.offset < ends[fetched.tp]:
                        yield record
                positions[fetched.tp] = fetched.next_offset

    async def _starts(
        self, tps: list[TopicPartition], start: Start, ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        if start == "end":
            return ends
        earliest = await self._open().earliest(tps)
        if start == "beginning":
            return earliest
        if isinstance(start, int):
            # What retention has removed is passed over, and nobody starts beyond the end.
            return {tp: min(max(start, earliest[tp]), ends[tp]) for tp in tps}
        return await self._open().at_time(tps, time_ms(start))

    def subscribe(
        self,
        *topics: Any,
        group: str,
        start: Literal["beginning", "end"] = "beginning",
        isolation: Isolation = "read_committed",
        instance_id: str | None = None,
    ) -> Subscription:
        """The records of topics, shared with the other members of `group`, for ever: iterate over it.

        `await record.commit()` moves the group; `start` says where it begins the first time. A member with an
        `instance_id` of its own may be away for a while without the others taking over (KIP-345). The app's topics are
        made at first use.
        """
        from streams.client.subscription import Subscription

        transport = self._open()
        definitions = dict(self._definition(topic) for topic in topics)
        subscription = Subscription(
            definitions,
            group,
            prepare=lambda: self._ensure(set(definitions) & set(self._topics)),
            address=lambda: transport.address,
            security=transport.security,
            start=start,
            isolation=isolation,
            instance_id=instance_id,
        )
        self._subscriptions.append(subscription)
        return subscription

    @property
    def admin(self) -> Admin:
        """Topics, configs, groups and access of the broker."""
        from streams.admin import Admin

        transport = self._open()
        return Admin(transport)

    async def ends(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The first offset of each partition, and the one behind its last record."""
        tps = list(partitions)
        return await self._open().earliest(tps), await self._open().latest(tps, "read_uncommitted")

    async def offsets_at(
        self, partitions: Iterable[TopicPartition], time: datetime | str | int
    ) -> dict[TopicPartition, int]:
        """The offset of the first record of each partition that is not earlier than `time`; its end if there is none.

        `time` is a datetime, ISO-8601 text or milliseconds since 1970.
        """
        return await self._open().at_time(partitions, time if isinstance(time, int) else time_ms(time))

    def table(self, name: str) -> ClientTable:
        """A table of the app, as its committed changelog tells it. Raises TopologyError for a name the app does not
        have.
        """
        stores = {} if self._app is None else self._app.plan().stores
        if name not in stores:
            raise TopologyError(f"the app has no table {name!r}; it has {', '.join(sorted(stores)) or 'none'}")
        if name not in self._tables:
            self._tables[name] = ClientTable(self._open(), stores[name])
        return self._tables[name]

    # -- agents

    @overload
    def agent(self, agent: Agent[V, R]) -> AgentCalls[V, R]: ...

    @overload
    def agent(self, agent: str) -> AgentCalls[Any, Any]: ...

    def agent(self, agent: str | Agent[Any, Any]) -> AgentCalls[Any, Any]:
        """An agent of the app, to be asked: `await client.agent("price").ask("tea")`; also `cast`, `map`, `kvmap`,
        `join` and `kvjoin`.

        Raises TopologyError for a name that the app does not have.
        """
        from streams.client.agent import AgentCalls

        agents: dict[str, Agent[Any, Any]] = {} if self._app is None else {one.name: one for one in self._app.agents}
        name = agent if isinstance(agent, str) else agent.name
        if name not in agents:
            raise TopologyError(f"the app has no agent {name!r}; it has {', '.join(sorted(agents)) or 'none'}")
        if self._asker is None:
            from streams.rpc.asker import Asker

            assert self._app is not None
            self._asker = Asker(self._open(), self._sending(), self._settings)
        return AgentCalls(self, agents[name], self._asker, self._settings)

    # -- topics

    def _definition(self, topic: Any) -> tuple[str, TopicDef]:
        """Name and types of a topic; one that the app does not declare is bytes."""
        name = topic if isinstance(topic, str) else topic.name
        return name, self._topics.get(name) or TopicDef(name=name, key_type=bytes, value_type=bytes)

    async def _ensure(self, names: set[str]) -> None:
        """Makes the app's topics at first use."""
        missing = [name for name in names if name not in self._partitions]
        if not missing:
            return
        transport = self._open()
        found = await transport.describe(missing)
        absent = [self._definition(name)[1] for name in missing if name not in found]
        if internal := [topic.name for topic in absent if topic.internal]:
            raise UnknownTopicError(
                f"{', '.join(internal)} is not there yet: the app's worker makes it at its first start"
            )
        making = Making.of(self._settings)
        specs = [making.spec(t.name, t.partitions or self._settings.default_partitions, t.config) for t in absent]
        await transport.create(specs)
        found |= await transport.describe([spec.name for spec in specs])
        self._partitions.update({name: info.partitions for name, info in found.items()})

    def _open(self) -> Transport:
        if self._transport is None:
            raise TopologyError(
                "the client is not open: `async with app.client() as client:`, or `await client.start()`"
            )
        return self._transport

    def _sending(self) -> Outgoing:
        self._open()
        assert self._outgoing is not None
        return self._outgoing


def _settings(app: App | None, settings: dict[str, Any]) -> Settings:
    if app is None:
        return load_settings("client", settings)
    return app.settings.with_values(settings) if settings else app.settings


def _parts(row: Any) -> Mapping[str, Any]:
    """What `send` takes, of one row of `send_many`."""
    if isinstance(row, ClientRecord):
        return {"key": row.key, "value": row.value, "timestamp": row.timestamp, "headers": list(row.headers)}
    key, value = row if type(row) is tuple and len(row) == 2 else (None, row)
    return {"key": key, "value": value}


def _encoded(serde: Any, value: Any, headers: Any = ()) -> bytes | None:
    return None if value is None else serde.encode_row(value, headers)
