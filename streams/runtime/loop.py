"""The loop that owns the flow: fetch, a turn for each task and source, commit when it is time.

A commit comes at once when the input is drained, unless commits already take their share of the processor; at the
latest after `commit_interval_ms`; and earlier when too much is uncommitted. Between turns the event loop is let run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from streams.errors import StreamsError
from streams.operators.outputs import Outputs
from streams.runtime.assembly import Assembly
from streams.runtime.end_of_input import Alone, EndOfInput
from streams.runtime.executor import TURN_S
from streams.runtime.observer import Reason
from streams.runtime.turns import Turns
from streams.transport.contract import TopicPartition

WAIT_MS = 1_000
"""How long an idle fetch waits; new data, a stop or a timer's records end it sooner."""
COMMIT_SHARE = 0.5
"""While there is little to do, commits may take up to this share of a processor, so that results do not wait for the
interval. Waiting for a broker's answer takes nothing from anybody."""
ASKED_SHARE = 0.2
"""And up to this share of the clock's time where agents are asked, which are not answered meanwhile."""
OUTPUTS_EARLY = 4_000
"""Records waiting in memory at which they are sent ahead of the commit. Few enough that they are encoded while they are
in the processor's cache: with 50,000 a join took an eighth longer."""
OUTPUTS_MOST = 100_000
"""Records waiting in memory that force a commit, where they are not to be sent ahead of it."""
ANSWER_S = 5.0
"""So long a worker that is to stop waits for the answers to its agents."""
PROGRESS_S = 1.0


log = logging.getLogger("streams.worker")


class Interrupted(StreamsError):
    """A stop came while a record waited to be tried again, or for an answer: what is not committed is dropped, and read
    again.
    """


