"""With compiled twins, without, and by rows: topics, changelogs, tables, errors and counts of what was left out are the
same, byte for byte, whatever the values are, however they are cut, and if the way changes at a restart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from broker_embedded import records
from streams import agg
from streams.errors import StreamsError
from streams.kernels import compiled
from streams.testing import Driver
from streams.transport.contract import TopicPartition

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")


class Sale(streams.Record, rename={"pieces": "n"}):
    product: str
    amount: float | None = None
    pieces: int = 1
    paid: bool | None = False
    note: str | None = "né"
    fee: float = 0


class Bill(streams.Record):
    product: str
    amount: float | None
    pieces: int
    note: str | None = None
    fee: float = 1


class Product(streams.Record):
    name: str | None
    price: float


class Row(NamedTuple):
    """As it lies in a topic."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Act(NamedTuple):
    """What is done with a piece of the input, and how: `switched` ones are done the other way."""

    size: int
    commit: bool
    then: str
    switched: bool


AMOUNT = streams.col(Sale.amount)
ALL: dict[str, Any] = {
    f"{name}_{field}": getattr(agg, name)(argument)
    for name in ("count", "sum", "mean", "min", "max", "first", "last", "variance")
    for field, argument in (("amount", AMOUNT), ("pieces", Sale.pieces), ("fee", Sale.fee))
} | {"first_note": agg.first(Sale.note), "last_paid": agg.last(Sale.paid), "max_note": agg.max(Sale.note)}

WINDOWS: dict[str, Any] = {
    "none": None,
    "tumbling": lambda: streams.TumblingWindow(0.01),
    "tumbling grace": lambda: streams.TumblingWindow(0.01, grace=0.02),
    "hopping": lambda: streams.HoppingWindow(0.01, step=0.004),
    "hopping grace": lambda: streams.HoppingWindow(0.01, step=0.003, grace=0.1),
    "session": lambda: streams.SessionWindow(0.004, grace=0.01),
}
POLICIES = ["stop", "skip", "dead-letter"]


def _filtered(app: Any, stream: Any) -> None:
    few = stream.filter((Sale.pieces > 0) | Sale.note.is_null())
    few.to(app.topic("out", key_type=str, value_type=Sale))


