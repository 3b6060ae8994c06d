"""Where logs begin and end, and what is there since a time: questions that are one request, ListOffsets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from broker_embedded.wire.messages.records import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP
from streams.transport.contract import Isolation, TopicPartition


class LogOffsets(ABC):
    """The part of a `Transport` that it has by `list_offsets`."""

    @abstractmethod
    async def list_offsets(
        self, tps: Iterable[TopicPartition], timestamp: int, isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        """The offset of each log for a time, or for one of the times that stand for something; -1 where none is."""

    async def earliest(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self.list_offsets(tps, EARLIEST_TIMESTAMP)

    async def latest(
        self, tps: Iterable[TopicPartition], isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        return await self.list_offsets(tps, LATEST_TIMESTAMP, isolation)

    async def at_time(self, tps: Iterable[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        tps = list(tps)
        found = await self.list_offsets(tps, ms)
        missing = [tp for tp in tps if found[tp] < 0]
        return found | await self.latest(missing) if missing else found
