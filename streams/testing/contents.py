"""What a data folder holds once its app has come to its end: outputs, tables, how far every input was read.

Two runs of one app over the same input hold the same, whatever happened to the one of them; except for what depends on
the cut into commits, which whoever compares has to know: the offsets themselves (control records take some), the number
of results a commit emits, the order of records that meet from several partitions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from broker_embedded import records
from state.backends.rocks import RocksBackend
from state.keys import unstamp
from streams.app import App
from streams.client import Client
from streams.runtime.assembling import assemble
from streams.runtime.assembly import Assembly
from streams.runtime.conditions import Conditions
from streams.runtime.state_folders import furthest_folder
from streams.runtime.topics import position_topic
from streams.transport.committed import read_committed
from streams.transport.contract import TopicPartition, Transport
from streams.transport.opening import open_transport

Entries = dict[str, dict[bytes, bytes]]
"""By "task/store": store key to stored payload."""


class Row(NamedTuple):
    """A record that a read-committed reader sees, decoded."""

    partition: int
    key: Any
    value: Any
    timestamp: int


class Contents(NamedTuple):
    """`tables` is what the stores hold, `rebuilt` what a restore of their changelogs into empty stores makes of them.

    `consumed` are the committed positions: by "topic-partition", how many records lie before the offset. `lag` is how
    many offsets lie behind it, of all input, repartition topics too. `positions` are those of sources, as JSON.
    """

    topics: dict[str, list[Row]]
    tables: Entries
    rebuilt: Entries
    consumed: dict[str, int]
    lag: dict[str, int]
    positions: dict[str, bytes | None]


async def read_contents(app: App, data_dir: Path | str) -> Contents:
    """What is in the data folder of `app`. Nobody else may have it open.

    >>> import asyncio, tempfile
    >>> app = App("copy")
    >>> app.topic("in", key_type=str, value_type=int).stream().to(app.topic("out", key_type=str, value_type=int))
    >>> async def main() -> Contents:
    ...     folder = tempfile.mkdtemp()
    ...     async with app.client(data_dir=folder) as client:
    ...         await client.send("in", key="AA", value=7, timestamp=0)
    ...     return await read_contents(app, folder)
    >>> asyncio.run(main()).topics["in"]
    [Row(partition=0, key='AA', value=7, timestamp=0)]
    """
    settings = app.settings
    app.settings = settings.with_values({"data_dir": str(data_dir), "store": "memory"})
    try:
        async with app.client() as client:
            return await _read(app, client)
    finally:
        app.settings = settings


async def _read(app: App, client: Client) -> Contents:
    transport, _ = await open_transport(app.settings)
    topics = [topic.name for topic in app.plan().topics.values() if not topic.internal]
    rows = {name: [Row(r.partition, r.key, r.value, r.timestamp) async for r in client.read(name)] for name in topics}
    positions = {source.name: await _position(app, client, source.name) for source in app.sources}
    assembly = await assemble(app, transport, Conditions(replay=True))
    try:
        consumed, lag = await _consumed(assembly, transport)
        await assembly.open(lambda _: None)
        return Contents(rows, _stored(assembly), _rebuilt(assembly), consumed, lag, positions)
    finally:
        await assembly.close()


async def _position(app: App, client: Client, source: str) -> bytes | None:
    found = [record.value async for record in client.read(position_topic(app.id, source))]
    return found[-1] if found else None


async def _consumed(assembly: Assembly, transport: Transport) -> tuple[dict[str, int], dict[str, int]]:
    tps = {
        TopicPartition(source.topic.name, partition): source.topic.internal
        for sub in assembly.plan.subtopologies
        for source in sub.sources
        for partition in range(assembly.topics.partitions(source.topic.name))
    }
    committed = await transport.committed(assembly.app.id, tps)
    starts, ends = await transport.earliest(tps), await transport.latest(tps)
    offsets = {tp: starts[tp] if (at := committed[tp]) is None else at.offset for tp in tps}
    consumed = {
        str(tp): await _records_before(transport, tp, starts[tp], offsets[tp])
        for tp, internal in tps.items()
        if not internal
    }
    return consumed, {str(tp): ends[tp] - offsets[tp] for tp in tps}


async def _records_before(transport: Transport, tp: TopicPartition, start: int, stop: int) -> int:
    count, at = 0, start
    while at < stop:
        for fetched in await transport.fetch({tp: at}, wait_ms=1_000):
            for _, data in read_committed(fetched):
                count += int((records.decode(data).offsets < stop).sum())
            at = fetched.next_offset
    return count


def _rebuilt(assembly: Assembly) -> Entries:
    return {
        f"{task.id}/{store}": _entries(task.stores.backend, store)
        for task in assembly.tasks
        for store in task.stores.specs
    }


def _stored(assembly: Assembly) -> Entries:
    found: Entries = {}
    for task in assembly.tasks:
        path = furthest_folder(assembly.settings, task.id)
        if task.stores.specs and path is not None:
            backend = RocksBackend(path)
            found |= {f"{task.id}/{store}": _entries(backend, store) for store in task.stores.specs}
            backend.close()
    return found


def _entries(backend: Any, store: str) -> dict[bytes, bytes]:
    with backend.scan(store) as entries:
        return {key: unstamp(value)[0] for key, value in entries}
