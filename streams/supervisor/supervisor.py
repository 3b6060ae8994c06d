"""Looks after the workers of an app: starts them, starts again who dies, adds up, and ends them together."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from streams.runtime.cut_short import done_before
from streams.runtime.observer import Observer, Reason
from streams.supervisor.child import Child, Say
from streams.supervisor.keeper import GaveUpError, Keeper
from streams.supervisor.messages import AtEnd, Began, Check, Status
from streams.supervisor.restarts import how
from streams.supervisor.sums import summary, total
from streams.supervisor.waves import Waves

TICK_S = 1.0

log = logging.getLogger("streams.supervisor")


class Crew(NamedTuple):
    """What is to run: `workers` processes of `command`, and when they have ended one more, number 0, for the `reports`;
    before them all and longer than they, that of `broker`.
    """

    workers: int
    command: Sequence[str]
    broker: Sequence[str] | None = None
    until_end: bool = False
    reports: bool = False


async def nothing() -> None:
    """Nothing to do."""


class Supervisor:
    """Keeps a crew running. `out` and `err` get the lines that the processes write, those of `err` with who wrote them.

    `before` is awaited when the broker is there and before the first worker is started.
    """

    def __init__(
        self, crew: Crew, observer: Observer, *, out: Say, err: Say, before: Callable[[], Awaitable[None]] = nothing
    ) -> None:
        self._crew = crew
        self._observer = observer
        self._out, self._err = out, err
        self._before = before
        self._workers = [self._keeper(f"worker {n}", n, crew.command) for n in range(1, crew.workers + 1)]
        self._broker = None if crew.broker is None else self._keeper("the broker", 0, crew.broker)
        self._began_s = time.monotonic()
        self._waves = Waves()
        self._is_known = False
        self._stopping = asyncio.Event()
        self._failure: GaveUpError | None = None
        self._reporter: Child | None = None

    def _keeper(self, name: str, number: int, command: Sequence[str]) -> Keeper:
        label = f"[{number or 'broker'}] "
        return Keeper(
            name,
            number,
            command,
            out=self._out,
            err=lambda line: self._err(label + line),
            hear=self._heard,
            known=lambda: self._is_known,
        )

    async def run(self) -> int:
        """Until all have ended; gives the exit code: 0, or that of the worker that could not be kept running."""
        try:
            await self._run()
        finally:
            self.kill()
        if self._failure is not None:
            return max(1, self._failure.code)
        return 1 if self._reason() == "failed" else 0

    def _tell_the_end(self) -> None:
        if self._failure is not None:
            log.error("%s", self._failure)
        counts = [keeper.counts for keeper in self._workers]
        self._observer.stopped(summary(counts, self._reason(), self._began_s))

    async def _report(self) -> None:
        """Lets one process show what all have done together."""
        if self._crew.reports and self._is_known and self._reason() != "failed":
            self._reporter = await Child.start(
                self._crew.command, 0, out=self._out, err=self._err, hear=lambda status: None
            )
            if code := await self._reporter.ended():
                self._failure = GaveUpError(f"the report has failed: {how(code)}", code)
                log.error("%s", self._failure)

    async def _run(self) -> None:
        broker = asyncio.create_task(self._keep_broker())
        ticking = asyncio.create_task(self._tick())
        try:
            if await done_before(self._stopping, self._prepare()):
                await asyncio.gather(*map(self._keep, self._workers))
            self._tell_the_end()
            await self._report()
        finally:
            ticking.cancel()
            if self._broker is not None:
                self._broker.stop()
            await asyncio.gather(ticking, broker, return_exceptions=True)

    async def _prepare(self) -> None:
        if self._broker is not None:
            await self._broker.began.wait()
        await self._before()

    def _reason(self) -> Reason:
        codes = {keeper.code for keeper in self._workers} - {0, None, -signal.SIGTERM}
        if self._failure is not None or codes:
            return "failed"
        return "signal" if self._stopping.is_set() else "end"

    def stop(self) -> None:
        """Lets the workers commit what they have done and end."""
        self._stopping.set()
        for keeper in self._workers:
            keeper.stop()

    def kill(self) -> None:
        """Ends every process at once. May be called by a signal handler."""
        for process in (*self._workers, self._broker, self._reporter):
            if process is not None:
                process.signal(signal.SIGKILL)

    # -- processes

    async def _keep(self, keeper: Keeper) -> None:
        try:
            await keeper.keep()
        except GaveUpError as error:
            self._fail(error)
        self._look_at_waves()

    async def _keep_broker(self) -> None:
        if self._broker is not None:
            try:
                await self._broker.keep()
            except GaveUpError as error:
                self._fail(error)

    def _fail(self, error: GaveUpError) -> None:
        self._failure = self._failure or error
        self.stop()

    # -- what they tell

    def _heard(self, keeper: Keeper, status: Status) -> None:
        if isinstance(status, Began) and status.info is not None:
            if not self._is_known:
                self._is_known = True
                self._observer.started(status.info._replace(workers=self._crew.workers))
            self._waves.forget()
            self._ask()
        elif isinstance(status, AtEnd):
            self._waves.answered(keeper.number, status.wave, status.moved)
            self._look_at_waves()

    def _look_at_waves(self) -> None:
        if not self._crew.until_end:
            return
        at_work = {keeper.number: keeper for keeper in self._workers if keeper.is_at_work}
        all_at_end = self._waves.complete(at_work)
        if all_at_end is False:
            self._ask()
        elif all_at_end:
            for keeper in at_work.values():
                keeper.finish()

    def _ask(self) -> None:
        if self._crew.until_end:
            for keeper in self._workers:
                keeper.tell(Check(self._waves.wave))

    async def _tick(self) -> None:
        """Adds up what the workers have told."""
        while True:
            await asyncio.sleep(TICK_S)
            counts = [keeper.counts for keeper in self._workers]
            if any(each.fresh for each in counts):
                for each in counts:
                    each.fresh = False
                self._observer.progress(total(counts, time.monotonic() - self._began_s))
