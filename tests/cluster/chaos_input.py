"""What the app under chaos is fed with: a function of a seed, endless, in parts.

A part lies an hour behind the one before, so that with its first records the windows of that one close and its orders
that nobody has paid leave. It begins when the app is through with the part before: whatever the workers have been
through, no record is late. `closing` gives the last part, which closes the others and is not closed itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from tests.cluster.chaos_app import JOIN_MS, PARTITIONS, SHOP_PARTITIONS, Item, Order, Payment

PART_MS = 3_600_000
FIRST_MS = 1_700_006_400_000  # a full hour
STEP_MS = 20

INPUTS = {"orders": PARTITIONS, "payments": PARTITIONS, "items": PARTITIONS, "shops": SHOP_PARTITIONS}
"""Partitions by topic."""

USERS, PRODUCTS, ITEMS, SHOPS = 41, 13, 37, 11


class Record(NamedTuple):
    topic: str
    key: str
    value: Any
    """As the app declares it."""
    timestamp: int


def part_start(number: int) -> int:
    return FIRST_MS + number * PART_MS


def records(seed: int, number: int) -> Iterator[Record]:
    """The records of one part, in the order in which they are sent; endless, for whoever stops in time."""
    draw = Random(seed * 1_000 + number)
    due: list[tuple[int, int, Record]] = []
    n = 0
    while True:
        n += 1
        time = part_start(number) + n * STEP_MS + draw.randrange(10 * STEP_MS)
        if n % 2:
            order = f"order-{number}-{n}"
            for payment in payments(draw, order, time, part_start(number)):
                heappush(due, (n + draw.randrange(40), len(due), payment))
            yield an_order(draw, order, time)
        else:
            yield a_change(draw, number * 1_000_000 + n, time)
        while due and due[0][0] <= n:
            yield heappop(due)[2]


def an_order(draw: Random, order: str, time: int) -> Record:
    product, user = f"product-{draw.randrange(PRODUCTS)}", f"user-{draw.randrange(USERS)}"
    return Record("orders", user, Order(order, product, draw.randrange(1, 101)), time)


def payments(draw: Random, order: str, time: int, not_before: int) -> Iterator[Record]:
    """None, one or two; some too early or too late to be joined."""
    for n in range(draw.choice((0, 1, 1, 1, 2))):
        paid = max(not_before, time + draw.randint(-JOIN_MS * 6 // 5, JOIN_MS * 6 // 5))
        yield Record("payments", f"payment-{order}-{n}", Payment(order, draw.randrange(1, 101)), paid)


def a_change(draw: Random, version: int, time: int) -> Record:
    """Of an item, which is in another shop then or gone, or of a shop."""
    if draw.randrange(3):
        row = Item(f"shop-{draw.randrange(SHOPS)}", version)
        return Record("items", f"item-{draw.randrange(ITEMS)}", row if draw.randrange(10) else None, time)
    return Record("shops", f"shop-{draw.randrange(SHOPS)}", version if draw.randrange(8) else None, time)


def closing(number: int, round: int) -> list[Record]:
    """A round of the last part: paid orders that come to each partition from each other one, all in one window."""
    found = []
    for n in range(120):
        order, time = f"closing-{round}-{n}", part_start(number) + round
        user, product = f"user-{(n + n // PRODUCTS) % USERS}", f"product-{n % PRODUCTS}"
        found.append(Record("orders", user, Order(order, product, 1), time))
        found.append(Record("payments", f"payment-{order}", Payment(order, 1), time))
    return found