def _mapped(app: Any, stream: Any) -> None:
    bill = streams.record(Bill, amount=AMOUNT * 2 + Sale.fee, pieces=Sale.pieces // 2)
    stream.filter(Sale.product != "drop").map_values(bill).to(app.topic("out", key_type=str, value_type=Bill))


def _divided(app: Any, stream: Any) -> None:
    bill = streams.record(Bill, amount=1 / Sale.pieces, pieces=7 % Sale.pieces, note=Sale.product.upper(), fee=Sale.fee)
    stream.map_values(bill).to(app.topic("out", key_type=str, value_type=Bill))


def _called(app: Any, stream: Any) -> None:
    def bill(sale: Sale) -> Bill:
        return Bill(sale.product, sale.amount, 7 // sale.pieces, sale.note, sale.fee)

    stream.map_values(bill).to(app.topic("out", key_type=str, value_type=Bill))


def _asked(app: Any, stream: Any) -> None:
    """By an agent, batch by batch, with a table."""
    sums = app.Table("sums", key_type=str, value_type=float, default=float)

    @app.agent(app.topics["sales"], tables=[sums], sink=[app.topic("out", key_type=str, value_type=float)])
    async def add(events: Any) -> Any:
        async for event in events.events():
            if event.key is not None and event.value is not None:
                sums[event.key] += event.value.fee + event.value.pieces
                yield sums[event.key]


def _joined(how: str) -> Callable[[Any, Any], None]:
    def build(app: Any, stream: Any) -> None:
        products = app.topic("products", key_type=str, value_type=Product).table(name="products")
        amount = streams.coalesce(Product.price, AMOUNT, 0.0) * Sale.pieces
        bill = streams.record(Bill, amount=amount, product=streams.coalesce(Product.name, "?"), note=Sale.note)
        out = app.topic("out", key_type=str, value_type=Bill)
        getattr(stream, how)(products, bill, name="priced").to(out)

    return build


def _aggregated(window: str, emit: str, named: dict[str, Any], by: Any = None) -> Callable[[Any, Any], None]:
    def build(app: Any, stream: Any) -> None:
        group = stream.group_by_key() if by is None else stream.group_by(by, key_type=str, name="by")
        group = group if WINDOWS[window] is None else group.windowed_by(WINDOWS[window]())
        table = group.aggregate(**named, name="sums")
        table.emit(emit).to_stream().to("out")

    return build


FEW = {"n": agg.count(), "total": agg.sum(AMOUNT), "most": agg.max(Sale.pieces)}
PIPELINES: dict[str, Callable[[Any, Any], None]] = {
    "filtered": _filtered,
    "mapped": _mapped,
    "divided": _divided,
    "called": _called,
    "asked": _asked,
    "joined": _joined("join"),
    "left joined": _joined("left_join"),
    **{
        f"{window}, {emit}": _aggregated(window, emit, FEW if "grace" in window else ALL)
        for window in WINDOWS
        for emit in ("update", "close", "commit")
        if (window, emit) != ("none", "close")
    },
    "by another key": _aggregated("hopping grace", "close", ALL, by=Sale.product),
}


def text(value: dict[str, Any], ascii_only: bool, indent: int | None) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")


numbers = st.integers(-9, 9) | st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**70), 2**70)
floats = st.floats() | st.floats(-8, 8, width=16) | st.just(-0.0) | st.integers(-9, 9)
texts = st.sampled_from(["", "a", "é", 'q"\\\n', "x" * 40, "\U0001f6b2", "\ud800", "drop"]) | st.text(max_size=4)
fields = {
    "amount": floats | st.none(),
    "n": numbers,
    "paid": st.booleans() | st.none(),
    "note": texts | st.none(),
    "fee": floats,
    "extra": st.sampled_from([None, [1, {"a": []}], {"n": 1}, "x", -0.0]),
}
plain = st.builds(
    text, st.fixed_dictionaries({"product": texts}, optional=fields), st.booleans(), st.sampled_from([None, 1])
)
ODD = [
    b"", b"{}", b"null", b"[]", b"{", b"\x00", b"\xef\xbb\xbf" + b'{"product":"a"}', b'{"product":"\xff"}',
    b'{"product":"a","n":1,"n":2}', b'{"product":"a","n":1.0}', b'{"product":"a","n":1e400}', b'{"product":"a","n":-0}',
    b'{"product":"a","amount":1e400}', b'{"product":"a","amount":NaN}', b'{"product":"a","amount":-0.0}',
    b'{"product":"a","amount":"1"}', b'{"product":"a","pieces":5}', b'{"product":"a","\\u006e":5}',
    b'{"product":"a"}\x00', b'{"product":"a","x":' + b"[" * 1_000 + b"]" * 1_000 + b"}", b'{"product":"a","n":null}',
    b'{"product":"' + b"x" * 70_000 + b'"}', b'{"product":"a","n":99999999999999999999}',
    b'{"product":"a","amount":99999999999999999999}', b'{"product":"\\ud83d\\udeb2","note":"\\ud800"}',
]  # fmt: skip
values = st.none() | plain | plain | plain | st.sampled_from(ODD)
keys = st.sampled_from([b"a", b"b", b"a", b"b", b"c", b"", None, b"\xc3\xa9", b"\xff", b"k" * 300, b"a\0", b'"'])
times = st.integers(0, 40) | st.integers(0, 40) | st.sampled_from([-1, 100, 10_000])
rows = st.builds(Row, keys, values, times, st.just(()) | st.just((("h", b"1"), ("h", None))))
acts = st.builds(Act, st.integers(1, 8), st.booleans(), st.sampled_from(["", "", "crash", "restart"]), st.booleans())


@contextmanager
def way(on: bool) -> Iterator[None]:
    compiled.switch(on=on)
    try:
        yield
    finally:
        compiled.switch(on=False)


class Left(NamedTuple):
    """All that a run leaves behind. Batches are told by their bytes."""

    topics: dict[str, Any]
    tables: dict[str, Any]
    dropped: list[Any]
    errors: list[str]


