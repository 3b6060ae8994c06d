"""A process that runs a worker: its signals and its exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from streams.runtime.observer import Observer
from streams.runtime.worker import Worker

if TYPE_CHECKING:
    from streams.app import App

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHOW_CURSOR = b"\x1b[?25h"


def run(app: App, observer: Observer, *, until_end: bool = False) -> int:
    """Runs an app until its end or a signal; returns the exit code: 0 fine, 1 failed, 130 interrupted by SIGINT.

    SIGTERM and SIGINT let it commit what it has done; a second one ends the process at once.
    """
    # A worker makes and drops millions of records a second, nearly none of them in cycles. At Python's own threshold
    # (700) the collector took a tenth of the time of a windowed count.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    return asyncio.run(_run(app, observer, until_end=until_end))


async def _run(app: App, observer: Observer, *, until_end: bool) -> int:
    worker = Worker(app, observer, until_end=until_end)
    loop = asyncio.get_running_loop()
    with first_signal(lambda: loop.call_soon_threadsafe(worker.stop)) as received:
        try:
            await worker.run()
        except Exception:  # noqa: BLE001 - the observer was told
            return 1
    return 130 if signal.SIGINT in received else 0


@contextmanager
def first_signal(stop: Callable[[], object]) -> Iterator[list[int]]:
    """Calls `stop` at the first of SIGNALS; a second one does what it does without us. Gives those received.

    These are handlers of Python's, not of the event loop, so that they come through while the user's code holds it up.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            stop()
            return
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)  # a live view may have hidden it
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
