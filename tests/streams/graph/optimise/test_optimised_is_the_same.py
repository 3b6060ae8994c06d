"""An app gives the same records under every rule and under none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import App, Record, TumblingWindow, agg
from streams.graph.optimise import RULES
from streams.testing import Driver


class Sale(Record):
    shop: str
    amount: int
    note: str | None = None


def totals(sales: Any) -> None:
    sales.group_by(Sale.shop, name="by-shop").aggregate(total=agg.sum(Sale.amount), name="totals").to_stream().to("out")


def filtered_behind(sales: Any) -> None:
    large = sales.select_key(Sale.shop).repartition(name="by-shop").filter(Sale.amount > 2).filter_not(Sale.amount > 7)
    large.group_by_key().windowed_by(TumblingWindow(0.01)).count(name="counts").to_stream().to("out")


def keyed_twice(sales: Any) -> None:
    sales.group_by(Sale.shop, name="first").count(name="counts").to_stream().to("out")
    sales.group_by(Sale.shop, name="second").aggregate(last=agg.last(Sale.note), name="notes").to_stream().to("more")


BUILDS: dict[str, Callable[[Any], None]] = {build.__name__: build for build in (totals, filtered_behind, keyed_twice)}
sales = st.builds(Sale, st.sampled_from("abc"), st.integers(0, 9), st.none() | st.sampled_from("xy"))
inputs = st.lists(st.tuples(st.sampled_from("kl"), st.none() | sales, st.integers(0, 40)), max_size=12)


def outputs(build: Callable[[Any], None], rules: str, rows: list[Any], partitions: int) -> dict[str, Any]:
    app = App("shop", topology_optimization=rules)
    for name in ("out", "more"):
        app.topic(name)
    build(app.topic("sales", key_type=str, value_type=Sale).stream())
    with Driver(app, partitions=partitions) as driver:
        driver.pipe("sales", rows)
        return {name: sorted(driver.read(name), key=repr) for name in ("out", "more")}


@pytest.mark.parametrize("rules", [*RULES, "all"])
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@settings(max_examples=15, deadline=None)
@given(rows=inputs, partitions=st.sampled_from([1, 3]))
def test_same_records(build: Callable[[Any], None], rules: str, rows: list[Any], partitions: int) -> None:
    assert outputs(build, rules, rows, partitions) == outputs(build, "none", rows, partitions)
