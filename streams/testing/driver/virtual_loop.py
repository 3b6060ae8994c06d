"""An event loop on a virtual clock, without a socket.

Time stands still while there is anything to do. When all that is left is to wait for a time, the loop is there at
once: a test of an agent that sleeps an hour takes no hour. Whoever waits for the world outside of the loop (a file
descriptor, a thread) is waited for in real time.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from math import ceil
from typing import Any, TypeVar

from streams.errors import StreamsError
from streams.testing.driver.clock import Clock

T = TypeVar("T")

_LOOK_S = 0.002
"""How often a thread's call is looked for while descriptors are waited for as well."""


class StuckError(StreamsError):
    """The app waits for something that cannot come."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`run` runs a coroutine to its end, also where another event loop runs: then in a thread beside it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_ms = clock.now_ms
        self._called = threading.Event()
        self._outside = 0
        self._quiet: list[asyncio.Future[float | None]] = []
        self._beside: ThreadPoolExecutor | None = None
        super().__init__(_VirtualSelector(self))
        self._clock_resolution = 1e-6  # of asyncio: what is due up to so much later is due now

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives; what it raises. Raises StuckError when it waits for ever."""
        if not _runs_in_a_loop():
            return self._run(coroutine)
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, "streams-driver")
        return self._beside.submit(copy_context().run, self._run, coroutine).result()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        task = self.create_task(coroutine)
        try:
            return self.run_until_complete(task)
        except StuckError:
            task.cancel()
            self.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise

    async def quiet(self) -> float | None:
        """Returns when nothing is left to do at this time: in how many seconds there is more, None if never."""
        waiter: asyncio.Future[float | None] = self.create_future()
        self._quiet.append(waiter)
        return await waiter

    def close(self) -> None:
        super().close()
        if self._beside is not None:
            self._beside.shutdown()

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return (self._clock.now_ms - self._began_ms) / 1000

    def run_in_executor(  # type: ignore[override]  # the base says the same with newer kinds of type variables
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        self._outside += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: object) -> None:
        self._outside -= 1

    def idle(self, timeout: float | None) -> None:
        """Nothing is ready, and nothing will be for `timeout` seconds (None: for ever)."""
        if self._quiet:
            waiting, self._quiet = self._quiet, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(timeout)
        elif timeout is None:
            raise StuckError(
                "the app waits for something that nobody brings about: an agent, a sink or a task awaits a future, a "
                "queue or a lock of its own. Set it from the test, or take it out of the app under test."
            )
        else:
            self._clock.now_ms += in_ms(timeout)

    def waits_outside(self) -> bool:
        """Whether a thread works for this loop."""
        return self._outside > 0

    def look(self, timeout: float | None) -> None:
        """Waits for the call of a thread."""
        self._called.wait(timeout)
        self._called.clear()

    # A thread's call wakes the loop by an event, not by the pair of sockets that asyncio has for it.

    def _make_self_pipe(self) -> None: ...

    def _close_self_pipe(self) -> None: ...

    def _write_to_self(self) -> None:
        self._called.set()


def _runs_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def in_ms(seconds: float) -> int:
    """A time to wait in whole ms, at least one.

    >>> in_ms(0.1 + 0.2), in_ms(0.00001)
    (300, 1)
    """
    return max(1, ceil(round(seconds * 1000, 6)))


class _VirtualSelector(selectors.BaseSelector):
    """Waits in virtual time, unless there are descriptors to wait for; then there is a real one behind it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real: selectors.BaseSelector | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = self._real.select(0) if self._real is not None else []
        if found or timeout == 0:
            return found
        loop = self._loop
        if loop._quiet or not (loop.waits_outside() or self.get_map()):
            loop.idle(timeout)
            return []
        if self._real is None or not self._real.get_map():
            loop.look(None)
            return []
        return self._real.select(_LOOK_S if loop.waits_outside() else None)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real_one().register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real_one().unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real_one().modify(fileobj, events, data)

    def get_map(self) -> Any:
        return {} if self._real is None else self._real.get_map()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real_one().get_key(fileobj)

    def close(self) -> None:
        if self._real is not None:
            self._real.close()

    def _real_one(self) -> selectors.BaseSelector:
        if self._real is None:
            self._real = selectors.DefaultSelector()
        return self._real
