"""The reports of an app whose workers have ended, over its tables as the last commits left them.

Each of several workers saw a part of the tables, and a report over parts cannot be put together: the ten most frequent
words are not to be found among the ten most frequent of each. So one process opens all of them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streams.admin.groups import UnknownGroupError, describe_group
from streams.runtime.assembling import assemble
from streams.runtime.assembly import Assembly
from streams.runtime.conditions import Conditions
from streams.runtime.observer import Observer
from streams.runtime.seat import free_slots

if TYPE_CHECKING:
    from streams.app import App

log = logging.getLogger("streams.worker")


async def report(app: App, observer: Observer, *, serves: bool) -> None:
    """Opens the tables and lets the observer look at them (`ending`); not while others of the app's workers have some.

    `serves`: see `Conditions`.
    """
    assembly = await assemble(app, None, Conditions(replay=True, sources=False, serves=serves))
    try:
        if at_work := await _others(app, assembly):
            log.warning("the reports are left out: %s have part of the tables", ", ".join(at_work))
            return
        await assembly.open(observer.restoring)
        observer.ending()
    finally:
        for error in await assembly.close():
            log.warning("while closing: %s", error)


async def _others(app: App, assembly: Assembly) -> list[str]:
    """The members of the app's group but for those who sat at this place and have ended."""
    asks = assembly.transport.asks
    try:
        members = (await asks.retry(lambda: describe_group(asks, app.id))).members
    except UnknownGroupError:
        return []
    here = assembly.name.rpartition("-")[0]
    ended = {assembly.name, *(f"{here}-{slot}" for slot in free_slots(app.settings))}
    return [
        f"{member.instance_id or member.member_id} at {member.host}"
        for member in members
        if member.instance_id not in ended
    ]
