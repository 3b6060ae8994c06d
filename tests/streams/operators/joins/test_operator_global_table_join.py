"""join, left_join with a global table: by any key, and the record keeps its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.batch import Batch
from streams.errors import TopologyError
from streams.graph.definitions import TopicDef
from streams.topic import Topic


class Flight(streams.Record):
    carrier: str | None
    minutes: int


def airlines(stream: Any, key_type: Any = str) -> Any:
    class Declared:
        builder = stream._builder

    topic = TopicDef(name="airlines", key_type=key_type, value_type=str, where="here:1")
    return Topic(Declared(), stream._builder.graph.add_topic(topic)).global_table()  # type: ignore[arg-type]


def joined(left: bool, key: Any, joiner: Any = lambda flight, airline: (flight.minutes, airline)) -> Any:
    def build(stream: Any) -> Any:
        table = airlines(stream)
        return (stream.left_join if left else stream.join)(table, joiner, key=key)

    return build


def fill(made: Any, *rows: tuple[Any, Any]) -> None:
    store = made.plan.globals[0].store
    for key, value in rows:
        made.context.view(store).put(key, value, 0)


def carrier(flight: Flight) -> str | None:
    return flight.carrier


ROWS = [
    ("1", Flight("AA", 10), 30, [("h", b"1")]),
    ("2", Flight("XX", 20), 10),
    (None, Flight("UA", 30), 11),
    ("4", Flight(None, 40), 12),
    ("5", None, 13),
    ("6", Flight("UA", 60), 14),
]


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("key", [Flight.carrier, carrier, lambda key, flight: flight.carrier])
def test_null_keys_and_values(bench: Callable[..., Any], left: bool, size: int, decoded: bool, key: Any) -> None:
    made = bench(joined(left, key), decoded=decoded, value_type=Flight)
    fill(made, ("AA", "American"), ("UA", "United"))
    rows = [row for at in range(0, len(ROWS), size) for row in made.send(*ROWS[at : at + size])]
    expected = [
        ("1", (10, "American"), 30, (("h", b"1"),), 0),
        ("2", (20, None), 10, (), 1),
        (None, (30, "United"), 11, (), 2),
        ("4", (40, None), 12, (), 3),
        ("6", (60, "United"), 14, (), 5),
    ]
    assert rows == (expected if left else [row for row in expected if row[1][1] is not None])
    assert made.counts == ({"null_value": 1} if left else {"null_key": 1, "null_value": 1})


def test_the_joiner_gets_the_key_of_the_stream(bench: Callable[..., Any]) -> None:
    made = bench(joined(False, carrier, lambda key, flight, airline: f"{key} {airline}"), value_type=Flight)
    fill(made, ("AA", "American"))
    assert [row[:2] for row in made.send(("7", Flight("AA", 1)))] == [("7", "7 American")]


def test_a_key_that_raises_leaves_the_record_out(bench: Callable[..., Any]) -> None:
    made = bench(joined(True, lambda flight: flight.carrier.upper()), value_type=Flight, policy=streams.skip())
    assert [row.value for row in made.send(("1", Flight("AA", 1)), ("2", Flight(None, 2)))] == [(1, None)]
    assert made.counts == {"skip": 1}


def test_no_repartition_where_the_key_was_changed(bench: Callable[..., Any]) -> None:
    made = bench(lambda stream: joined(False, carrier)(stream.select_key(lambda value: "x")), value_type=Flight)
    assert [sub.id for sub in made.plan.subtopologies] == ["numbers"]


def test_the_table_belongs_to_no_sub_topology(bench: Callable[..., Any]) -> None:
    made = bench(joined(False, carrier), value_type=Flight)
    assert [store.name for sub in made.plan.subtopologies for store in sub.stores] == []
    assert list(made.plan.stores) == ["airlines"]


@pytest.mark.parametrize("operator", ["filter", "to_stream", "map_values", "group_by", "join", "to", "emit"])
def test_a_global_table_has_no_operators(operator: str) -> None:
    app = streams.App("globals")
    table = app.topic("airlines", key_type=str).global_table()
    with pytest.raises(TopologyError, match=rf"{operator} at .*test_operator_global_table_join.py:\d+: a global table"):
        getattr(table, operator)
    assert not hasattr(table, "anything_else")


def test_errors_name_the_line() -> None:
    app = streams.App("globals")
    numbers = app.topic("numbers", key_type=str, value_type=int).stream()
    topic = app.topic("airlines", key_type=str, value_type=str)
    table = topic.global_table()
    with pytest.raises(TopologyError, match=r"join at .*\.py:\d+: 'airlines' is a global table, so say .*key="):
        numbers.join(table, lambda left, right: 1)

    def number(value: int) -> int:
        return value

    with pytest.raises(TopologyError, match="key= gives int, which is never a key of str"):
        numbers.join(table, lambda left, right: 1, key=number)
    with pytest.raises(TopologyError, match=r"key= is for global tables"):
        numbers.join(app.topic("planes").table(), lambda left, right: 1, key=number)
    with pytest.raises(TopologyError, match="is a global table twice"):
        topic.global_table(name="again")
    topic.stream()
    with pytest.raises(TopologyError, match=r"is a global table at .* and is read as a stream or table at"):
        app.plan()


def test_null_rows_meet_nothing(bench: Callable[..., Any]) -> None:
    made = bench(joined(True, carrier), value_type=Flight)
    fill(made, ("AA", "American"), ("AA", None))
    assert made.process(Batch.of([], value_type=Flight)) == []
    assert [row.value for row in made.send(("1", Flight("AA", 1)))] == [(1, None)]
