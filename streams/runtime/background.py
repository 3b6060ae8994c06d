"""What runs beside the loop: the app's timers, crontabs and tasks. The first that fails ends the worker."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any

from streams.app import always
from streams.errors import UserCodeError
from streams.graph.functions import name_of

if TYPE_CHECKING:
    from streams.app import App

LOOK_S = 0.5
"""How often a task of the leader's looks whether leadership has moved."""


class Background:
    """`async with Background(app, now_ms)`: everything is started, and cancelled at the end. `failed` gives the first
    error.
    """

    def __init__(self, app: App, now_ms: Callable[[], int]) -> None:
        self._app = app
        self._now_ms = now_ms
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Background:
        app = self._app
        if app.timers:
            from streams.timers import run_timers

            self._begin(run_timers(app.timers, self._now_ms, is_leader=app.is_leader), "timers")
        for function in app.background:
            self._begin(_call(function), name_of(function))
        for function in app.leader_tasks:
            self._begin(_while_leading(app, function), name_of(function))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.failed.cancel()

    def _begin(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_result(error)


async def _while_leading(app: App, function: Callable[..., Any]) -> None:
    """Calls a function each time that leadership comes here, and cancels the call when leadership leaves."""
    while True:
        await _until(app, leading=True)
        call = asyncio.ensure_future(_call(function))
        left = asyncio.ensure_future(_until(app, leading=False))
        try:
            await asyncio.wait({call, left}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                call.result()
            await left
        finally:
            for waiting in (call, left):
                waiting.cancel()
            await asyncio.gather(call, left, return_exceptions=True)


async def _until(app: App, *, leading: bool) -> None:
    """Returns when leadership is here, or elsewhere. Of a worker that is alone it never moves."""
    while app.is_leader() is not leading:
        if app.worker is not None and app.worker.is_leader is always:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(LOOK_S)


async def _call(function: Callable[..., Any]) -> None:
    try:
        result = function()
        if inspect.isawaitable(result):
            await result
    except Exception as error:
        raise UserCodeError(error, step=f"task {name_of(function)}") from error
