"""Puts together what a worker runs: plans the app, takes a seat, opens the transport, makes the topics."""

from __future__ import annotations

from contextlib import AsyncExitStack

from streams.app import App
from streams.errors import TopologyError
from streams.graph.plan import Plan
from streams.runtime.assembly import Assembly, start_producer
from streams.runtime.conditions import Conditions
from streams.runtime.empty_seats import give_up
from streams.runtime.folders import Folders
from streams.runtime.inventory import Inventory
from streams.runtime.membership import Membership
from streams.runtime.seat import Seat, free_seats, take_seat
from streams.runtime.topics import Topics, position_topic
from streams.transport.contract import Transport
from streams.transport.making import Making


async def assemble(app: App, transport: Transport | None, conditions: Conditions) -> Assembly:
    """What is to run, with nothing in it yet. Raises what is wrong with the app, its seat, its transport or its topics.

    Over a transport that is given, nobody else is expected to work on the app unless the conditions say so.
    """
    plan = app.plan()
    if not (plan.topics or plan.patterns or app.timers or app.background or app.leader_tasks):
        raise TopologyError(
            f"app {app.id!r} has no topic, so there is nothing to run: declare one with app.topic(...), and an agent, "
            "a pipeline or a source on it. Is this the app you mean?"
        )
    async with AsyncExitStack() as opened:
        seat = None
        if transport is None or conditions.shares:
            seat = take_seat(app.settings, conditions.slot)
            opened.callback(seat.release)
        folders = Folders(app.settings, 0 if seat is None else seat.slot)
        opened.callback(folders.close_all)
        transport, where = await _started(app, transport, conditions)
        opened.push_async_callback(transport.stop)
        if plan.patterns:
            app.match_topics(await transport.topics())
            plan = app.plan()
        topics = await _topics(app, plan, transport, conditions)
        name = f"{app.id}-0" if seat is None else seat.transactional_id
        producer = await start_producer(app, transport, name)
        if seat is not None and conditions.shares and conditions.replay and conditions.slot is None:
            # It is to come to an end, and nobody else at this place is at work on what these had.
            await give_up(app.settings, transport, free_seats(app.settings))
        return Assembly(
            *(app, plan, transport, topics, producer, conditions, where),
            name=name,
            folders=folders,
            membership=_membership(app, plan, topics, transport, seat) if conditions.shares else None,
            opened=opened.pop_all(),
        )


async def _started(app: App, transport: Transport | None, conditions: Conditions) -> tuple[Transport, str]:
    """The transport that is given, or that the settings name, and what it is, for people."""
    from streams.transport.opening import open_transport

    if transport is None:
        return await open_transport(app.settings, serves=conditions.serves)
    await transport.start()
    return transport, "a given transport"


async def _topics(app: App, plan: Plan, transport: Transport, conditions: Conditions) -> Topics:
    topics = Topics(
        plan,
        transport,
        data_dir=str(app.settings.data_dir) if app.settings.broker == "embedded" else app.settings.broker,
        default_partitions=app.settings.default_partitions,
        positions=[position_topic(app.id, source.name) for source in app.sources],
        declared=conditions.partitions,
        making=Making.of(app.settings),
    )
    await topics.prepare()
    return topics


def _membership(app: App, plan: Plan, topics: Topics, transport: Transport, seat: Seat | None) -> Membership | None:
    if seat is None:
        return None
    return Membership(app.settings, Inventory(app, plan, topics), transport.asks, seat)
