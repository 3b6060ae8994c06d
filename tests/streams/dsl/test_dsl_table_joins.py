"""What is said of a join of tables is checked when the app is built, and told with the user's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import TopologyError


class Order(streams.Record):
    customer: str
    shop: int | None


HERE = r"test_dsl_table_joins.py:\d+"


def tables(**partitions: int) -> tuple[Any, Any, Any]:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order, partitions=partitions.get("orders")).table()
    people = app.topic("people", key_type=str, value_type=str, partitions=partitions.get("people")).table()
    return app, orders, people


def first(left: Any, right: Any) -> Any:
    return left


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda app, o, p: o.join(app.topic("x").stream(), first), "a table joins with a table, not with Stream"),
        (lambda app, o, p: o.join(app.topic("x").global_table(), first), "not with GlobalTable"),
        (lambda app, o, p: o.left_join(lambda x: x, first), "not with function"),
        (lambda app, o, p: o.outer_join(p, first, foreign_key=Order.customer), "no outer join by foreign key"),
        (lambda app, o, p: o.join(app.topic("n", key_type=int).table(), first), "keys of str never meet keys of int"),
        (lambda app, o, p: o.join(p, first, foreign_key=Order.shop), "foreign keys of int never meet keys of str"),
        (lambda app, o, p: o.join(p, lambda a, b, c, d: a), "takes 4 arguments"),
        (lambda app, o, p: o.join(p, first, foreign_key=lambda a, b, c: a), "takes 3 arguments"),
        (lambda app, o, p: o.join(p, first, name="no/slash"), "no/slash"),
    ],
)
def test_what_is_wrong_is_told_with_the_line(wrong: Callable[..., Any], words: str) -> None:
    with pytest.raises(TopologyError, match=words) as told:
        wrong(*tables())
    if "no/slash" not in words:
        assert "test_dsl_table_joins.py:" in str(told.value)


def test_tables_with_other_partition_counts_do_not_meet_by_key() -> None:
    app, orders, people = tables(orders=4, people=3)
    orders.join(people, first, name="met")
    with pytest.raises(TopologyError, match=f"met-left at .*{HERE}: .*orders has 4 .*, people has 3") as told:
        app.plan()
    assert str(told.value).count("test_dsl_table_joins.py:") == 3


def test_by_a_foreign_key_they_do() -> None:
    app, orders, people = tables(orders=4, people=3)
    orders.join(people, first, foreign_key=Order.customer, name="met")
    assert [sub.id for sub in app.plan().subtopologies] == ["orders", "people"]


def test_two_joins_that_derive_one_name() -> None:
    _, orders, people = tables()
    orders.join(people, first, foreign_key=Order.customer)
    with pytest.raises(TopologyError, match="give one of them another name="):
        orders.join(people, first, foreign_key=Order.customer)


def names(app: Any) -> tuple[set[str], set[str]]:
    plan = app.plan()
    return {topic.name for topic in plan.topics.values() if topic.internal}, set(plan.stores)


def test_names_come_from_tables_operator_and_function() -> None:
    app, orders, people = tables()
    orders.join(people, first, foreign_key=Order.customer)
    orders.left_join(people, first, name="kept", store="rows")
    parts = ("subscription", "answer")
    assert names(app) == (
        {f"shop-orders-join-people-first-{part}-repartition" for part in parts},
        {"orders", "people", "orders-join-people-first", "orders-join-people-first-subscriptions", "rows"},
    )


def test_what_a_join_gives_is_a_table() -> None:
    app, orders, people = tables()
    joined = orders.left_join(people, lambda left, right: left.customer, value_type=str, name="joined")
    again = joined.outer_join(people.filter(lambda value: bool(value)), first, name="again")
    again.join(orders, first, foreign_key=lambda key, value: key, name="third").to_stream().to("out")
    people.join(orders, first, name="fourth").map_values(lambda value: value).to_stream().to("out")
    assert joined.value_type is str and joined.key_type is str and joined.store is None
    assert len(app.plan().subtopologies) == 1


# -- a batch at a time, or a row


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda o, p: o.join(p, first, name="j"), None),
        (lambda o, p: o.outer_join(p.map_values(len), first, name="j").left_join(p, first, name="k"), "people"),
        (lambda o, p: o.join(p, first, foreign_key=Order.customer, name="j"), None),
        (lambda o, p: o.join(p, first, foreign_key=Order.customer, name="j").join(o, first, name="k"), None),
        (lambda o, p: o.join(o, first, name="j"), "orders"),
        (lambda o, p: o.join(o.filter(lambda value: True), first, name="j"), "orders"),
    ],
)
def test_tables_of_different_topics_are_joined_a_batch_at_a_time(build: Callable[..., Any], reason: str | None) -> None:
    """That this gives what a row at a time gives is shown in tests/streams/operators/test_table_joins_model.py."""
    app, orders, people = tables()
    build(orders, people)
    reasons = [sub.row_reason for sub in app.plan().subtopologies if sub.row_reason is not None]
    assert reasons == [] if reason is None else all(reason in found for found in reasons) and reasons


def test_a_join_put_behind_tables_does_not_rename_their_tasks() -> None:
    app = streams.App("a")
    orders, people = (app.topic(name, key_type=str, value_type=Order).table() for name in ("orders", "people"))
    before = [sub.id for sub in app.plan().subtopologies]
    orders.join(people, first, foreign_key=Order.customer, name="met")
    assert [sub.id for sub in app.plan().subtopologies] == before == ["orders", "people"]
