"""A process that runs a worker: its signals and its exit code."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from streams.runtime.end_of_input import Alone, EndOfInput
from streams.runtime.observer import Observer
from streams.runtime.signals import first_signal
from streams.runtime.worker import Worker

if TYPE_CHECKING:
    from streams.app import App


def run(
    app: App,
    observer: Observer,
    *,
    until_end: bool = False,
    end: EndOfInput | None = None,
    slot: int | None = None,
    serves: bool = True,
) -> int:
    """Runs an app until its end or a signal; returns the exit code: 0 fine, 1 failed, 130 interrupted by SIGINT.

    `end` says whether the end of the input is the worker's, which alone it is; `slot` and `serves` as for `Worker`.
    SIGTERM and SIGINT let it commit what it has done; a second one ends the process at once.
    """
    # A worker makes and drops millions of records a second, nearly none of them in cycles. At Python's own threshold
    # (700) the collector took a tenth of the time of a windowed count.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    return asyncio.run(
        _run(lambda: Worker(app, observer, until_end=until_end, end=end or Alone(), slot=slot, serves=serves))
    )


async def _run(make: Callable[[], Worker]) -> int:
    worker = make()
    loop = asyncio.get_running_loop()
    with first_signal(lambda: loop.call_soon_threadsafe(worker.stop)) as received:
        try:
            await worker.run()
        except Exception:  # noqa: BLE001 - the observer was told
            return 1
    return 130 if signal.SIGINT in received else 0
