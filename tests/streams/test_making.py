"""Records made of expressions: by rows and on columns the same, and errors at the line of who builds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from streams.columns import column_from_rows
from streams.errors import NeedsRows, TopologyError
from streams.expressions.making import Making, filled_in
from streams.expressions.sides import with_sides
from streams.graph.explain import explain
from streams.graph.twins import twin


class Sale(streams.Record):
    product: str
    amount: float | None
    pieces: int = 1
    paid: bool = False
    note: str | None = None


class Bill(streams.Record):
    product: str
    amount: float
    pieces: int
    at: streams.Timestamp | None = None
    currency: str = "EUR"


class Price(streams.Record):
    product: str
    euros: int


def filled(**fields: Any) -> Making:
    return filled_in(streams.record(Bill, **fields), "map_values", Sale)


AMOUNT = streams.coalesce(Sale.amount, 0.0)
MAKINGS: list[Callable[[], Making]] = [
    lambda: filled(amount=AMOUNT * 2),
    lambda: filled(amount=AMOUNT, at=7),
    lambda: filled(amount=AMOUNT, pieces=Sale.product.length(), product=Sale.product.upper()),
    lambda: filled(amount=streams.when(Sale.paid, 1.5, Sale.pieces), at=streams.when(Sale.paid, Sale.pieces)),
    lambda: filled(amount=1, product="x", pieces=Sale.pieces // 3, currency=streams.coalesce(Sale.note, "USD")),
    lambda: filled_in(streams.record(Sale, amount=Sale.amount * Sale.pieces, note=None), "map_values", Sale),
]
sales = st.builds(
    Sale,
    product=st.text(max_size=3),
    amount=st.none() | st.floats(-1e9, 1e9) | st.integers(-9, 9),
    pieces=st.integers(-5, 5) | st.just(2**62),
    paid=st.booleans(),
    note=st.none() | st.text(max_size=2),
)


@given(st.sampled_from(MAKINGS), st.lists(sales | st.none(), max_size=6))
def test_rows_and_columns_agree(make: Callable[[], Making], rows: list[Sale | None]) -> None:
    making = make()
    expected = [making.evaluate_row(row) for row in rows]
    try:
        columns = {name: column_from_rows(rows, name, Sale) for name in making.fields}
        made = making.evaluate_fields(columns, len(rows))
    except NeedsRows:
        return
    batch = streams.Batch.of([(None, None)] * len(rows)).with_columns(
        made, making.kind, present=streams.Batch.of([(None, row) for row in rows]).present
    )
    assert batch.rowless
    assert list(map(repr, batch.values)) == list(map(repr, expected))
    assert [msgspec.json.encode(row) for row in batch.values] == [msgspec.json.encode(row) for row in expected]


def test_what_is_not_named_is_taken_or_has_its_default() -> None:
    assert filled(amount=AMOUNT).evaluate_row(Sale("a", None, 3)) == Bill("a", 0.0, 3)
    assert filled(amount=AMOUNT).evaluate_row(None) is None
    assert repr(filled(amount=AMOUNT + 1)) == ("record(Bill, amount=when(Sale.amount.is_null(), 0.0, Sale.amount) + 1)")


def test_in_a_join_from_the_left_or_else_the_right() -> None:
    joiner = with_sides(streams.record(Bill, amount=Price.euros * 1.5), Sale, Price, "join")
    assert joiner.evaluate_row(Sale("a", None, 2), Price("b", 3)) == Bill("a", 4.5, 2)
    assert joiner.left_fields == {"product", "pieces"}
    same = with_sides(streams.record(Price), Price, Price, "join")
    assert same.evaluate_row(Price("a", 1), Price("b", 2)) == Price("a", 1)


class Odd(streams.Record):
    product: str
    names: list[str]


class Doubling(streams.Record):
    amount: float | None

    def __post_init__(self) -> None:
        self.amount = (self.amount or 0) * 2


class Listing(streams.Record):
    product: str
    names: list[str] = msgspec.field(default_factory=list)


def test_what_only_rows_can() -> None:
    assert filled_in(streams.record(Doubling), "map_values", Sale).by_row_only == (
        "Doubling has a __post_init__ of its own"
    )
    made = filled_in(streams.record(Listing), "map_values", Sale)
    assert made.by_row_only == "Listing.names has a default that is made for each record"
    assert made.evaluate_row(Sale("a", 1.0)) == Listing("a", [])
    assert filled_in(streams.record(Bill, amount=1.0), "map_values", Sale).by_row_only is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda s: s.map_values(streams.record(Bill, amuont=1.0)), r"record at .*no field 'amuont'.*mean 'amount'\?"),
        (lambda s: s.map_values(streams.record(int)), r"record at .*give a Record class"),
        (
            lambda s: s.map_values(streams.record(Bill, amount=Sale.amount)),
            r"map_values at .*: Bill.amount is float, and Sale.amount may be None. Say .*coalesce\(Sale.amount, "
            r"\.\.\.\), or declare the field `float \| None`",
        ),
        (lambda s: s.map_values(streams.record(Bill, amount="1")), r"Bill.amount is float, and '1' is str$"),
        (
            lambda s: s.map_values(streams.record(Bill, amount=1.0, pieces=Sale.amount)),
            r"pieces is int, and Sale.amount is .*",
        ),
        (
            lambda s: s.map_values(streams.record(Bill, amount=1.0, pieces=streams.coalesce(Sale.amount, 0.0) // 1)),
            r"pieces is int, and .* is float\. Declare the field `float`",
        ),
        (
            lambda s: s.flat_map_values(streams.record(Sale)),
            r"flat_map_values at .*: give a function; this step takes no expression, as record\(Sale\)",
        ),
        (lambda s: s.map_values(streams.record(Bill, amount=Sale.paid)), r"is float, and Sale.paid is bool$"),
        (
            lambda s: s.map_values(streams.record(Odd)),
            r"record\(Odd\) has no value for 'names': Sale has product, .*\. Name it: record\(Odd, names=\.\.\.\)",
        ),
        (lambda s: s.map_values(lambda v: v).map_values(streams.record(Odd)), r"that come have no declared fields"),
        (lambda s: s.filter(streams.record(Sale)), r"filter at .*record\(Sale\) makes a record, which map_values and"),
        (lambda s: s.map_values(streams.record(Odd, names=streams.record(Sale))), r"a record in a record"),
        (
            lambda s: s.map_values(streams.record(Bill, amount=lambda sale: 1.0)),
            r"map_values at .*: Bill.amount takes an expression or a value, not a function",
        ),
        (lambda s: s.map_values(streams.record(Bill, amount=Price.euros)), r"Price.euros is of values with a field"),
        (
            lambda s: s.left_join(prices(s), streams.record(Bill, amount=Price.euros)),
            r"left_join at [^ ]*: Bill.amount is float, and Price.euros may be None",
        ),
    ],
)
def test_errors_teach(build: Callable[[Any], Any], message: str) -> None:
    app = streams.App("shop")
    with pytest.raises(TopologyError, match=message):
        build(app.topic("sales", key_type=str, value_type=Sale).stream())


def prices(stream: Any) -> Any:
    return streams.App("other").topic("prices", key_type=str, value_type=Price).table(name="prices")


def test_the_step_has_its_type_and_name() -> None:
    app = streams.App("shop")
    sales = app.topic("sales", key_type=str, value_type=Sale).stream()
    made = sales.map_values(streams.record(Bill, amount=AMOUNT))
    assert (made.value_type, made.node.name) == (Bill, "sales-map_values-Bill")


def test_explain_says_how_records_are_made_and_written() -> None:
    app = streams.App("shop")
    sales = app.topic("sales", key_type=str, value_type=Sale).stream()
    sales.map_values(streams.record(Bill, amount=AMOUNT)).to(app.topic("bills", value_type=Bill))
    sales.map_values(streams.record(Doubling)).to("doubled")
    sales.join(
        app.topic("prices", key_type=str, value_type=Price).table(name="prices"),
        streams.record(Bill, amount=Price.euros),
        name="priced",
    ).to(app.topic("untyped"))
    (steps,) = explain(app.plan()).values()
    said = {step.step: (step.form, step.why) for step in steps}
    assert said["sales-map_values-Bill"][0] == "columns"
    assert said["sales-map_values-Doubling"] == ("rows", "Doubling has a __post_init__ of its own")
    assert said["priced"] == ("columns", "record(Bill, amount=Price.euros) is an expression")
    sub = app.plan().subtopologies[0]
    twins = {node.name: twin(sub, node) for node in sub.nodes}
    assert [text for name, text in twins.items() if "bills" in name] == [
        "compiled: columns to JSON, where no step has made rows"
    ]
    assert "each looked up once" in str(twins["priced"])
    assert [text for name, text in twins.items() if "untyped" in name] == [
        "compiled: columns to JSON, where no step has made rows"
    ]
