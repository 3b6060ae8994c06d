"""What fewer workers than before leave behind: seats that nobody takes again."""

from __future__ import annotations

import logging

from streams.config import Settings
from streams.runtime.seat import forget_seats, free_seats
from streams.transport.group.member import remove_members
from streams.transport.opening import open_transport

log = logging.getLogger("streams.supervisor")


async def give_up_seats(settings: Settings, workers: int) -> None:
    """Sends away who sat beyond the first `workers` seats of this place and has ended: the others have their tasks at
    once, and need not wait for the end of a session or of a transaction that was left open.
    """
    beyond = {slot: name for slot, name in free_seats(settings).items() if slot >= workers}
    if not beyond:
        return
    transport, _ = await open_transport(settings, serves=False)
    try:
        for name in beyond.values():
            if settings.processing_guarantee == "exactly_once":
                producer = transport.producer(transactional_id=name)
                await producer.start()
                await producer.close()
        await remove_members(transport.asks, settings.id, beyond.values())
        forget_seats(settings, beyond)
        log.info("seats given up: %s", ", ".join(beyond.values()))
    finally:
        await transport.stop()
