"""What fewer workers than before leave behind: seats that nobody takes again."""

from __future__ import annotations

from streams.config import Settings
from streams.runtime.empty_seats import give_up
from streams.runtime.seat import free_seats
from streams.transport.opening import open_transport


async def give_up_seats(settings: Settings, workers: int) -> None:
    """Those beyond the first `workers` of this place."""
    beyond = {slot: name for slot, name in free_seats(settings).items() if slot >= workers}
    if not beyond:
        return
    transport, _ = await open_transport(settings, serves=False)
    try:
        await give_up(settings, transport, beyond)
    finally:
        await transport.stop()
