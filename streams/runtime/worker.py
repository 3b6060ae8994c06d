"""The worker: from an app to running tasks, and back to nothing running.

It plans the app, makes its topics, opens and restores the stores, then loops: fetch, one turn for each task and source,
commit. One coroutine owns all of this; timers and the user's tasks run beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from streams.operators.base import NO_TIME
from streams.runtime.assembly import Assembly, assemble
from streams.runtime.background import Background
from streams.runtime.loop import Loop
from streams.runtime.observer import Failed, Observer, Progress, Reason, Started, Stopped

if TYPE_CHECKING:
    from streams.app import App
    from streams.transport.contract import Transport


class Worker:
    """Runs one app in this process.

    `until_end`: process what is there, then stop. `now_ms` is the wall clock. `transport` None opens the one that the
    settings name.
    """

    def __init__(
        self,
        app: App,
        observer: Observer,
        *,
        until_end: bool = False,
        now_ms: Callable[[], int] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.app = app
        self.observer = observer
        self._until_end = until_end
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._transport = transport
        self._stopping = asyncio.Event()
        self._started_s = time.monotonic()
        self.assembly: Assembly | None = None
        self.loop: Loop | None = None

    def stop(self) -> None:
        """Asks the worker to commit what it has done and end."""
        self._stopping.set()

    async def run(self) -> Stopped:
        """Runs until stopped, or to the end of the input. Raises what made it fail, after everything is closed."""
        reason: Reason = "failed"
        try:
            await self._start()
            reason = await self._work()
            self.observer.ending()
        except Exception as error:
            self.observer.failed(Failed(error, getattr(error, "task", None)))
            raise
        finally:
            await self._close(clean=reason != "failed")
            summary = self._summary(reason)
            self.observer.stopped(summary)
        return summary

    async def _start(self) -> None:
        self.assembly = await assemble(self.app, self._transport, self._now_ms, replay=self._until_end)
        self.observer.started(self._info(self.assembly))
        await self.assembly.open(self.observer.restoring)
        self.loop = Loop(self.assembly, self._stopping, until_end=self._until_end, progress=self._progress)

    async def _work(self) -> Reason:
        assert self.assembly is not None
        assert self.loop is not None
        background = Background(self.app, self._now_ms)
        async with background:
            working = asyncio.ensure_future(self.loop.run())
            await asyncio.wait({working, background.failed}, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
            if background.failed.done():
                self._stopping.set()
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working
                raise background.failed.result()
            return working.result()

    async def _close(self, *, clean: bool) -> None:
        if self.assembly is not None:
            await self.assembly.close(clean=clean)

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
            tasks=len(assembly.tasks),
            guarantee=app.settings.processing_guarantee,
        )

    def _progress(self, records: int, rate: float) -> None:
        assert self.assembly is not None
        self.observer.progress(
            Progress(
                records,
                rate,
                self.assembly.commit.count,
                sum(max(0, queue.end_offset - queue.consumed) for task in self.assembly.tasks for queue in task.queues),
                max((at for task in self.assembly.tasks if (at := task.stream_time) != NO_TIME), default=None),
                time.monotonic() - self._started_s,
            )
        )

    def _summary(self, reason: Reason) -> Stopped:
        records = self.assembly.records if self.assembly is not None else 0
        commits = self.assembly.commit.count if self.assembly is not None else 0
        return Stopped(reason, records, commits, time.monotonic() - self._started_s)


def run(app: App, observer: Observer, *, until_end: bool = False) -> int:
    """Runs an app until its end or a signal; returns the exit code: 0 fine, 1 failed, 130 interrupted by SIGINT.

    SIGTERM and SIGINT let it commit what it has done; a second one ends it at once.
    """
    # A worker makes and drops millions of records a second, nearly none of them in cycles. At Python's own threshold
    # (700) the collector took a tenth of the time of a windowed count.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    return asyncio.run(_run(app, observer, until_end=until_end))


async def _run(app: App, observer: Observer, *, until_end: bool) -> int:
    worker = Worker(app, observer, until_end=until_end)
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        if len(received) > 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        worker.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        await worker.run()
    except Exception:  # noqa: BLE001 - the observer was told
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return 130 if signal.SIGINT in received else 0
