"""What goes from columns to a topic is what goes there from rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import streams
from broker_embedded import records
from streams.batch import Batch
from streams.columns import Column, column_from_rows
from streams.faces import Keys, Values, WindowedSpans
from streams.graph.definitions import TopicDef
from streams.operators import encoding
from streams.operators.encoding import RecordEncoder
from streams.operators.outputs import Outputs
from streams.serde import TEXT
from streams.spans import Spans
from streams.testing import Driver
from streams.windows import Windowed


class Sale(streams.Record):
    product: str
    amount: float | None
    pieces: int = 1


class Bill(streams.Record):
    product: str
    amount: float
    at: int = 7


class Product(streams.Record):
    name: str | None
    price: float


SALES: list[tuple[str | None, Any]] = [
    ("a", Sale("a", 1.5)),
    ("b", Sale('b"\n', None, 3)),
    (None, Sale("é", 2.0**80, -5)),
    ("d", None),
    ("a", Sale("x" * 300, 0.1 + 0.2)),
]


def shop() -> Any:
    app = streams.App("shop", on_error="skip")
    sales = app.topic("sales", key_type=str, value_type=Sale, partitions=1)
    bills = app.topic("bills", key_type=str, value_type=Bill, partitions=3)
    products = app.topic("products", key_type=str, value_type=Product, partitions=1).table(name="products")
    stream = sales.stream()
    stream.filter(~(Sale.pieces == 3)).to(app.topic("few", key_type=str, value_type=Sale, partitions=2))
    double = streams.record(Bill, amount=streams.coalesce(Sale.amount, 0.0) * 2)
    stream.map_values(double).to(bills)
    priced = streams.record(Bill, amount=Product.price * Sale.pieces, product=streams.coalesce(Product.name, "?"))
    joined = app.topic("joined", key_type=str, value_type=Bill, partitions=1)
    stream.join(products, priced, name="priced").to(joined)
    known = streams.record(Bill, amount=streams.coalesce(Product.price, Sale.pieces))
    stream.left_join(products, known, name="known").to(app.topic("known", value_type=Bill, partitions=1))
    return app


def left_behind(topics: list[str]) -> dict[str, Any]:
    with Driver(shop()) as driver:
        for name, price in (("a", 2.5), ("d", 1.0)):
            driver.pipe("products", key=name, value=Product(name.upper() if name == "a" else None, price), timestamp=0)
        for rows in (SALES, SALES[:2], [("a", Sale("again", 1.0))]):
            driver.pipe_many("sales", rows)
            driver.pipe("products", key="a", value=Product("A2", 3.5), timestamp=0)
            driver.pipe("products", key="b", value=None, timestamp=0)
        return {name: [(r.key, r.value, r.timestamp) for r in driver.read(name)] for name in topics}


def test_topics_hold_the_same_with_and_without_twins(request: pytest.FixtureRequest) -> None:
    topics = ["few", "bills", "joined", "known"]
    plain = left_behind(topics)
    assert [len(plain[name]) for name in topics] == [5, 8, 4, 7]
    request.getfixturevalue("twins")
    assert left_behind(topics) == plain


class Told:
    """Outputs that say in which form they were given records."""

    def __init__(self) -> None:
        self.outputs = Outputs(lambda topic: 1, lambda topic: "none")
        self.forms: list[str] = []

    def add(self, *args: Any, **named: Any) -> None:
        self.forms.append("rows")
        self.outputs.add(*args, **named)

    def add_spans(self, *args: Any, **named: Any) -> None:
        self.forms.append("spans")
        self.outputs.add_spans(*args, **named)

    def records(self) -> list[Any]:
        batches = [records.decode(memoryview(data)) for _, data, _ in self.outputs.drain()]
        return [row for b in batches for row in zip(b.keys(), b.values(), b.timestamps.tolist(), strict=True)]


def written(batch: Batch, topic: TopicDef) -> tuple[list[str], list[Any]]:
    told = Told()
    RecordEncoder(topic, None, told, None).write(batch)  # type: ignore[arg-type]  # nothing fails
    return told.forms, told.records()


ROWS = [Sale("a", 1.5), Sale("b", None), Sale("c", 1e300)]
WINDOWS = WindowedSpans(Spans.of([b"a", b'"', b"\xc3\xa9"]), np.array([0, 10, -5]), np.array([10, 20, 5]))


def of_columns(keys: Any = None) -> Batch:
    columns = {name: column_from_rows(ROWS, name, Sale) for name in Sale.__struct_fields__}
    values = Values(3, kind=Sale, columns=columns)
    return Batch(offsets=np.arange(3), timestamps=np.arange(3), keys=keys, values=values)


@pytest.mark.parametrize(
    ("key_type", "keys", "form"),
    [
        (str, ["x", None, "y"], "spans"),
        (str, Keys(3, decode=TEXT.decode_each, spans=WINDOWS.keys), "spans"),
        (Windowed, Keys(3, decode=TEXT.decode_each, windowed=WINDOWS), "spans"),
        (Windowed[str], Keys(3, decode=TEXT.decode_each, windowed=WINDOWS), "spans"),
        (None, Keys(3, decode=TEXT.decode_each, windowed=WINDOWS), "spans"),
        (Windowed[int], Keys(3, decode=TEXT.decode_each, windowed=WINDOWS), "rows"),
        (tuple[str, int], [("x", 1), ("y", 2), ("z", 3)], "spans"),
    ],
)
def test_keys_of_any_form(twins: None, monkeypatch: Any, key_type: Any, keys: Any, form: str) -> None:
    topic = TopicDef(name="out", key_type=key_type, value_type=Sale)
    forms, found = written(of_columns(keys), topic)
    monkeypatch.setattr(encoding.compiled, "ready", lambda _rows=None: False)
    assert (forms, found) == ([form], written(of_columns(keys), topic)[1])


def test_a_topic_without_a_class_takes_columns_of_any(twins: None, monkeypatch: Any) -> None:
    topic = TopicDef(name="out", value_type=None)
    forms, found = written(of_columns(), topic)
    monkeypatch.setattr(encoding.compiled, "ready", lambda _rows=None: False)
    assert (forms, found) == (["spans"], written(of_columns(), topic)[1])


def test_what_is_no_record_of_the_topics_class_goes_by_rows(twins: None) -> None:
    batch = of_columns()
    assert batch.values == ROWS
    assert written(batch, TopicDef(name="out", value_type=Sale))[0] == ["rows"]


def test_text_without_utf8_is_told_by_rows(twins: None) -> None:
    columns = {
        "product": Column(np.array(["\ud800"], object)),
        "amount": Column(np.ones(1)),
        "pieces": Column(np.ones(1)),
    }
    batch = Batch(offsets=np.arange(1), timestamps=np.arange(1), values=Values(1, kind=Sale, columns=columns))
    from streams.operators.column_encoding import ColumnEncoder

    encoder = ColumnEncoder.for_topic(TopicDef(name="out", value_type=Sale))
    assert encoder is not None and encoder.spans(batch) is None
