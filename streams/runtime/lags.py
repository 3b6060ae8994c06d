"""How far the state is that lies at a worker's place, which its group goes by when it gives out tasks (KIP-441).

That of folders that nobody has open here is looked up now and then: what they have is written down in them, what they
lack is known from the ends of their changelogs. That of tasks which this worker follows is known at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from state.api import Checkpoint
from streams.config import Settings
from streams.graph.plan import SubTopology
from streams.runtime.folders import dormant
from streams.runtime.parts import Parts
from streams.runtime.places import Places
from streams.transport.contract import TopicPartition, Transport


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
    standbys.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        places: Places,
        transport: Transport,
        followed: Callable[[], Mapping[str, int]],
    ) -> None:
        self._settings, self._parts, self._places, self._transport = settings, parts, places, transport
        self._followed = followed
        self._dormant: dict[str, int] = {}

    def __call__(self) -> dict[str, int]:
        return {**self._dormant, **self._followed()}

    async def look(self) -> None:
        """Looks what lies at this place, and how far the changelogs are by now."""
        found = dormant(self._settings)
        logs = [
            log for task, offsets in found.items() if task in self._parts.tasks for log in self._logs(task, offsets)
        ]
        tps = {log.tp for log in logs}
        starts, ends = await self._transport.earliest(tps), await self._transport.latest(tps)
        committed = await self._transport.committed(self._settings.id, {log.tp for log in logs if log.by_group})
        ends |= {tp: starts[tp] if at is None else at.offset for tp, at in committed.items()}
        self._dormant = {log.task: 0 for log in logs}
        for log in logs:
            self._dormant[log.task] += max(0, ends[log.tp] - max(log.offset, starts[log.tp]))

    def _logs(self, name: str, offsets: Mapping[str, Checkpoint]) -> list[_Log]:
        logs = []
        task = _Task(*self._parts.tasks[name])
        for store in self._parts.stores(name):
            own, source = self._places.changelog_of(task, store.name), self._places.source_of(task, store.name)
            for found in filter(None, (own, source)):
                tp, topic_id = found
                at = offsets.get(store.name)
                offset = at.offset if at is not None and at.topic_id == topic_id else 0
                logs.append(_Log(name, tp, offset, by_group=own is None))
        return logs
