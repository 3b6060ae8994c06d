"""How far the state is that lies at a worker's place, which its group goes by when it gives out tasks (KIP-441).

That of folders that nobody has open here is looked up now and then: what they have is written down in them, what they
lack is known from the ends of their changelogs. That of tasks which this worker follows is known at any moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from state.api import Checkpoint
from streams.config import Settings
from streams.graph.plan import SubTopology
from streams.runtime.folders import Folders
from streams.runtime.parts import Parts
from streams.runtime.state_folders import dormant
from streams.runtime.whereabouts import Whereabouts
from streams.transport.contract import TopicPartition, Transport, TransportError

LOOK_S = 30.0
"""How often it is looked what lies at the place."""
FIRST_LOOK_S = 1.0
"""So long a start waits for the first look, which the offsets of a transaction may hold up that nobody ends."""

log = logging.getLogger(__name__)


class _Task(NamedTuple):
    sub: SubTopology
    partition: int


class _Log(NamedTuple):
    """Where a store is read from, and how far it is; `by_group`: as far as the group has committed, and no further."""

    task: str
    tp: TopicPartition
    offset: int
    by_group: bool


class Lags:
    """Called, it gives how many records of changelogs the state at this place lacks, by task. `followed` is that of the
    standbys. What has lain there unused for too long is removed.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        whereabouts: Whereabouts,
        transport: Transport,
        folders: Folders,
        followed: Callable[[], Mapping[str, int]],
    ) -> None:
        self._folders = folders
        self._settings, self._parts, self._whereabouts, self._transport = settings, parts, whereabouts, transport
        self._followed = followed
        self._dormant: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None

    def __call__(self) -> dict[str, int]:
        return {**self._dormant, **self._followed()}

    async def start(self) -> None:
        """Looks, and from here on again and again until `close`."""
        looked = asyncio.Event()
        self._looking = asyncio.create_task(self._keep_looking(looked), name="lags")
        first = asyncio.ensure_future(looked.wait())
        await asyncio.wait({first, self._looking}, timeout=FIRST_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        first.cancel()

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def look(self) -> None:
        """Looks what lies at this place, and how far the changelogs are by now. Of a task with short changelogs a place
        lacks little even if nothing of it lies there.
        """
        found = dormant(self._settings)
        logs = [one for name in self._parts.tasks for one in self._logs(name, found.get(name, {}))]
        if logs:
            tps, by_group = {one.tp for one in logs}, {one.tp for one in logs if one.by_group}
            starts, ends = await self._transport.earliest(tps), await self._transport.latest(tps)
            committed = await self._transport.committed(self._settings.id, by_group) if by_group else {}
            ends |= {tp: starts[tp] if at is None else at.offset for tp, at in committed.items()}
        lags = {one.task: 0 for one in logs}
        for one in logs:
            lags[one.task] += max(0, ends[one.tp] - max(one.offset, starts[one.tp]))
        small = self._settings.acceptable_recovery_lag
        self._dormant = {name: lag for name, lag in lags.items() if name in found or lag <= small}

    async def _keep_looking(self, looked: asyncio.Event) -> None:
        while True:
            try:
                await self.look()
            except TransportError as error:
                log.debug("how far the state is that lies here was not to be learned: %s", error)
            looked.set()
            self._folders.forget()
            await asyncio.sleep(LOOK_S)

    def _logs(self, name: str, offsets: Mapping[str, Checkpoint]) -> Iterator[_Log]:
        task = _Task(*self._parts.tasks[name])
        for store in self._parts.stores(name):
            own, source = (
                self._whereabouts.changelog_of(task, store.name),
                self._whereabouts.source_of(task, store.name),
            )
            for found in filter(None, (own, source)):
                tp, topic_id = found
                at = offsets.get(store.name)
                offset = at.offset if at is not None and at.topic_id == topic_id else 0
                yield _Log(name, tp, offset, by_group=own is None)
