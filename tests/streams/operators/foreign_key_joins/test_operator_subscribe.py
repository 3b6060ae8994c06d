"""join by foreign key, the left side: which subscriptions a change begins and ends, and how they are told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import policies
from streams.graph.definitions import TopicDef
from streams.operators.foreign_key_joins.foreign_keys import (
    END,
    END_AND_TELL,
    NO_HASH,
    TELL,
    TELL_IF_THERE,
    read_subscription,
)
from streams.testing import Driver
from streams.topic import Topic


class Order(streams.Record):
    customer: str | None
    n: int = 0


def of(kind: str, foreign_key: Any = Order.customer, **options: Any) -> Callable[[Any], Any]:
    """A join of the table `left` with another topic's."""

    def build(stream: Any) -> Any:
        class Declared:
            builder = stream._builder

        topics = stream._builder.graph.topics
        stream._builder.graph.add_topic(TopicDef(name="right", key_type=str, value_type=int))
        left, right = (Topic(Declared(), topics[name]).table(name=name) for name in ("numbers", "right"))  # type: ignore[arg-type]
        getattr(left, kind)(right, lambda a, b: 1, foreign_key=foreign_key, name="joined", **options)
        left.filter(lambda value: True, name="last")  # the bench takes records of the last step's topic

    return build


def said(made: Any, *rows: tuple[Any, ...]) -> list[list[Any]]:
    """(key, foreign key, instruction) of what goes out."""
    changes = made.operators["numbers-table"].process(made.batch(rows))
    batch = None if changes is None else made.operators["joined-subscribe"].process(changes)
    if batch is None:
        return []
    asked = [read_subscription(value) for value in batch.values]
    return [
        [one.key.decode(), key.decode() if one.to < 0 else None, one.instruction]
        for key, one in zip(batch.keys, asked, strict=True)
    ]


NOBODY = Order(None)
CHANGES: list[tuple[Any, list[list[Any]], list[list[Any]]]] = [
    (Order("ann"), [["ann", TELL_IF_THERE]], [["ann", TELL]]),
    (Order("ann", 2), [["ann", TELL_IF_THERE]], [["ann", TELL]]),
    (Order("bob"), [["ann", END], ["bob", TELL]], [["ann", END], ["bob", TELL]]),
    (NOBODY, [["bob", END_AND_TELL]], [["bob", END], [None, TELL]]),
    (NOBODY, [], [[None, TELL]]),
    (None, [], [[None, TELL]]),
    (None, [], []),
    (Order("cat"), [["cat", TELL_IF_THERE]], [["cat", TELL]]),
    (None, [["cat", END_AND_TELL]], [["cat", END], [None, TELL]]),
]


@pytest.mark.parametrize("kind", ["join", "left_join"])
@pytest.mark.parametrize("size", [1, 4, 9])
@pytest.mark.parametrize("decoded", [False, True])
def test_what_a_change_begins_and_ends(bench: Callable[..., Any], kind: str, size: int, decoded: bool) -> None:
    made = bench(of(kind), value_type=Order, decoded=decoded)
    rows = [("a", value) for value, _, _ in CHANGES]
    found = [one for at in range(0, len(rows), size) for one in said(made, *rows[at : at + size])]
    expected = [["a", *one] for _, inner, left in CHANGES for one in (inner if kind == "join" else left)]
    assert found == expected
    counts = dict(made.failures.counts)
    assert counts == ({("joined-subscribe", "null_key"): 2} if kind == "join" else {})


@pytest.mark.parametrize(
    "foreign_key",
    [
        Order.customer,
        lambda order: order.customer,
        lambda key, order: order.customer,
        lambda order, ctx: order.customer and order.customer + ctx.topic[:0],
    ],
)
def test_how_to_say_what_a_row_refers_to(bench: Callable[..., Any], foreign_key: Any) -> None:
    made = bench(of("join", foreign_key), value_type=Order)
    assert said(made, ("a", Order("ann"))) == [["a", "ann", TELL_IF_THERE]]


@pytest.mark.parametrize("foreign_key", [lambda order: order.n, lambda order: 1 // 0])
def test_a_row_that_fails_is_left_out(bench: Callable[..., Any], foreign_key: Any) -> None:
    """The right table has text for keys."""
    made = bench(of("join", foreign_key, on_error=policies.skip()), value_type=Order)
    assert said(made, ("a", Order("ann"))) == []
    assert dict(made.failures.counts) == {("joined-subscribe", "skip"): 1}


def hashes(made: Any, *values: Any) -> list[tuple[bytes, bool, bytes | None]]:
    changes = made.operators["numbers-table"].process(made.batch([("a", value) for value in values]))
    batch = made.operators["joined-subscribe"].process(changes)
    return [(one.hash, one.superseded, one.left) for one in map(read_subscription, batch.values)]


def test_of_changes_that_come_together_each_carries_its_value_and_the_hash_of_the_last(
    bench: Callable[..., Any],
) -> None:
    made = bench(of("left_join"), value_type=Order)
    (first,), (last,) = (hashes(made, Order("ann", n)) for n in (1, 2))
    assert first[0] != last[0] and (first[1:], last[1:]) == ((False, None), (False, None))
    together = hashes(made, Order("ann", 1), None, Order("ann", 2))
    assert {one[0] for one in together} == {last[0]}
    assert [one[1] for one in together] == [True, True, True, False]
    assert [one[2] is None for one in together] == [False, True, True, True]
    assert hashes(made, None)[-1][0] == NO_HASH


def test_not_where_another_partition_might_answer_first(bench: Callable[..., Any]) -> None:
    made = bench(of("join"), value_type=Order, partitions=8)
    near, far = "AA", "UA"
    apart = hashes(made, Order(near), Order(far))
    assert [one[1] for one in apart] == [False] * 3 and apart[0][0] != apart[-1][0]


@pytest.mark.parametrize("by_row", [False, True])
def test_a_row_that_changes_twice_in_a_batch_is_joined_twice_however_its_records_go(by_row: bool) -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=str).table()
    names = app.topic("names", key_type=str, value_type=str).table()
    orders.left_join(names, lambda order, name: f"{order} {name}", foreign_key=lambda order: order[0]).to_stream().to(
        app.topic("joined", value_type=str)
    )
    if by_row:
        orders.to_stream().to("copies")
        orders.to_stream().to(lambda key, value: "copies")
    assert [sub.row_reason is not None for sub in app.plan().subtopologies if "orders" in sub.id] == [by_row]
    with Driver(app) as driver:
        driver.pipe("names", [("a", "Ada", 0)])
        driver.pipe("orders", [("1", "a1", 1), ("1", "a2", 2), ("1", "b3", 3), ("1", "a4", 4)])
        assert [record.value for record in driver.read("joined")] == ["a1 Ada", "a2 Ada", "b3 None", "a4 Ada"]
