"""Test control over any request: wait, answer with an error, or crash, before it is handled or after.

A cluster has none of this until its `faults` is set, so it costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broker_embedded.errors import error_class

if TYPE_CHECKING:
    from broker_embedded.wire.messages import Request


class SimulatedCrash(BaseException):
    """The process is gone at this point. Not an Exception, so that nothing on the way up handles it."""


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests of an API key (None: of any).

    In order: wait for `until`, wait `delay_ms`, crash, raise the error of a code. With `after` all that happens when
    the request has been handled, and its answer is lost.
    """

    api_key: int | None
    error: int = 0
    crash: bool = False
    delay_ms: int = 0
    until: asyncio.Event | None = None
    after: bool = False
    times: int = 1

    async def strike(self, request: Request) -> None:
        if self.until is not None:
            await self.until.wait()
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        where = "after" if self.after else "before"
        if self.crash:
            raise SimulatedCrash(f"{where} {type(request).__name__}")
        if self.error:
            raise error_class(self.error)(f"injected fault {where} {type(request).__name__}")


class Faults:
    """The faults of a cluster, in the order in which they were added.

    >>> faults = Faults().add(Fault(api_key=26, crash=True))
    >>> [fault.api_key for fault in faults.waiting]
    [26]
    """

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> Faults:
        self.waiting.append(fault)
        return self

    async def handle(self, request: Request, answer: Callable[[], Awaitable[Any]]) -> Any:
        """Let `answer` handle the request, with the first fault that waits for it around it."""
        fault = self._take(request.api_key)
        if fault is None:
            return await answer()
        if not fault.after:
            await fault.strike(request)
        result = await answer()
        if fault.after:
            await fault.strike(request)
        return result

    def _take(self, api_key: int) -> Fault | None:
        for fault in self.waiting:
            if fault.api_key in (None, api_key):
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                return fault
        return None
