"""A table seen from outside a worker: what its changelog says, up to the last commit.

The changelog is read once and then followed, so a look-up costs what was added since the last one. It needs no local
state and holds no lock on any.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from broker_embedded import records
from state.api import Changes
from state.backends.memory import MemoryBackend
from state.keys import stamp_many
from state.layers.pending import PendingStore
from state.layers.versioned import VersionedLayer
from streams.errors import StreamsError
from streams.graph.definitions import StoreDef
from streams.operators.stored import StoredForm
from streams.transport.committed import read_committed
from streams.transport.contract import TopicPartition, Transport
from streams.windows import Windowed


class Versions:
    """The versions that the changelog of a versioned table tells of. Their time is that of the latest."""

    def __init__(self, name: str, history_ms: int) -> None:
        self._name = name
        self._backend = MemoryBackend()
        self._backend.open_store(name)
        self.store = VersionedLayer(PendingStore(name, self._backend), history_ms)

    def take(self, part: records.Records) -> None:
        """Takes records of the changelog; one that was taken before changes nothing."""
        times = part.timestamps.tolist()
        entries = dict(zip(part.keys(), stamp_many(part.values(), times), strict=True))
        keys = sorted(key for key in entries if key is not None)
        self._backend.write([Changes(self._name, keys, [entries[key] for key in keys])])
        self.store.forget()
        self.store.advance(max(times))

    def latest(self) -> dict[bytes, bytes]:
        """The latest value of each key."""
        with self.store.scan() as rows:
            return {key: value for key, value, _ in rows}


class ClientTable:
    """A read-only table. Keys of a windowed one are `Windowed(key, start, end)`."""

    def __init__(self, transport: Transport, store: StoreDef) -> None:
        self._transport = transport
        self._store = store
        self._form = StoredForm(store)
        self._rows: dict[bytes, bytes] = {}
        self._positions: dict[TopicPartition, int] | None = None
        self._following = asyncio.Lock()
        self._versions = Versions(store.name, store.history_ms) if store.history_ms is not None else None

    async def get(self, key: Any, default: Any = None, *, as_of: int | None = None) -> Any:
        """The value of a key; `default` if the table lacks it. `as_of` (ms), for a versioned table: the value then.

        Raises StreamsError for a time asked of a table that is not versioned.
        """
        await self._follow()
        if self._versions is not None:
            version = self._versions.store.get(self._form.entry(key), as_of)
            return default if version is None else self._form.decode(version.value)
        if as_of is not None:
            raise StreamsError(
                f"table {self._store.name!r} keeps only the latest values, and is asked for one as of {as_of}"
            )
        payload = self._rows.get(self._form.entry(key))
        return default if payload is None else self._form.decode(payload)

    async def window(self, key: Any, timestamp: int) -> Any:
        """The value of a key in the latest window that holds `timestamp` (ms), None if there is none: of windows that
        overlap the one that begins last.
        """
        found = self._form.latest_window(timestamp)
        if found is not None:
            return await self.get(Windowed(key, *found))
        holding = [value async for window, value in self.windows(key) if window.start <= timestamp <= window.end]
        return holding[-1] if holding else None

    async def windows(self, key: Any) -> AsyncIterator[tuple[Windowed[Any], Any]]:
        """(key in its window, value) of every window of a key, earliest first: of sessions, each."""
        found = [(window, value) async for window, value in self.items() if window.key == key]
        for one in sorted(found, key=lambda one: (one[0].start, one[0].end)):
            yield one

    async def items(self) -> AsyncIterator[tuple[Any, Any]]:
        """(key, value) of every entry, in the order of the stored keys."""
        async for row in self._between(b"", None):
            yield row

    async def range(self, start: Any, stop: Any) -> AsyncIterator[tuple[Any, Any]]:
        """(key, value) of entries with start <= key < stop, by the bytes of the keys."""
        async for row in self._between(self._form.entry(start), self._form.entry(stop)):
            yield row

    async def _between(self, low: bytes, high: bytes | None) -> AsyncIterator[tuple[Any, Any]]:
        """As they are now, whatever is read meanwhile."""
        await self._follow()
        rows = self._rows if self._versions is None else self._versions.latest()
        for store_key, payload in sorted(rows.items()):
            if low <= store_key and (high is None or store_key < high):
                yield self._form.key(store_key), self._form.decode(payload)

    async def _follow(self) -> None:
        """Reads what was added to the changelog; one at a time, or an old value could come over a new one."""
        async with self._following:
            await self._read_on()

    async def _read_on(self) -> None:
        info = (await self._transport.describe([self._store.changelog])).get(self._store.changelog)
        if info is None:
            return
        tps = [TopicPartition(self._store.changelog, partition) for partition in range(info.partitions)]
        if self._positions is None:
            self._positions = await self._transport.earliest(tps)
        ends = await self._transport.latest(tps)
        while waiting := {tp: at for tp, at in self._positions.items() if at < ends[tp]}:
            for fetched in await self._transport.fetch(waiting, wait_ms=1_000):
                for _, data in read_committed(fetched):
                    self._take(records.decode(data), fetched.start_offset)
                self._positions[fetched.tp] = fetched.next_offset

    def _take(self, part: records.Records, from_offset: int) -> None:
        if self._versions is not None:
            return self._versions.take(part)
        for offset, key, value in zip(part.offsets.tolist(), part.keys(), part.values(), strict=True):
            if key is None or offset < from_offset:
                continue
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
