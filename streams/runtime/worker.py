"""The worker: from an app to running tasks, and back to nothing running.

It plans the app, makes its topics, opens and restores the stores, then loops: fetch, one turn for each task and source,
commit. One coroutine owns all of this; timers and the user's tasks run beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from streams.operators.base import NO_TIME
from streams.runtime.assembling import assemble
from streams.runtime.assembly import Assembly
from streams.runtime.background import Background
from streams.runtime.conditions import Conditions, Sleep, wall_ms
from streams.runtime.cut_short import done_before
from streams.runtime.end_of_input import Alone, EndOfInput
from streams.runtime.loop import Interrupted, Loop
from streams.runtime.membership import LostMembershipError
from streams.runtime.observer import Dropped, Failed, Observer, Progress, Reason, Started, Stopped
from streams.runtime.totals import Totals
from streams.transport.contract import FencedError, UnknownOutcomeError

if TYPE_CHECKING:
    from streams.app import App
    from streams.transport.contract import Transport

UNKNOWN_OUTCOMES_MAX = 5
"""After so many without a commit in between, going on from the last one makes no sense."""

log = logging.getLogger("streams.worker")


class Worker:
    """Runs one app in this process.

    `until_end`: process what is there, then stop, if `end` says so. `now_ms` is the wall clock, `sleep` waits so many
    seconds before a record is tried again. `slot` and `serves` are those of `Conditions`. `transport` None opens the
    one that the settings name.
    """

    def __init__(
        self,
        app: App,
        observer: Observer,
        *,
        until_end: bool = False,
        end: EndOfInput = Alone(),  # noqa: B008 - it has no state
        slot: int | None = None,
        serves: bool = True,
        now_ms: Callable[[], int] = wall_ms,
        sleep: Sleep = asyncio.sleep,
        transport: Transport | None = None,
    ) -> None:
        self.app = app
        self.observer = observer
        self._until_end = until_end
        self._end = end
        self._slot = slot
        self._serves = serves
        self._now_ms = now_ms
        self._sleep = sleep
        self._transport = transport
        self._stopping = asyncio.Event()
        self._started_s = time.monotonic()
        self.assembly: Assembly | None = None
        self.loop: Loop | None = None
        self._member: asyncio.Task[None]
        self._compiling: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Asks the worker to commit what it has done and end."""
        self._stopping.set()

    async def run(self) -> Stopped:
        """Runs until stopped, or to the end of the input. Raises what made it fail, after everything is closed."""
        reason: Reason = "failed"
        failure: BaseException | None = None
        try:
            if await done_before(self._stopping, self._start()):
                reason = await self._work()
                self.observer.ending()
            else:
                reason = "signal"
        except BaseException as error:  # noqa: BLE001 - raised below, when everything is closed
            failure = error
            self._tell(error)
        for left_open in await self._close(reason):
            log.warning("while closing: %s", left_open)
            if failure is None:
                failure = left_open
                self._tell(left_open)
        summary = self._summary(reason if failure is None else "failed")
        self.observer.stopped(summary)
        if failure is not None:
            raise failure
        return summary

    async def _close(self, reason: Reason) -> list[Exception]:
        if self._compiling is not None:
            self._compiling.cancel()
            await asyncio.wait([self._compiling])
        if self.assembly is None:
            return []
        membership = self.assembly.membership
        return await self.assembly.close(leave=membership is None or reason == "end" or not membership.stays)

    def _tell(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self.observer.failed(Failed(error, getattr(error, "task", None)))

    async def _start(self) -> None:
        conditions = Conditions(
            now_ms=self._now_ms,
            sleep=self._back_off,
            replay=self._until_end,
            shares=True,
            slot=self._slot,
            serves=self._serves,
        )
        self.assembly = await assemble(self.app, self._transport, conditions)
        self.observer.started(self._info(self.assembly))
        await self.assembly.begin(self.observer.restoring)
        assert self.assembly.membership is not None
        self._member = await self.assembly.membership.join()
        await self.assembly.sharing.gather()
        if self.app.settings.compiled == "auto":
            from streams.compiling.readiness import get_ready

            self._compiling = asyncio.create_task(get_ready(self.app.settings.compiled_dir))

    async def _work(self) -> Reason:
        background = Background(self.app, self._now_ms)
        async with background:
            working = asyncio.ensure_future(self._process())
            try:
                ends = {working, background.failed, self._member}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
            finally:  # whoever cancels the worker closes what the loop works on
                if not working.done():
                    self._stopping.set()
                    working.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await working
            if background.failed.done():
                raise background.failed.result()
            if self._member.done():  # another process has the seat, or the group does not take it
                self._member.result()
            return working.result()

    async def _process(self) -> Reason:
        """Runs the loop. After a commit whose outcome is not known, what is in memory is dropped and the log read
        again: it says what happened. So it is when the broker has ended the transaction, as after the machine slept.
        """
        in_a_row = 0
        event_loop = asyncio.get_running_loop()
        self._end.begin(partial(event_loop.call_soon_threadsafe, self._look_again))
        while True:
            assert self.assembly is not None
            assembly = self.assembly
            self.loop = Loop(
                assembly, self._stopping, until_end=self._until_end, end=self._end, progress=self._progress
            )
            try:
                return await self.loop.run()
            except (UnknownOutcomeError, FencedError) as error:
                if not isinstance(error, LostMembershipError) or assembly.records > assembly.earlier.records:
                    in_a_row = 1 if assembly.commit.count else in_a_row + 1
                if in_a_row > UNKNOWN_OUTCOMES_MAX:
                    raise
                log.warning("going on from the last commit, as the log tells it: %s", error)
                if isinstance(error, FencedError) and not await self._has_its_seat(assembly):
                    return "signal"
            self.assembly = await assembly.again()
            await self.assembly.begin(self.observer.restoring)
            if not await done_before(self._stopping, self.assembly.sharing.gather()):
                return "signal"

    async def _has_its_seat(self, assembly: Assembly) -> bool:
        """Raises FencedError if another process has it, who must not be shut out in turn; False: it was stopped."""
        return assembly.membership is None or await done_before(self._stopping, assembly.membership.confirm())

    def _look_again(self) -> None:
        """Ends the waiting of a loop that has nothing to do."""
        if self.assembly is not None:
            self.assembly.woken.set()

    async def _back_off(self, seconds: float) -> None:
        """Waits before a record is tried again. A stop does not wait for it."""
        if not await done_before(self._stopping, self._sleep(seconds)):
            raise Interrupted("the worker was stopped while a record waited to be tried again")

    def _info(self, assembly: Assembly) -> Started:
        app = self.app
        return Started(
            app_id=app.id,
            transport=assembly.where,
            data_dir=str(app.settings.data_dir),
            topics=tuple(sorted(topic.name for topic in assembly.plan.topics.values() if not topic.internal)),
            sources=tuple(source.name for source in app.sources),
            agents=tuple(agent.name for agent in app.agents),
            tables=tuple(sorted(assembly.plan.stores)),
            tasks=len(assembly.names),
            guarantee=app.settings.processing_guarantee,
        )

    def _progress(self, records: int, rate: float) -> None:
        assert self.assembly is not None
        totals = self.assembly.totals()
        self.observer.progress(
            Progress(
                records,
                rate,
                totals.commits,
                sum(max(0, queue.end_offset - queue.consumed) for task in self.assembly.tasks for queue in task.queues),
                max((at for task in self.assembly.tasks if (at := task.stream_time) != NO_TIME), default=None),
                time.monotonic() - self._started_s,
                _dropped(totals),
            )
        )

    def _summary(self, reason: Reason) -> Stopped:
        totals = Totals() if self.assembly is None else self.assembly.totals()
        elapsed_s = time.monotonic() - self._started_s
        return Stopped(reason, totals.records, totals.commits, elapsed_s, _dropped(totals))


def _dropped(totals: Totals) -> tuple[Dropped, ...]:
    return tuple(Dropped(step, reason, count) for (step, reason), count in sorted(totals.dropped.items()))