class Loop:
    """Runs the tasks and sources of an assembly."""

    def __init__(
        self,
        assembly: Assembly,
        stopping: asyncio.Event,
        *,
        until_end: bool,
        progress: Callable[[int, float], None],
        end: EndOfInput = Alone(),  # noqa: B008 - it has no state
    ) -> None:
        self._assembly = assembly
        self._stopping = stopping
        self._until_end = until_end
        self._end = end
        self._progress = progress
        self._turns = Turns(lambda: assembly.asking)
        self._commit_interval_s = assembly.settings.commit_interval_ms / 1000
        self._committed_s = time.monotonic()
        self._commit_cost_s = 0.0
        self._commit_cpu_s = 0.0
        self._put_off_s: float | None = None
        self._progress_s = time.monotonic()
        self._progress_records = assembly.records

    async def run(self) -> Reason:
        """Until the stop event, or the end of the input."""
        try:
            return await self._run()
        except Interrupted:
            return "signal"
        finally:
            await self.drop_turns()

    async def drop_turns(self) -> None:
        """Ends the turns that go on: nothing of them is to be committed."""
        await self._turns.cancel()

    async def _run(self) -> Reason:
        while not self._stopping.is_set():
            if self._assembly.sharing.due:
                await self._assembly.sharing.share(self.commit)
            worked = await self.round()
            self._report()
            if worked or self._turns:
                if self._over_bound() or self._commit_is_asked() or self._interval_is_over():
                    await self.commit()
                await (asyncio.sleep(0) if worked or not self._turns else self.go_on())
            elif await self._idle():
                return "end"
        await self.commit()
        return "signal"

    async def round(self) -> bool:
        """One fetch, and a turn of each; false when there was nothing to do."""
        got = await self._fetch(0)
        return bool(await self._all_turns() or got)

    @property
    def waits(self) -> bool:
        """Whether a turn goes on whose agent waits for something."""
        return bool(self._turns)

    async def go_on(self, seconds: float | None = None) -> None:
        """Lets turns go on that wait, until one has ended or there is something else to do."""
        if not self._turns:
            return
        fetch = [asyncio.ensure_future(self._fetch(WAIT_MS))] if self._wanted() else []
        await self._first_of(seconds, *fetch, beside=self._turns.going_on)
        for fetched in fetch:
            if not fetched.cancelled():
                fetched.result()

    async def _all_turns(self) -> int:
        worked = 0
        yielded_s = time.monotonic()
        for task in self._assembly.tasks:
            worked += await self._turns.take(task)
            await self._send_early(task.outputs)
            if time.monotonic() - yielded_s > TURN_S:
                await asyncio.sleep(0)
                yielded_s = time.monotonic()
        if worked == 0 or self._interval_is_over():
            # Sources feed when the tasks have caught up, so that what they add does not pile up in the log.
            for ingest in self._assembly.ingests:
                worked += await ingest.turn()
                await self._send_early(ingest.outputs)
        return worked

    async def _send_early(self, outputs: Outputs) -> None:
        if outputs.pending_records >= OUTPUTS_EARLY:
            await self._assembly.commit.send_early(outputs, self._assembly.asked_topics)

    async def _fetch(self, wait_ms: int) -> int:
        shared, wanted = self._assembly.globals, self._wanted()
        if not wanted:
            await asyncio.sleep(wait_ms / 1000)
            return 0
        fetched = await self._assembly.transport.fetch(wanted, wait_ms=wait_ms)
        for part in fetched:
            if part.tp in shared.positions:
                shared.take(part)
            else:
                self._assembly.queue_of[part.tp].offer(part)
        return len(fetched)

    def _wanted(self) -> dict[TopicPartition, int]:
        tasks = [task for task in self._assembly.tasks if task not in self._turns]
        wanted = {queue.tp: queue.fetch_offset for task in tasks for queue in task.wants()}
        return wanted | self._assembly.globals.positions

    async def _idle(self) -> bool:
        """Nothing to process: commit, or wait for something. True at the end of the input."""
        assembly = self._assembly
        if assembly.commit.has_news():
            asked = assembly.is_asked
            apart_s = max(self._commit_cpu_s / COMMIT_SHARE, self._commit_cost_s / ASKED_SHARE if asked else 0.0)
            early_s = self._committed_s + apart_s - time.monotonic()
            if (self._until_end and not asked) or max(early_s, assembly.collecting_s()) <= 0:
                await self.commit()
            elif early_s > 0 and not asked:
                await self._pause(min(early_s, self._commit_interval_s, assembly.until_due_s()))
            else:
                await self._wait(
                    min(max(early_s, assembly.collecting_s()), self._commit_interval_s, assembly.until_due_s())
                )
            return False
        if self._until_end and assembly.input.at_end() and not await assembly.input.expects_more():
            totals = assembly.totals()
            if self._end.reached(totals.records + totals.commits):
                return True
        await self._wait(min(WAIT_MS / 1000, assembly.until_due_s()))
        return False

    async def _pause(self, seconds: float) -> None:
        """Until records of a timer, a stop, or the time is over. Data may wait: it could not be committed yet, and to
        fetch what comes record by record costs more than all that is done with it."""
        await self._first_of(seconds)

    async def _wait(self, seconds: float) -> None:
        """Until there is data, records of a timer, a stop, or the time is over."""
        fetch = asyncio.ensure_future(self._fetch(max(1, int(seconds * 1000))))
        await self._first_of(seconds, fetch)
        if not fetch.cancelled():
            fetch.result()

    async def _first_of(
        self, seconds: float | None, *more: asyncio.Future[Any], beside: Iterable[asyncio.Future[Any]] = ()
    ) -> None:
        own = [*more, asyncio.ensure_future(self._assembly.woken.wait())]
        if not self._stopping.is_set():
            own.append(asyncio.ensure_future(self._stopping.wait()))
        try:
            await asyncio.wait({*own, *beside}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._assembly.woken.clear()
            for waiting in own:
                waiting.cancel()
            await asyncio.gather(*own, return_exceptions=True)

    def _commit_is_asked(self) -> bool:
        """Whether a processor wants a commit."""
        return any(task.context.commit_asked for task in self._assembly.tasks)

    def _over_bound(self) -> bool:
        assembly = self._assembly
        outputs = [*(task.outputs for task in assembly.tasks), *(ingest.outputs for ingest in assembly.ingests)]
        return any(one.pending_records >= OUTPUTS_MOST for one in outputs) or any(
            stores.over_bound() for stores in (*(t.stores for t in self._assembly.tasks), self._assembly.globals.stores)
        )

    def _interval_is_over(self) -> bool:
        """Whether a commit is due, and those who collect records have had the time that they asked for then."""
        now = time.monotonic()
        if now - self._committed_s < max(self._commit_interval_s, self._commit_cost_s):
            return False
        if self._put_off_s is None:
            collecting_s = max(0.0, self._assembly.collecting_s())
            if self._assembly.commit.is_open:  # what has been open for too long the broker ends
                collecting_s = min(collecting_s, self._assembly.settings.transaction_timeout_ms / 2000)
            self._put_off_s = now + collecting_s
        return now >= self._put_off_s

    async def commit(self) -> None:
        """Commits, if there is anything new, when the agents are through with what they have."""
        await self._finish_turns()
        self._put_off_s = None
        await self._assembly.globals.save()
        if not self._assembly.commit.has_news():
            return
        started, started_cpu = time.monotonic(), time.thread_time()
        await self._assembly.commit.run()
        await self._assembly.purge()
        self._committed_s = time.monotonic()
        self._commit_cpu_s = time.thread_time() - started_cpu
        self._commit_cost_s = self._committed_s - started
        log.debug(
            "commit %d: %.1f ms, %.1f of them at work",
            self._assembly.commits,
            1000 * self._commit_cost_s,
            1000 * self._commit_cpu_s,
        )

    async def _finish_turns(self) -> None:
        """Raises Interrupted when the worker is to stop, and an agent has waited long for another's answer."""
        began_s = time.monotonic()
        while True:
            self._turns.close()
            if not self._turns:
                await self._turns.hand_over(self._assembly.tasks)
            if not self._turns:
                break
            if not await self.round():
                await self.go_on(ANSWER_S)
            if self._stopping.is_set() and self._assembly.asking and time.monotonic() - began_s > ANSWER_S:
                raise Interrupted("the worker was stopped while an agent waited for an answer")
        self._turns.open()

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._progress_s >= PROGRESS_S:
            records = self._assembly.records
            self._progress(records, (records - self._progress_records) / (now - self._progress_s))
            self._progress_s, self._progress_records = now, records
