"""What each rule does to a graph, and that names stay."""

from __future__ import annotations

from typing import Any

import pytest

from streams import App, Record, agg
from streams.errors import ConfigError
from streams.graph.nodes import FilterNode, MapValuesNode, RepartitionNode, TableSourceNode
from streams.graph.plan import Plan


class Sale(Record):
    shop: str
    amount: int
    note: str = ""


def app_with(rules: str) -> tuple[App, Any]:
    app = App("shop", topology_optimization=rules)
    return app, app.topic("sales", key_type=str, value_type=Sale)


def repartitions(plan: Plan) -> list[str]:
    return [node.topic.name for sub in plan.subtopologies for node in sub.repartitions]


def steps(plan: Plan, kind: type) -> list[Any]:
    return [node for sub in plan.subtopologies for node in sub.nodes if isinstance(node, kind)]


@pytest.mark.parametrize(("rules", "changelog"), [("all", "sales"), ("none", "shop-sales-changelog")])
def test_a_topic_is_its_own_tables_changelog(rules: str, changelog: str) -> None:
    app, sales = app_with(rules)
    sales.table()
    (node,) = steps(app.plan(), TableSourceNode)
    assert node.store.changelog == changelog
    assert (node.store.source_topic is not None) == (rules == "all")


@pytest.mark.parametrize("by", [Sale.shop, lambda sale: sale.shop], ids=["expression", "function"])
def test_one_key_one_repartition(by: Any) -> None:
    found = {}
    for rules in ("none", "merge_repartitions"):
        app, sales = app_with(rules)
        stream = sales.stream()
        stream.group_by(by, name="first", key_type=str).count(name="counts")
        stream.group_by(by, name="second", key_type=str).aggregate(total=agg.sum(Sale.amount), name="totals")
        stream.group_by(Sale.note, name="other").count(name="notes")
        found[rules] = app.plan()
    assert repartitions(found["none"]) == [f"shop-{name}-repartition" for name in ("first", "second", "other")]
    assert repartitions(found["merge_repartitions"]) == [f"shop-{name}-repartition" for name in ("first", "other")]
    assert found["none"].stores.keys() == found["merge_repartitions"].stores.keys()
    (behind,) = [sub for sub in found["merge_repartitions"].subtopologies if len(sub.stores) == 2]
    assert {store.name for store in behind.stores} == {"counts", "totals"}


def test_other_keys_and_counts_stay_apart() -> None:
    app, sales = app_with("all")
    keyed = sales.stream().select_key(Sale.shop)
    keyed.repartition(name="two", partitions=2)
    keyed.repartition(name="three", partitions=3)
    sales.stream().group_by(lambda sale: sale.shop, name="a").count(name="a")
    sales.stream().group_by(lambda sale: sale.shop, name="b").count(name="b")
    assert len(repartitions(app.plan())) == 4


def test_filters_are_asked_before_the_way_too() -> None:
    app, sales = app_with("filters_first")
    keyed = sales.stream().select_key(Sale.shop).repartition(name="by-shop")
    keyed.filter(Sale.amount > 10, name="large").filter_not(Sale.note == "test", name="real").to("out")
    first, second = app.plan().subtopologies
    assert [node.name for node in first.nodes if isinstance(node, FilterNode)] == [
        "large-before-by-shop-repartition",
        "real-before-by-shop-repartition",
    ]
    assert [node.name for node in second.nodes if isinstance(node, FilterNode)] == ["large", "real"]


@pytest.mark.parametrize("why", ["a function", "a second reader"])
def test_a_filter_stays_where_it_is_for(why: str) -> None:
    app, sales = app_with("all")
    keyed = sales.stream().select_key(Sale.shop).repartition(name="by-shop")
    keyed.filter((lambda sale: sale.amount > 10) if why == "a function" else Sale.amount > 10, name="large").to("out")
    if why == "a second reader":
        keyed.to("copies")
    assert [node.name for node in steps(app.plan(), FilterNode)] == ["large"]


def test_only_fields_that_are_read_travel() -> None:
    app, sales = app_with("project_fields")
    keyed = sales.stream().group_by(Sale.shop, name="by-shop")
    keyed.aggregate(total=agg.sum(Sale.amount), name="totals")
    plan = app.plan()
    (node,) = steps(plan, RepartitionNode)
    assert node.topic.value_type.__struct_fields__ == ("amount",)
    (short,) = steps(plan, MapValuesNode)
    assert short.name == "by-shop-repartition-fields"
    assert short.function.call(Sale("s", 5, "n")) == node.topic.value_type(5)
    assert short.function.call(None) is None
    assert app.builder.graph.topics[node.topic.name].value_type is Sale, "the graph that was given is as it was"


def test_a_function_behind_may_read_any_field() -> None:
    app, sales = app_with("project_fields")
    keyed = sales.stream().group_by(Sale.shop, name="by-shop")
    keyed.reduce(lambda old, new: new, name="latest")
    (node,) = steps(app.plan(), RepartitionNode)
    assert node.topic.value_type is Sale


def test_a_rule_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"'merge_repartition' is no rule of the optimiser\. Did you mean"):
        App("shop", topology_optimization="merge_repartition")
