"""Everything a worker runs: transport, topics, producer, stores, tasks, sources, commit. `assembling.py` puts it
together.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from streams.app import App, AtWork
from streams.graph.plan import Plan
from streams.operators.outputs import Outputs
from streams.runtime.arrivals import Arrivals
from streams.runtime.commit import Commit
from streams.runtime.conditions import Conditions
from streams.runtime.folders import Folders
from streams.runtime.input import Input
from streams.runtime.lags import Lags
from streams.runtime.left_open import LeftOpen
from streams.runtime.membership import Membership
from streams.runtime.observer import Restoring
from streams.runtime.parts import Parts
from streams.runtime.restore import Restore
from streams.runtime.sharing import Sharing
from streams.runtime.standby import Standbys
from streams.runtime.tasks import Tasks
from streams.runtime.topics import Topics
from streams.runtime.totals import Totals
from streams.runtime.whereabouts import Whereabouts
from streams.transport.contract import GroupIdentity, Producer, TopicPartition, Transport

if TYPE_CHECKING:
    from streams.rpc.worker import WorkerRpc

log = logging.getLogger("streams.worker")

PURGE_RECORDS = 100_000
"""Processed records of a repartition partition after which they are deleted there."""


class Assembly:
    """The parts of a running worker. `membership` is its part in the group of the app; without it all tasks there are
    are its own.
    """

    def __init__(
        self,
        app: App,
        plan: Plan,
        transport: Transport,
        topics: Topics,
        producer: Producer,
        conditions: Conditions,
        where: str,
        *,
        name: str,
        opened: AsyncExitStack,
        folders: Folders,
        membership: Membership | None = None,
        before: Assembly | None = None,
    ) -> None:
        self.app = app
        self.settings = app.settings
        self.plan = plan
        self.transport = transport
        self.topics = topics
        self.producer = producer
        self.where = where
        self.name = name
        self.conditions = conditions
        self.woken = asyncio.Event()
        self.membership = membership
        if membership is not None:
            membership.wake = self.woken.set
            membership.lags, membership.followed = lambda: self.lags(), lambda: self.standbys.wanted
            membership.missed = lambda names: self.left_open.end(names)
        self.asked_topics = frozenset(_asked_topics(app))
        """What is for these is sent with the commit and not ahead of it. An agent's request would lie behind it, unseen
        until the commit that waits for the agent."""
        self.service: WorkerRpc | None = None if before is None else before.service
        self._opened = opened
        self.folders = folders
        self.earlier = Totals() if before is None else before.totals()
        self._purged: dict[TopicPartition, int] = {}
        self._whereabouts = Whereabouts(plan, topics, transport)
        self._parts = Parts(app, plan, topics, folders, conditions)
        self.extra: Outputs = self._parts.outputs() if before is None else before.extra
        self.globals = self._parts.global_tables(self.extra)
        self._tell: Callable[[Restoring], None] = lambda event: None
        self.restore = Restore(
            transport, lambda event: self._tell(event), gather_bytes=self.settings.state_memory_bytes // 2
        )
        self.standbys = Standbys(
            self._parts,
            self._whereabouts,
            transport,
            folders,
            acceptable_lag=app.settings.acceptable_recovery_lag,
            warm=lambda name: None if membership is None else membership.rejoin(f"{name} is warm"),
            is_busy=lambda: not all(task.drained() for task in self.tasks),
            failed=lambda error: self.work.arrivals.fail(error),
        )
        self.left_open = LeftOpen(app.settings, transport)
        self.lags = Lags(app.settings, self._parts, self._whereabouts, transport, folders, self.standbys.lags)
        arrivals = Arrivals(
            *(self._parts, self._whereabouts, transport, self.restore),
            standby=self.standbys.give,
            wake=self.woken.set,
        )
        self.work = Tasks(self._parts, arrivals)
        self.sharing = Sharing(membership, self.work, self.standbys, self._parts.names, self.woken)
        self.input = Input(app.id, transport, self.work, self.sharing, membership)
        self.tasks, self.ingests = self.work.open, self.work.ingests
        self.queue_of = self.work.queue_of
        self.commit = Commit(
            producer,
            self.tasks,
            self.ingests,
            self.extra,
            self._parts.outputs(),
            transactional=_is_exactly_once(app),
            partitions=topics.partitions,
            changelog_of=self._whereabouts.changelog_of,
            source_checkpoint=self._whereabouts.source_of,
            coming=lambda: self.work.coming,
            identity=(lambda: GroupIdentity(app.id)) if membership is None else membership.identity,
            settled=None if membership is None else membership.settled,
        )

    # -- opening

    @property
    def names(self) -> list[str]:
        """The tasks and sources of the app, those of all its workers together."""
        return self._parts.names

    async def open(self, tell: Callable[[Restoring], None]) -> None:
        """Everything there is of the app, restored and open where the last commit left it."""
        await self.begin(tell)
        self.work.arrivals.begin(self.names)
        while self.work.coming:
            await self.woken.wait()
            self.woken.clear()
            self.work.open_ready()

    async def begin(self, tell: Callable[[Restoring], None]) -> None:
        """Loads the global tables; from here on tasks and sources may come."""
        self._tell = tell
        await self.globals.load(self.transport, tell)
        if self.conditions.replay:
            self.work.limits = await self.transport.latest(self._outside())
        at_work = AtWork(
            self.extra,
            lambda: [self.globals.context, *(task.context for task in self.tasks)],
            self.conditions.now_ms,
            self.woken.set,
            rpc=self.rpc,
        )
        if (membership := self.membership) is not None:
            at_work = replace(at_work, is_leader=membership.is_leader, owner=membership.owner)
        self.app.worker = at_work
        if membership is not None:
            await self.lags.start()
            self.work.arrivals.begin(membership.owned)

    def rpc(self) -> WorkerRpc:
        """What asks agents for the app's code, and answers for its agents."""
        if self.service is None:
            from streams.rpc.worker import WorkerRpc  # who neither asks nor answers does without

            self.service = WorkerRpc(self.app, self.transport, self.topics.partitions, self.conditions.now_ms)
        return self.service

    # -- while running

    @property
    def is_asked(self) -> bool:
        """Whether its agents were asked just now, so that the next request is not to wait."""
        return self.service is not None and self.service.is_asked

    @property
    def asking(self) -> Collection[str]:
        """The tasks whose agents wait for the answer of another."""
        return () if self.service is None else self.service.asking

    @property
    def records(self) -> int:
        """Records taken from topics, not counting repeats through repartition topics."""
        return self.earlier.records + self.work.records_before + sum(task.records for task in self.tasks)

    @property
    def commits(self) -> int:
        """Commits since the start of the worker."""
        return self.earlier.commits + self.commit.count

    def totals(self) -> Totals:
        """Everything that is counted, since the start of the worker."""
        return Totals(
            self.records,
            self.commits,
            self.earlier.restored + self.restore.records,
            self.earlier.dropped + self._parts.dropped(),
        )

    def state_memory_bytes(self) -> int:
        """What the stores take in memory: of RocksDB its cache and write buffers, of stores in memory their entries."""
        if self.settings.store == "memory":
            return sum(backend.size_bytes() for backend in self.folders.backends())
        from state.budget import StateMemory

        return StateMemory.shared().memory_bytes()

    def _outside(self) -> list[TopicPartition]:
        """Source partitions that others than this app write."""
        own = self.plan.produced | self.asked_topics | {source.topic.name for source in self.app.sources}
        read = {source.topic.name for sub in self.plan.subtopologies for source in sub.sources} - own
        return [TopicPartition(name, at) for name in sorted(read) for at in range(self.topics.partitions(name))]

    def collecting_s(self) -> float:
        """For how many seconds a commit may be put off, because a step is collecting records."""
        until = min((at for task in self.tasks if (at := task.pending) is not None), default=None)
        return 0.0 if until is None else (until - self.conditions.now_ms()) / 1000

    def until_due_s(self) -> float:
        """In how many seconds the clock on the wall alone gives something to do, infinite if never: a processor's call
        is due, or a task has waited for more records long enough.
        """
        due = [at for task in self.tasks for at in (task.next_wall_ms, task.choice.waits_until_ms) if at is not None]
        return max(0.0, (min(due) - self.conditions.now_ms()) / 1000) if due else math.inf

    async def purge(self) -> None:
        """Deletes what was processed from repartition topics, now and then, and writes down how far stores are."""
        self.folders.note()
        due = {
            queue.tp: queue.consumed
            for task in self.tasks
            for queue in task.queues
            if queue.source.node.topic.internal and queue.consumed - self._purged.get(queue.tp, 0) >= PURGE_RECORDS
        }
        if due:
            await self.transport.delete_records(due)
            self._purged.update(due)

    async def close(self, *, leave: bool = True) -> list[Exception]:
        """Lets everything go; with `leave` the others get at once what this worker had. What was not committed is
        dropped: it will be read again. Gives what went wrong, having closed the rest all the same.
        """
        self.app.worker = None
        errors = await self._end_work()
        if self.service is not None:
            await _attempt(self.service.close, errors)
        errors += self.folders.close_all()
        if self.membership is not None:
            await _attempt(partial(self.membership.end, leave=leave), errors)
        await _attempt(self._opened.aclose, errors)
        return errors

    async def _end_work(self) -> list[Exception]:
        """Ends what runs and the producer; the stores stay open, and the transport."""
        errors: list[Exception] = []
        await self.work.close(lambda close: _attempt(close, errors))
        await _attempt(self.standbys.close, errors)
        await _attempt(self.lags.close, errors)
        await _attempt(self.left_open.close, errors)
        await _attempt(self.producer.close, errors)
        return errors

    async def again(self) -> Assembly:
        """The same anew, over the same transport and stores, as the last commit left them: what is in memory is
        dropped, but for records that timers wait to send.
        """
        for error in await self._end_work():
            log.warning("while ending what the last commit left: %s", error)
        producer = await start_producer(self.app, self.transport, self.name)
        for task in self.tasks:
            task.stores.abandon()
        self.globals.stores.abandon()
        if self.membership is not None:
            for name in set(self.names) - self.membership.owned:
                self._parts.release(name)
            self.membership.dropped()
        return Assembly(
            *(self.app, self.plan, self.transport, self.topics, producer, self.conditions, self.where),
            name=self.name,
            opened=self._opened,
            folders=self.folders,
            membership=self.membership,
            before=self,
        )


def _asked_topics(app: App) -> Iterator[str]:
    """Where requests to agents go that other agents use, or timers and tasks."""
    from streams.discovery import agents_used

    beside = [*(call.function for call in app.timers), *app.background, *app.leader_tasks]
    functions = [*(agent.function for agent in app.agents), *beside]
    asked = {other.name: other for function in functions for other in agents_used(function)}
    if asked:
        from streams.rpc.questions import address

        yield from (address(agent)[0].name for agent in asked.values() if agent.app is app)


async def _attempt(work: Callable[[], Awaitable[None] | None], errors: list[Exception]) -> None:
    try:
        if (result := work()) is not None:
            await result
    except Exception as error:  # noqa: BLE001 - handed to the caller with the others
        errors.append(error)


def _is_exactly_once(app: App) -> bool:
    return app.settings.processing_guarantee == "exactly_once"


async def start_producer(app: App, transport: Transport, name: str) -> Producer:
    """The producer of the worker of that name; what the one before has left open is ended."""
    timeout_ms = app.settings.transaction_timeout_ms
    own = name if _is_exactly_once(app) else None
    producer = transport.producer(transactional_id=own, transaction_timeout_ms=timeout_ms)
    await producer.start()
    return producer
