"""A client for services, scripts and notebooks: send, read, look at tables; on every transport.

async with app.client() as client:
    sent = client.send("flights", key="AA", value=Flight(...))
    async for record in client.read("alerts"):
        ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from broker_embedded import records
from streams.client_table import ClientTable
from streams.config import Settings, load_settings
from streams.errors import DecodeError, TopologyError
from streams.graph.definitions import TopicDef
from streams.partitioner import partition_for
from streams.serde import key_serde_for, serde_for
from streams.transport.committed import read_committed
from streams.transport.contract import Fetched, Isolation, Producer, TopicPartition, TopicSpec, Transport
from streams.transport.opening import open_transport

if TYPE_CHECKING:
    from streams.app import App

Start = int | str

BATCH_RECORDS_MAX = 5_000


class Sent(NamedTuple):
    """Where an acknowledged record lies."""

    topic: str
    partition: int
    offset: int


class ClientRecord(NamedTuple):
    """A record that was read."""

    key: Any
    value: Any
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]
    topic: str
    partition: int
    offset: int


class _Unsent(NamedTuple):
    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]
    answer: asyncio.Future[Sent]


class Client:
    """Opens the data folder of an app, or joins whoever in this process has it open.

    Raises FolderInUseError (which says who holds it) when another process has the folder.
    """

    def __init__(self, app: App | None = None, *, data_dir: str | Path | None = None, **settings: Any) -> None:
        self._app = app
        if data_dir is not None:
            settings["data_dir"] = str(data_dir)
        self._settings: Settings = _settings(app, settings)
        self._transport: Transport | None = None
        self._producer: Producer | None = None
        self._topics: dict[str, TopicDef] = {}
        self._partitions: dict[str, int] = {}
        self._unsent: list[_Unsent] = []
        self._flushing: asyncio.Task[None] | None = None
        self._turn = 0

    async def __aenter__(self) -> Client:
        self._transport, _ = open_transport(self._settings)
        await self._transport.start()
        self._producer = self._transport.producer()
        await self._producer.start()
        if self._app is not None:
            self._topics = self._app.plan().topics
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flushing is not None:
            await self._flushing
        await self._open_producer().close()
        await self._open().stop()

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

        Records sent in one turn of the event loop leave together.
        """
        name, definition = self._definition(topic)
        now = time.time_ns() // 1_000_000 if timestamp is None else timestamp
        answer: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._unsent.append(
            _Unsent(
                name,
                partition,
                _encoded(key_serde_for(definition.key_type), key),
                _encoded(serde_for(definition.value_type), value),
                now,
                headers or (),
                answer,
            )
        )
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return answer

    async def send_many(self, topic: Any, rows: Iterable[Any]) -> list[Sent]:
        """Sends (key, value) pairs, or values alone, and waits until all are acknowledged."""
        pairs = (row if isinstance(row, tuple) and len(row) == 2 else (None, row) for row in rows)
        return await asyncio.gather(*[self.send(topic, key=key, value=value) for key, value in pairs])

    async def _flush(self) -> None:
        """Sends what is waiting, a batch for each partition, until nothing is."""
        while self._unsent:
            unsent, self._unsent = self._unsent, []
            try:
                await self._ensure({row.topic for row in unsent})
                for tp, rows in self._by_partition(unsent).items():
                    await self._send_batch(tp, rows)
            except Exception as error:  # noqa: BLE001 - handed to whoever awaits the records
                for row in unsent:
                    if not row.answer.done():
                        row.answer.set_exception(error)

    def _by_partition(self, unsent: list[_Unsent]) -> dict[TopicPartition, list[_Unsent]]:
        self._turn += 1
        found: dict[TopicPartition, list[_Unsent]] = {}
        for row in unsent:
            count = self._partitions[row.topic]
            partition = row.partition
            if partition is None:
                partition = self._turn % count if row.key is None else partition_for(row.key, count)
            found.setdefault(TopicPartition(row.topic, partition), []).append(row)
        return found

    async def _send_batch(self, tp: TopicPartition, rows: list[_Unsent]) -> None:
        for start in range(0, len(rows), BATCH_RECORDS_MAX):
            part = rows[start : start + BATCH_RECORDS_MAX]
            headers = [row.headers for row in part] if any(row.headers for row in part) else None
            batch = records.encode(
                [row.key for row in part], [row.value for row in part], [row.timestamp for row in part], headers
            )
            base = await self._open_producer().send(tp, batch)
            for at, row in enumerate(part):
                if not row.answer.done():
                    row.answer.set_result(Sent(tp.topic, tp.partition, base + at))

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

        `start` is "beginning", "end", or an offset; up to the end as of now, or with `follow` for ever. A value that
        does not decode raises DecodeError with its place. A topic that is not there yet has no records.
        """
        name, definition = self._definition(topic)
        if self._app is not None and name in self._topics:
            await self._ensure({name})
        transport = self._open()
        info = (await transport.describe([name])).get(name)
        if info is None:
            return
        tps = [TopicPartition(name, p) for p in range(info.partitions) if partition in (None, p)]
        positions = await self._starts(tps, start)
        ends = await transport.latest(tps, isolation)
        while waiting := {tp: at for tp, at in positions.items() if follow or at < ends[tp]}:
            for fetched in await transport.fetch(waiting, isolation=isolation, wait_ms=1_000):
                for record in _decoded(fetched, definition, isolation):
                    if follow or record.offset < ends[fetched.tp]:
                        yield record
                positions[fetched.tp] = fetched.next_offset

    async def _starts(self, tps: list[TopicPartition], start: Start) -> dict[TopicPartition, int]:
        if start == "beginning":
            return await self._open().earliest(tps)
        if start == "end":
            return await self._open().latest(tps)
        if isinstance(start, int):
            return dict.fromkeys(tps, start)
        raise TopologyError(f'start={start!r}: "beginning", "end", or an offset')

    def table(self, name: str) -> ClientTable:
        """A table of the app, as its committed changelog tells it. Raises TopologyError for a name the app does not
        have.
        """
        stores = {} if self._app is None else self._app.plan().stores
        if name not in stores:
            raise TopologyError(f"the app has no table {name!r}; it has {', '.join(sorted(stores)) or 'none'}")
        return ClientTable(self._open(), stores[name])

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
        specs = [TopicSpec(t.name, t.partitions or self._settings.default_partitions, t.config) for t in absent]
        await transport.create(specs)
        found |= await transport.describe([spec.name for spec in specs])
        self._partitions.update({name: info.partitions for name, info in found.items()})

    def _open(self) -> Transport:
        if self._transport is None:
            raise TopologyError("the client is not open: use it as `async with app.client() as client:`")
        return self._transport

    def _open_producer(self) -> Producer:
        self._open()
        assert self._producer is not None
        return self._producer


def _settings(app: App | None, settings: dict[str, Any]) -> Settings:
    if app is None:
        return load_settings("client", settings)
    return app.settings.with_values(settings) if settings else app.settings


def _encoded(serde: Any, value: Any) -> bytes | None:
    return None if value is None else serde.encode(value)


def _decoded(fetched: Fetched, topic: TopicDef, isolation: Isolation) -> Iterable[ClientRecord]:
    keys, values = key_serde_for(topic.key_type), serde_for(topic.value_type)
    for _, data in _batches(fetched, isolation):
        part = records.decode(data)
        for at, offset in enumerate(part.offsets.tolist()):
            if offset < fetched.start_offset:
                continue
            row = part.slice(at, at + 1)
            try:
                key, value = keys.decode_each(row.keys())[0], values.decode_each(row.values())[0]
            except Exception as error:
                raise DecodeError(
                    f"does not decode: {error}", topic=topic.name, partition=fetched.tp.partition, offset=offset
                ) from error
            headers = row.headers()[0] if row.has_headers else ()
            yield ClientRecord(key, value, int(part.timestamps[at]), headers, *fetched.tp, offset)


def _batches(fetched: Fetched, isolation: Isolation) -> Iterable[tuple[records.BatchHeader, memoryview]]:
    if isolation == "read_committed":
        return read_committed(fetched)
    found = (pair for piece in fetched.data for pair in records.batches(piece))
    return ((header, data) for header, data in found if not header.is_control)
