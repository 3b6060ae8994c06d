"""A second app for the crash proof: joins, windows, suppress, processors, tables made of tables.

Its input lies in the topics before it first starts, so that each task takes it in the order of its timestamps.
"""

from __future__ import annotations

import asyncio
from typing import Any

import streams

RECORDS = 900


app = streams.App("operators", commit_interval_ms=1, uncommitted_entries_max=12, batch_records_max=40)


def topic(name: str, value_type: Any, key_type: Any = str) -> Any:
    return app.topic(name, key_type=key_type, value_type=value_type, partitions=2, retention="forever")


clicks = topic("clicks", int)
orders = topic("orders", int)
rates = topic("rates", int)
items = topic("items", list[int])
shops = topic("shops", int, key_type=int)

# Windows that close, by themselves and through a buffer.
sessions = clicks.stream().group_by_key().windowed_by(streams.SessionWindow("1s", grace="2s"))
visits = sessions.aggregate(
    [], lambda seen, click: [*seen, click], merge=lambda a, b: a + b, value_type=list[int], name="visits"
)
visits.emit("close").to_stream().map(lambda w, seen: (w.key, [w.start, w.end, *seen])).to(topic("closed", list[int]))
counts = sessions.count(name="counts").emit("update").suppress(until="close", name="held-counts")
counts.to_stream().map(lambda w, count: (w.key, [w.start, w.end, count])).to(topic("held", list[int]))

# What waits for its match, and for late changes of a table.
near = streams.JoinWindow("800ms", grace="1s")
clicks.stream().left_join(orders.stream(), lambda click, order: [click, order or 0], within=near).to(
    topic("bought", list[int])
)
clicks.stream().join(rates.table(name="rates", history="20s"), lambda click, rate: [click, rate], grace="2s").to(
    topic("rated", list[int])
)


class Busy:
    """Tells every three seconds who came, and how often since it was told before."""

    def init(self, ctx: Any) -> None:
        self.ctx, self.seen = ctx, ctx.store("seen")
        ctx.schedule("3s", "stream", self.tell)

    def process(self, record: Any) -> None:
        self.seen.put(record.key, (self.seen.get(record.key) or 0) + 1)

    def tell(self, time: int) -> None:
        for user, count in list(self.seen.all()):
            self.seen.delete(user)
            self.ctx.forward(key=user, value=[time, count])


seen = app.store("seen", key_type=str, value_type=int)
clicks.stream().process(Busy, stores=[seen], key_type=str, value_type=list[int]).to(topic("busy", list[int]))
clicks.stream().deduplicate(within="2s", name="fresh").to(topic("firsts", int))

# Tables made of tables.
known = items.table(name="items")
placed = known.left_join(
    shops.table(name="shops"), lambda item, shop: [*item, shop or -1], foreign_key=lambda item: item[0], name="placed"
)
placed.to_stream().to(topic("places", list[int]))
stock = known.group_by(lambda item, row: (row[0], row[1]), key_type=int, value_type=int, name="by-shop").aggregate(
    0, lambda total, new: total + new, lambda total, old: total - old, value_type=int, name="stock"
)
stock.emit("update").suppress(until="2s", name="calm").to_stream().to(topic("stocks", int, key_type=int))
stock.filter(lambda shop, total: total % 3 > 0, name="odd").to_stream().to(topic("odd-stocks", int, key_type=int))


def inputs() -> list[tuple[Any, Any, Any, int]]:
    """Topic, key, value, time: ten a second, out of order by up to two seconds; then some that let what waits leave."""
    found = []
    for n in range(1, RECORDS + 1):
        mixed = n * 2_654_435_761 % 2**32
        user, number, time = f"user-{mixed % 7}", mixed // 41 % 1_000, n * 100 + mixed // 80_000 % 2_000
        row: list[tuple[Any, Any, Any]] = [
            (clicks, user, number),
            (orders, user, number),
            (clicks, user, number),
            (rates, user, number if number % 5 else None),
            (items, f"item-{mixed % 23}", [number % 23, number] if number % 9 else None),
            (shops, number % 23, number if number % 4 else None),
        ]
        found.append((*row[mixed // 1_009 % 6], time))
    return found + [(items, f"last-{n}", [100 + n, 0], RECORDS * 200) for n in range(6)]


async def fill(data_dir: Any) -> None:
    async with app.client(data_dir=data_dir) as client:
        sent = [client.send(to, key=key, value=value, timestamp=time) for to, key, value, time in inputs()]
        await asyncio.gather(*sent)
