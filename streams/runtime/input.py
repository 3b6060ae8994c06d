"""How far a worker is with its input, for one that is to end when all of it is processed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from streams.runtime.membership import Membership
from streams.runtime.sharing import Sharing
from streams.runtime.tasks import Tasks
from streams.transport.contract import TopicPartition, Transport

log = logging.getLogger("streams.worker")


class Input:
    """Of the worker whose tasks are in `work`. Its `limits` are how far topics are read that others write; what the app
    writes itself is read to its end, wherever that is by then.
    """

    def __init__(
        self, group: str, transport: Transport, work: Tasks, sharing: Sharing, membership: Membership | None
    ) -> None:
        self._group = group
        self._transport = transport
        self._work = work
        self._sharing = sharing
        self._membership = membership
        self._awaited: list[str] = []

    def at_end(self) -> bool:
        """All that was there is processed: sources are finished, every partition is read, foreign topics as far as
        they went at start.
        """
        if self._work.coming or self._sharing.due or not all(ingest.finished for ingest in self._work.ingests):
            return False
        if self._membership is not None and not self._membership.is_settled:
            return False
        limits = self._work.limits
        return all(
            queue.consumed >= limits[queue.tp] if queue.tp in limits else queue.is_empty() and not queue.lagging()
            for task in self._work.open
            for queue in task.queues
        )

    async def expects_more(self) -> bool:
        """Whether records that the app has written are on their way to a task of its, in a transaction whose decision
        its partition has not been told yet; or a task that is elsewhere is not at its end: who has that may be gone, or
        have something for this worker.
        """
        own = {tp: queue.fetch_offset for tp, queue in self._work.queue_of.items() if tp not in self._work.limits}
        if own:
            ends = await self._transport.latest(own, "read_uncommitted")
            if any(ends[tp] > offset for tp, offset in own.items()):
                return True
        behind = await self._behind({} if self._membership is None else self._membership.elsewhere)
        if behind and not self._awaited:
            log.info("at the end of its own input; goes on until other workers are, with %s", ", ".join(behind))
        self._awaited = behind
        return bool(behind)

    async def _behind(self, partitions: Mapping[str, Iterable[TopicPartition]]) -> list[str]:
        """Those of the tasks (`partitions` has what each reads) whose committed offsets are before the end: that of
        `limits`, else of the log with all that is not decided yet.
        """
        tps = {tp for read in partitions.values() for tp in read}
        if not tps:
            return []
        committed = await self._transport.committed(self._group, tps)
        began = await self._transport.earliest([tp for tp in tps if committed[tp] is None])
        limits = self._work.limits
        ends = await self._transport.latest(tps - limits.keys(), "read_uncommitted") | dict(limits)

        def is_behind(tp: TopicPartition) -> bool:
            known = committed[tp]
            return ends[tp] > (began[tp] if known is None else known.offset)

        return [task for task, read in partitions.items() if any(map(is_behind, read))]
