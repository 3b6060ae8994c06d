"""Reading a topic: bytes become typed batches; markers and what does not decode stand in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import streams
from broker_embedded import records
from streams.batch import Batch
from streams.operators.sources.source import Marker, Segment, SourceOperator, Undecodable

Rows = Sequence[tuple[bytes | None, bytes | None]]


class Click(streams.Record):
    user: str
    at: streams.Timestamp | None = None


def encoded(rows: Rows, base: int = 0, **more: Any) -> memoryview:
    keys, values = [row[0] for row in rows], [row[1] for row in rows]
    times = [1_000 + base + n for n in range(len(rows))]
    return memoryview(records.encode(keys, values, times, base_offset=base, **more))


def source(made: Any) -> SourceOperator:
    operator = next(iter(made.operators.values()))
    assert isinstance(operator, SourceOperator)
    return operator


def shape(segments: list[Segment]) -> list[Any]:
    """Values of batches, `!offset` of what does not decode, `@offset` of markers."""
    names = {Marker: "@", Undecodable: "!"}
    return [s.values if isinstance(s, Batch) else f"{names[type(s)]}{s.offset}" for s in segments]


def test_bytes_become_typed_keys_and_values(bench: Callable[..., Any]) -> None:
    operator = source(bench(lambda s: s.filter(lambda v: True)))
    raw = encoded([(b"a", b"1"), (None, b"2"), (b"b", None)], 7, headers=[[("h", b"x")], [], []])
    (batch,) = operator.decode([raw], 3, 7)
    assert isinstance(batch, Batch)
    assert (batch.topic, batch.partition) == ("numbers", 3)
    assert (batch.keys, batch.values) == (["a", None, "b"], [1, 2, None])
    assert (batch.offsets.tolist(), batch.timestamps.tolist()) == ([7, 8, 9], [1_007, 1_008, 1_009])
    assert [list(h) for h in batch.headers or ()] == [[("h", b"x")], [], []]


def test_several_raw_batches_are_one_and_what_was_taken_before_is_left_out(bench: Callable[..., Any]) -> None:
    operator = source(bench(lambda s: s.filter(lambda v: True)))
    raw = [encoded([(b"a", b"1"), (b"b", b"2")]), encoded([(b"c", b"3")], 9), encoded([(b"d", b"4")], 12)]
    for offset, values in [(0, [1, 2, 3, 4]), (1, [2, 3, 4]), (2, [3, 4]), (10, [4]), (13, None)]:
        segments = operator.decode(raw, 0, offset)
        assert shape(segments) == ([values] if values else [])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"1", b"x", b"3"], [[1], "!1", [3]]),
        ([b"x", b"2", b"y"], ["!0", [2], "!2"]),
        ([b"x"], ["!0"]),
        ([b"x", b"y", b"3", b"4"], ["!0", "!1", [3, 4]]),
    ],
)
def test_what_does_not_decode_stands_in_its_place(
    bench: Callable[..., Any], values: list[bytes], expected: list[Any]
) -> None:
    operator = source(bench(lambda s: s.filter(lambda v: True)))
    assert shape(operator.decode([encoded([(b"k", value) for value in values])], 0, 0)) == expected


def test_keys_that_do_not_decode_are_found_when_read(bench: Callable[..., Any]) -> None:
    text = source(bench(lambda s: s.filter(lambda v: True)))
    assert shape(text.decode([encoded([(b"a", b"1"), (b"\xff", b"2"), ("é".encode(), b"3")])], 0, 0)) == [
        [1],
        "!1",
        [3],
    ]
    number = source(bench(lambda s: s.filter(lambda v: True), key_type=int))
    assert shape(number.decode([encoded([(b"1", b"1"), (b"x", b"2"), (None, b"3")])], 0, 0)) == [[1], "!1", [3]]


def test_keys_are_decoded_when_asked_for(bench: Callable[..., Any]) -> None:
    operator = source(bench(lambda s: s.filter(lambda v: True)))
    (batch,) = operator.decode([encoded([(b"a", b"1"), (b"b", b"2")])], 0, 0)
    assert isinstance(batch, Batch)
    assert not batch._keys.are_made
    assert (batch[1:].keys, batch.key_bytes) == (["b"], [b"a", b"b"])


def test_the_policy_has_what_does_not_decode_when_the_task_comes_to_it(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.filter(lambda v: True), policy=streams.retry(3, then=streams.dead_letter("dead")))
    operator = source(made)
    (bad,) = operator.decode([encoded([(b"k", b"x")], 5)], 0, 5)
    assert not made.failures.counts
    assert isinstance(bad, Undecodable)
    operator.reject(bad)
    assert made.failures.counts["numbers-source", "dead_letter"] == 1
    assert made.written() == {"dead": [(b"k", b"x", 1_005)]}

    made = bench(lambda s: s.filter(lambda v: True))
    with pytest.raises(streams.errors.DecodeError, match="numbers-source, numbers-0 @ 5: the value does not decode"):
        source(made).reject(bad)


def test_event_time_is_the_records_own_where_it_has_one(bench: Callable[..., Any]) -> None:
    operator = source(bench(lambda s: s.filter(lambda v: True), value_type=Click))
    rows: Rows = [(b"a", b'{"user":"x","at":7}'), (b"b", b'{"user":"y"}'), (b"c", None)]
    (batch,) = operator.decode([encoded(rows)], 0, 0)
    assert isinstance(batch, Batch)
    assert batch.timestamps.tolist() == [7, 1_001, 1_002]
    pieces = operator.decode([encoded([*rows, (b"d", b"no"), (b"e", b'{"user":"z","at":9}')])], 0, 0)
    assert [p.timestamps.tolist() for p in pieces if isinstance(p, Batch)] == [[7, 1_001, 1_002], [9]]


def test_markers_of_a_repartition_topic_stand_in_their_place(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.repartition(name="moved"))
    operator = made.operator
    assert isinstance(operator, SourceOperator)
    rows: Rows = [(None, b"m1"), (b"a", b"1"), (b"b", b"x"), (None, b"m2"), (None, b"m3"), (b"c", b"3")]
    segments = operator.decode([encoded(rows)], 0, 0)
    assert shape(segments) == ["@0", [1], "!2", "@3", "@4", [3]]
    assert [s.value for s in segments if isinstance(s, Marker)] == [b"m1", b"m2", b"m3"]
    assert shape(operator.decode([encoded(rows)], 0, 4)) == ["@4", [3]]


def test_a_topic_of_the_users_may_have_records_without_keys(bench: Callable[..., Any]) -> None:
    operator = source(bench(lambda s: s.filter(lambda v: True)))
    assert shape(operator.decode([encoded([(None, b"1"), (b"a", b"2")])], 0, 0)) == [[1, 2]]
