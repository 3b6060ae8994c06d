"""join, left_join with a table: the table as it stands, by the stream's records alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.batch import Batch
from streams.graph.definitions import TopicDef
from streams.topic import Topic


class Plane(streams.Record):
    seats: int


def plane_table(stream: Any, key_type: Any = str, value_type: Any = Plane) -> Any:
    """A table of another topic of the same app."""

    class Declared:
        builder = stream._builder

    topic = TopicDef(name="planes", key_type=key_type, value_type=value_type)
    return Topic(Declared(), stream._builder.graph.add_topic(topic)).table()  # type: ignore[arg-type]


def fill(made: Any, *rows: tuple[Any, Any]) -> None:
    table = made.operators["planes-table"]
    table.process(Batch.of(rows, timestamps=[10**6] * len(rows), topic="planes", value_type=Plane))


def joined(left: bool, joiner: Any, **options: Any) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        table = plane_table(stream, **options)
        return stream.left_join(table, joiner) if left else stream.join(table, joiner)

    return build


PLANES = [("a", Plane(2)), ("b", Plane(5))]
ROWS = [("a", 1, 30, [("h", b"1")]), ("x", 2, 10), (None, 3, 11), ("b", None, 12), (None, None, 13), ("b", 4, 14)]


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("left", [False, True])
def test_null_keys_and_values(bench: Callable[..., Any], left: bool, size: int, decoded: bool) -> None:
    made = bench(joined(left, lambda value, plane: (value, plane and plane.seats)), decoded=decoded)
    fill(made, *PLANES)
    rows = [row for at in range(0, len(ROWS), size) for row in made.send(*ROWS[at : at + size])]
    inner = [("a", (1, 2), 30, (("h", b"1"),), 0), ("b", (4, 5), 14, (), 5)]
    unmatched = [("x", (2, None), 10, (), 1), (None, (3, None), 11, (), 2)]
    assert rows == ([inner[0], *unmatched, inner[1]] if left else inner)
    assert made.counts == ({"null_value": 2} if left else {"null_key": 2, "null_value": 1})


@pytest.mark.parametrize(
    ("joiner", "value"),
    [
        (lambda value, plane: value + plane.seats, 3),
        (lambda key, value, plane: f"{key}{value}{plane.seats}", "a12"),
        (lambda value, plane, ctx: (ctx.offset, ctx.timestamp, value), (0, 7, 1)),
        (lambda key, value, plane, ctx: (key, ctx.topic), ("a", "numbers")),
        (max, 9),
    ],
)
def test_joiners(bench: Callable[..., Any], joiner: Any, value: Any) -> None:
    made = bench(joined(False, joiner, value_type=int) if joiner is max else joined(False, joiner))
    fill(made, ("a", 9) if joiner is max else ("a", Plane(2)))
    assert [row.value for row in made.send(("a", 1, 7))] == [value]


def test_the_table_as_it_stands_when_the_record_is_processed(bench: Callable[..., Any]) -> None:
    made = bench(joined(True, lambda value, plane: plane and plane.seats))
    found = []
    for plane in (None, Plane(1), Plane(2), None, Plane(3)):
        found += made.send(("a", 0))
        fill(made, ("a", plane))
    assert [row.value for row in found] == [None, None, 1, 2, None]


def test_the_table_alone_triggers_nothing(bench: Callable[..., Any]) -> None:
    made = bench(joined(True, lambda value, plane: 1))
    fill(made, *PLANES)
    assert made.flush() == [] and made.operator.advance() is None


def test_keys_of_another_form_are_found_all_the_same(bench: Callable[..., Any]) -> None:
    """The stream's keys are text in the log, the table's JSON."""
    made = bench(joined(False, lambda value, plane: plane.seats, key_type=None), decoded=True)
    fill(made, ("a", Plane(2)))
    assert [row[:2] for row in made.send(("a", 1))] == [("a", 2)]


def test_a_joiner_that_raises_leaves_the_record_out(bench: Callable[..., Any]) -> None:
    made = bench(joined(True, lambda value, plane: plane.seats), policy=streams.skip())
    fill(made, *PLANES)
    assert [row[:2] for row in made.send(("a", 1), ("x", 1), ("b", 1))] == [("a", 2), ("b", 5)]
    assert made.counts == {"skip": 1}


def test_after_a_restart_the_table_is_as_it_was_committed(bench: Callable[..., Any]) -> None:
    made = bench(joined(True, lambda value, plane: plane and plane.seats))
    fill(made, *PLANES)
    made.commit()
    fill(made, ("a", None), ("b", Plane(6)))
    assert [row.value for row in made.send(("a", 1), ("b", 1))] == [None, 6]
    made.restart()
    assert [row.value for row in made.send(("a", 1), ("b", 1))] == [2, 5]


def test_a_changed_key_goes_through_a_repartition_first(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> Any:
        return stream.select_key(lambda v: str(v)).join(plane_table(stream), lambda value, plane: 1, name="fit")

    made = bench(build)
    assert [sub.id for sub in made.plan.subtopologies] == ["numbers", "bench-fit-repartition"]
