"""The signals that let a process end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHOW_CURSOR = b"\x1b[?25h"


@contextmanager
def first_signal(stop: Callable[[], object], again: Callable[[], object] = lambda: None) -> Iterator[list[int]]:
    """Calls `stop` at the first of SIGNALS; a second one, after `again`, does what it does without us. Gives those
    received.

    These are handlers of Python's, not of the event loop, so that they come through while the user's code holds it up.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            stop()
            return
        again()
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
