"""The app that the crash proof kills: every kind of state and of output, over input that is a function of a number.

Its results do not depend on how the input is cut into batches and commits, so that two runs can be compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import streams
from streams import agg
from streams.runtime.seat import whole_place
from streams.transport.contract import TopicPartition
from streams.transport.opening import open_transport

EVENTS = 1_200
ORDERS = 150
CHUNK = 25
"""The source pauses after so many rows, so that they are spread over many commits."""

WINDOW_MS = 10_000
GRACE_MS = 20_000
EXPIRES_MS = 60_000


class Event(streams.Record):
    shop: str
    amount: int
    at: streams.Timestamp


def events() -> list[tuple[str, Event]]:
    """Ten a second, out of order by up to two seconds."""
    mixed = (n * 2_654_435_761 % 2**32 for n in range(1, EVENTS + 1))
    return [
        (f"user-{m % 41}", Event(f"shop-{m // 41 % 13}", m // 533 % 150 - 50, n * 100 + m // 80_000 % 2_000))
        for n, m in enumerate(mixed)
    ]


app = streams.App("crash", commit_interval_ms=1, uncommitted_entries_max=12, batch_records_max=16)


def topic(name: str, value_type: Any, partitions: int = 1) -> Any:
    return app.topic(name, key_type=str, value_type=value_type, partitions=partitions, retention="forever")


sold = topic("sold", Event, partitions=3)
orders = topic("orders", int, partitions=2)
prices = topic("prices", int, partitions=2)
large = topic("large", int)
balance_changes = topic("balance-changes", int)
visit_counts = topic("visit-counts", int)
sales_closed = topic("sales-closed", list[int])
bills = topic("bills", list[int])
alerts = topic("alerts", list[int])


@app.source(sold)
async def feed(position: int = 0) -> AsyncIterator[Any]:
    for n, (user, event) in enumerate(events()[position:], start=position):
        if n % CHUNK == 0:
            await asyncio.sleep(0)
        yield streams.Position(n + 1), user, event


# Without state.
sold.stream().filter(Event.amount > 50).map_values(lambda event: event.amount).to(large)

# Every change of a table, in order; and of another the latest per commit.
by_user = sold.stream().group_by_key()
balances = by_user.aggregate(0, lambda total, event: total + event.amount, name="balances", value_type=int)
balances.emit("update").to_stream().to(balance_changes)
by_user.count(name="visits").emit("commit").to_stream().to(visit_counts)

# Behind a repartition, windows that close.
sales = (
    sold.stream()
    .group_by(Event.shop, name="by-shop")
    .windowed_by(streams.TumblingWindow(WINDOW_MS / 1000, grace=GRACE_MS / 1000))
    .aggregate(sales=agg.count(), total=agg.sum(Event.amount), name="sales")
    .emit("close")
)
sales.to_stream().map(lambda window, row: (window.key, [window.start, row.sales, row.total])).to(sales_closed)

# A stream meets a table that changes all the while; the table's topic is its changelog.
orders.stream().join(prices.table(name="prices"), lambda count, price: [count, price]).to(bills)

# An agent behind a repartition, its table by windows that expire.
hot = app.Table("hot", key_type=str, value_type=int, default=int, partitions=3).tumbling(
    WINDOW_MS / 1000, expires=EXPIRES_MS / 1000
)


@app.agent(sold, sink=[alerts], group_by=Event.shop)
async def watch(stream: streams.Stream[Event]) -> Any:
    async for event in stream:
        hot[event.shop] += 1
        yield [event.at // WINDOW_MS * WINDOW_MS, hot[event.shop].current()]


async def fill(data_dir: Any) -> None:
    """Prices and orders, before the app first starts: each order is to meet the price of its moment."""
    mixed = [n * 40_503 % 2**16 for n in range(1, 2 * ORDERS + 1)]
    async with app.client(data_dir=data_dir) as client:
        sent = [
            client.send(orders if n % 2 else prices, key=f"item-{m % 17}", value=m // 17 % 1_000, timestamp=n * 10)
            for n, m in enumerate(mixed)
        ]
        await asyncio.gather(*sent)


async def records_left(data_dir: Any) -> int:
    """What the source has not fed yet, and what has been fed and not processed, as far as it was committed."""
    settings = app.settings.with_values({"data_dir": str(data_dir)})
    with whole_place(settings) as workers:
        pass
    async with app.client(data_dir=data_dir) as client:
        positions = [int(row.value) async for row in client.read("crash-feed-position")]
        transport, _ = await open_transport(settings)
        for name in workers:  # ends the transaction that the killed one left open
            await transport.producer(transactional_id=name).start()
        tps = [TopicPartition(t.name, p) for t in (sold, orders, prices) for p in range(t.definition.partitions)]
        ends, committed = await transport.latest(tps), await transport.committed(app.id, tps)
        await transport.stop()
    fed = positions[-1] if positions else 0
    return EVENTS - fed + sum(ends[tp] - (0 if (at := committed[tp]) is None else at.offset) for tp in tps)
