"""Work that an event may cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


async def done_before(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Whether the work was done before the event was set; where it was not, it is cancelled. Raises what it raises.

    >>> async def main() -> list[bool]:
    ...     stop = asyncio.Event()
    ...     first = await done_before(stop, asyncio.sleep(0))
    ...     stop.set()
    ...     return [first, await done_before(stop, asyncio.sleep(60))]
    >>> asyncio.run(main())
    [True, False]
    """
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in (working, stopped):
            waiting.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
    if working.cancelled():
        return False
    working.result()
    return True