def run(pipeline: str, policy: str, rows: list[Row], plan: list[Act], ways: tuple[bool, bool]) -> Left:
    app = streams.App("ways", on_error=policy)
    sales = app.topic("sales", key_type=str, value_type=Sale)
    PIPELINES[pipeline](app, sales.stream())
    waiting, errors, dropped = list(rows), [], []
    with way(ways[0]), Driver(app) as driver:
        if "products" in app.plan().topics:
            driver.pipe("products", [("a", Product("A", 2.5), 0), ("b", Product(None, 1e308), 0)])
        for act in [*plan, Act(50, True, "", False)]:
            piece, waiting = waiting[: act.size], waiting[act.size :]
            compiled.switch(on=ways[act.switched])
            try:
                _act(driver, piece, act, dropped)
            except StreamsError as error:
                errors.append(str(error))
            if driver.is_down:
                break
        return _left(driver, dropped, errors)


def _act(driver: Driver, piece: list[Row], act: Act, dropped: list[Any]) -> None:
    if piece:
        batch = records.encode(*map(list, zip(*piece, strict=True)))
        driver.log.append(TopicPartition("sales", 0), batch)
    driver.pipe("sales", records=[], commit=act.commit)
    if act.then == "crash":
        driver.crash()
    elif act.then == "restart":
        dropped.append(driver.dropped)
        driver.stop()
    if driver.is_down:
        driver.restart()


def _left(driver: Driver, dropped: list[Any], errors: list[str]) -> Left:
    parts = sorted(driver.log._partitions.items())
    topics = {str(tp): _told(tp.topic, [batch.data for batch in part.batches]) for tp, part in parts}
    if driver.is_down:
        return Left(topics, {}, dropped, errors)
    tables = {name: [repr(item) for item in driver.table(name).items()] for name in driver.app.plan().stores}
    return Left(topics, tables, [*dropped, driver.dropped], errors)


def _told(topic: str, batches: list[memoryview]) -> list[Any]:
    """Batches by their bytes; those of a changelog by what they hold for each key, whichever comes first."""
    if not topic.endswith("-changelog"):
        return [*map(bytes, batches)]
    found = map(records.decode, batches)
    rows = [zip(one.keys(), one.values(), one.timestamps.tolist(), strict=True) for one in found]
    return [sorted(part, key=lambda row: row[0] or b"") for part in rows]


def check(pipeline: str, policy: str, rows: list[Row], plan: list[Act]) -> None:
    plain = run(pipeline, policy, rows, plan, (False, False))
    for ways in ((True, True), (True, False), (False, True)):
        assert run(pipeline, policy, rows, plan, ways) == plain, f"compiled: {ways}"


def check_cuts(pipeline: str, policy: str, rows: list[Row], plan: list[Act]) -> None:
    """However records are cut, they leave what they leave one by one."""
    cut = [act._replace(commit=True, then=act.then.replace("crash", "")) for act in plan]
    one = run(pipeline, policy, rows, [Act(1, True, "", False)] * len(rows), (False, False))
    many = run(pipeline, policy, rows, cut, (True, True))
    assert (_read(many), many.tables, many.errors) == (_read(one), one.tables, one.errors)
    assert _summed(many.dropped) == _summed(one.dropped)


def _read(left: Left) -> dict[str, Any]:
    found = {}
    for topic, batches in left.topics.items():
        if topic.startswith(("out", "ways-dead-letter")):
            parts = map(records.decode, batches)
            rows = (zip(one.keys(), one.values(), one.timestamps.tolist(), one.headers(), strict=True) for one in parts)
            # Of several steps the first tells first what it does not take of a batch: letters go by step.
            found[topic] = sorted(chain.from_iterable(rows), key=lambda row: dict(row[3]).get("error.step") or b"")
    return found


def _summed(dropped: list[dict[Any, int]]) -> Counter[Any]:
    return sum(map(Counter, dropped), Counter())


CASES = {"rows": st.lists(rows, max_size=40), "plan": st.lists(acts, max_size=6)}


@pytest.mark.parametrize("pipeline", PIPELINES)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(policy=st.sampled_from(POLICIES), **CASES)
def test_ways_do_not_show(twins: None, pipeline: str, policy: str, rows: list[Row], plan: list[Act]) -> None:
    check(pipeline, policy, rows, plan)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(pipeline=st.sampled_from(sorted(PIPELINES)), policy=st.sampled_from(POLICIES), **CASES)
def test_ways_do_not_show_in_many(twins: None, pipeline: str, policy: str, rows: list[Row], plan: list[Act]) -> None:
    check(pipeline, policy, rows, plan)
    if policy != "stop" and not pipeline.endswith("commit"):
        check_cuts(pipeline, policy, rows, plan)
