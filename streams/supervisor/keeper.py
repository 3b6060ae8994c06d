"""Keeps a process under a supervisor: one at a time, and the next one when it dies."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence

from streams.supervisor.child import Child, Say
from streams.supervisor.messages import Began, Broke, Closed, Finish, Moved, Order, Status
from streams.supervisor.restarts import Restarts, how
from streams.supervisor.sums import Counts

log = logging.getLogger("streams.supervisor")


class GaveUpError(Exception):
    """A process fails again and again; `code` is its last exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Keeper:
    """Keeps one process of a `command` running. `hear` is told what it says, `out` and `err` get its lines. `known`
    says whether the command has ever worked, here or elsewhere.
    """

    def __init__(
        self,
        name: str,
        number: int,
        command: Sequence[str],
        *,
        out: Say,
        err: Say,
        hear: Callable[[Keeper, Status], object],
        known: Callable[[], bool],
    ) -> None:
        self.name = name
        self.number = number
        self.counts = Counts()
        self.began = asyncio.Event()
        self.code: int | None = None
        """Of the last process, once it ended as it should."""
        self._command = command
        self._out, self._err, self._hear, self._known = out, err, hear, known
        self._child: Child | None = None
        self._restarts = Restarts()
        self._ending = asyncio.Event()
        self._is_finishing = False
        self._error: str | None = None
        self._ever_began = False

    async def keep(self) -> None:
        """Until a process ends after `finish` or `stop`. Raises GaveUpError."""
        while not self._ending.is_set():
            self._is_finishing, started_s = False, time.monotonic()
            self._child = await Child.start(self._command, self.number, out=self._out, err=self._err, hear=self._heard)
            if self._ending.is_set():
                self._child.signal(signal.SIGTERM)
            code = await self._child.ended()
            self.began.clear()
            if self._ending.is_set() or (self._is_finishing and code == 0):
                self.code = code
                return
            self.counts.died()
            await self._wait(code, time.monotonic() - started_s, self._child.pid)

    async def _wait(self, code: int, ran_s: float, pid: int) -> None:
        """Before the next process. Raises GaveUpError where there is to be none."""
        wait_s = self._restarts.wait_s(code=code, ran_s=ran_s)
        if code > 0 and not (self._ever_began or self._known()):
            raise GaveUpError(f"{self.name} could not begin: {self._error or how(code)}", code)
        if wait_s is None:
            again = f"{self.name} has failed {self._restarts.failures} times in a row"
            raise GaveUpError(f"{again}, the last time with: {self._error or how(code)}", code)
        log.warning("%s (pid %d) has ended: %s. It is started again in %.1f s", self.name, pid, how(code), wait_s)
        try:
            await asyncio.wait_for(self._ending.wait(), wait_s)
        except TimeoutError:
            return

    def _heard(self, status: Status) -> None:
        if isinstance(status, Began):
            self._ever_began = True
            self.began.set()
        elif isinstance(status, Moved):
            self.counts.moved(status.progress)
        elif isinstance(status, Closed):
            self.counts.closed(status.summary)
        elif isinstance(status, Broke):
            self._error = status.error
        self._hear(self, status)

    def tell(self, order: Order) -> None:
        if self._child is not None:
            self._child.tell(order)

    @property
    def is_at_work(self) -> bool:
        """Whether it has not been told to finish."""
        return self.code is None and not self._is_finishing

    def finish(self) -> None:
        """Let the process end, as there is nothing left to do."""
        self._is_finishing = True
        self.tell(Finish())

    def stop(self) -> None:
        """Let the process commit and end; no other follows."""
        self._ending.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.signal(number)
