"""Which form a step runs in, and the reason that is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams import App, Record, SessionWindow, SlidingWindow, agg, col
from streams.graph.explain import Explained, explain


class Flight(Record):
    carrier: str
    delay: float


def said(build: Callable[[Any], Any], value_type: Any = Flight) -> Explained:
    """Of the last step that is declared."""
    app = App("flights")
    build(app.topic("flights", key_type=str, value_type=value_type).stream())
    return list(explain(app.plan()).values())[-1][-1]


CASES: list[tuple[Callable[[Any], Any], str, str]] = [
    (lambda s: s.filter(Flight.delay > 15), "columns", "Flight.delay > 15 is an expression"),
    (lambda s: s.filter(lambda f: f.delay > 15), "rows", "a function takes one record at a time"),
    (lambda s: s.map_values(Flight.delay * 2), "columns", "Flight.delay * 2 is an expression"),
    (lambda s: s.select_key(Flight.carrier), "columns", "Flight.carrier is an expression"),
    (lambda s: s.map(lambda k, v: (k, v)), "rows", "a function takes one record at a time"),
    (lambda s: s.deduplicate(within="1m"), "rows", "each record is looked up among those that were let through"),
    (lambda s: s.to_table().filter(Flight.delay > 15), "columns", "Flight.delay > 15 is an expression"),
    (lambda s: s.to_table().map_values(Flight.delay * 2), "columns", "Flight.delay * 2 is an expression"),
    (lambda s: s.group_by_key().count(), "columns", "named aggregates of expressions are folded group by group"),
    (lambda s: s.group_by_key().count().emit("update"), "rows", 'emit("update") hands on every change, one by one'),
    (lambda s: s.group_by_key().aggregate(d=agg.sum(lambda f: f.delay)), "rows", "an aggregate is given a function"),
    (lambda s: s.group_by_key().reduce(lambda old, new: new), "rows", "a function folds one record at a time"),
    (lambda s: s.group_by_key().windowed_by(SessionWindow("5m")).count(), "columns", "named aggregates of expressions"),
    (
        lambda s: s.group_by_key().windowed_by(SlidingWindow("5m")).count(),
        "rows",
        "each record makes windows of its own",
    ),
    (
        lambda s: s.merge(s.filter(Flight.delay > 15), name="twice"),
        "rows",
        "one record at a time, as branches of flights meet again in twice",
    ),
]


@pytest.mark.parametrize(("build", "form", "why"), CASES, ids=range(len(CASES)))
def test_form_and_reason(build: Callable[[Any], Any], form: str, why: str) -> None:
    found = said(build)
    assert (found.form, found.why[: len(why)]) == (form, why)


def test_values_without_declared_fields_have_no_columns() -> None:
    found = said(lambda s: s.filter(col("delay") > 15), value_type=None)
    assert found.form == "rows" and found.why.startswith("the values have no declared fields")
