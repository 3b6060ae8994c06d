"""The built-in broker as a process of its own, for the workers of one supervisor: no worker's work delays the others.

It holds the data folder of the app, or waits to: another program that has it serves it meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Sequence

import msgspec

from streams.config import Settings, load_settings
from streams.runtime.seat import holders
from streams.runtime.signals import first_signal
from streams.supervisor.link import ORPHAN_S, Link
from streams.supervisor.messages import Began
from streams.transport.opening import open_transport

JOIN_WITHIN_MS = 500
"""Workers that are started together differ by less: they share their tasks once, not anew with each that comes."""
_LOOK_S = 0.1
_YOUNG_OBJECTS = 20_000
_TOLD = ("data_dir", "flush_on_commit", "log_level")


def command(settings: Settings) -> Sequence[str]:
    """The command line of the process, which finds modules where this one does."""
    told = {"id": settings.id, **{name: getattr(settings, name) for name in _TOLD}}
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main(sys.argv)"
    return [sys.executable, "-c", code, msgspec.json.encode(told).decode()]


def main(arguments: list[str]) -> None:
    """Serves until SIGTERM."""
    told = msgspec.json.decode(arguments[1], type=dict[str, object])
    sys.argv = [f"the broker of app {told['id']}"]  # so others are told who holds the folder
    settings = load_settings(str(told.pop("id")), told, environment={})
    link = Link.from_environment(before_end=lambda: _wait_for_workers(settings))
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%X"
    )
    for name in ("asyncio", *([] if settings.log_level == "debug" else ["broker_embedded"])):
        logging.getLogger(name).setLevel(logging.WARNING)  # who joins a group its members say themselves
    asyncio.run(_serve(settings, link))


def _wait_for_workers(settings: Settings) -> None:
    """Their supervisor is gone: they commit what they have done, for which they need the broker."""
    until_s = time.monotonic() + ORPHAN_S
    while holders(settings) and time.monotonic() < until_s:
        time.sleep(_LOOK_S)


async def _serve(settings: Settings, link: Link | None) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    with first_signal(lambda: loop.call_soon_threadsafe(stopped.set)):
        transport, _ = await open_transport(settings, join_within_ms=JOIN_WITHIN_MS)
        gc.freeze()  # as `streams broker` does: a full collection keeps all workers waiting, and finds little
        gc.set_threshold(_YOUNG_OBJECTS, 10, 100)
        try:
            if link is not None:
                link.tell(Began())
            await stopped.wait()
        finally:
            await transport.stop()
