"""Seats that nobody takes again: what they had in the group, and in transactions, is given up."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from streams.config import Settings
from streams.runtime.left_open import shut_out
from streams.runtime.seat import forget_seats
from streams.transport.contract import Transport
from streams.transport.group.member import remove_members

log = logging.getLogger("streams.worker")


async def give_up(settings: Settings, transport: Transport, seats: Mapping[int, str]) -> None:
    """Sends away who sat in these slots, by name (`instance_id`), and has ended: the others have their tasks at once,
    and need not wait for the end of a session or of a transaction that was left open.
    """
    if not seats:
        return
    for name in seats.values():
        await shut_out(transport, settings, name)
    await remove_members(transport.asks, settings.id, seats.values())
    forget_seats(settings, seats)
    log.info("seats given up: %s", ", ".join(seats.values()))
