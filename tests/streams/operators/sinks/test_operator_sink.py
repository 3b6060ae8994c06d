"""to: keys and values through the topic's serdes, into its partitions; fixed topic or chosen by record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.serde import JAVA_INT64

ROWS = [("a", 1, 30), (None, 2, 10), ("b", None, 20)]


class Flight(streams.Record):
    carrier: str


@pytest.mark.parametrize("decoded", [False, True])
def test_records_keep_key_time_order_and_null(bench: Callable[..., Any], decoded: bool) -> None:
    made = bench(lambda s: s.to("out"), decoded=decoded)
    assert made.send(*ROWS) == []
    assert made.written() == {"out": [(b"a", b"1", 30), (None, b"2", 10), (b"b", None, 20)]}


def test_headers_go_with_their_records(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.to("out"))
    made.send(("a", 1, 0))
    made.send(("b", 2, 1, [("h", b"1")]), ("c", 3, 2))
    (written,) = made.outputs.drain()
    from broker_embedded import records

    assert records.decode(memoryview(written[1])).headers() == [[], [("h", b"1")], []]


@pytest.mark.parametrize("decoded", [False, True])
def test_a_topic_with_another_key_type_gets_its_own_bytes(bench: Callable[..., Any], decoded: bool) -> None:
    for key_type, key in [(JAVA_INT64, b"\0\0\0\0\0\0\0\7"), (None, b"7")]:

        def build(stream: Any, key_type: Any = key_type) -> None:
            stream.to(made_topic(stream, key_type))

        made = bench(build, key_type=int, decoded=decoded)
        made.send((7, 1, 0))
        assert made.written() == {"out": [(key, b"1", 0)]}


def made_topic(stream: Any, key_type: Any) -> Any:
    from streams.graph.definitions import TopicDef
    from streams.topic import Topic

    topic = stream._builder.graph.add_topic(TopicDef(name="out", key_type=key_type, value_type=int))
    return Topic(None, topic)  # type: ignore[arg-type]


def test_a_function_chooses_among_the_apps_topics(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> None:
        stream.filter(lambda v: v, name="one").to("odd")
        stream.filter(lambda v: v, name="two").to("even")
        stream.to(lambda value: "odd" if value % 2 else "even")

    made = bench(build)
    made.send(("a", 1), ("b", 2), ("c", 3))
    assert made.written() == {"odd": [(b"a", b"1", 0), (b"c", b"3", 2)], "even": [(b"b", b"2", 1)]}


@pytest.mark.parametrize("function", [lambda key, value: key, lambda value, ctx: "numbers"], ids=["key", "ctx"])
def test_the_function_takes_what_others_take(bench: Callable[..., Any], function: Any) -> None:
    made = bench(lambda s: s.to(function))
    made.send(("numbers", 1))
    assert made.written() == {"numbers": [(b"numbers", b"1", 0)]}


def test_a_name_that_the_app_does_not_declare_is_an_error(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.to(lambda value: "nowhere"), policy=streams.skip())
    with pytest.raises(
        streams.errors.TopologyError, match=r"py:\d+: .* 'nowhere', which the app does not declare; add app.topic"
    ):
        made.send(("a", 1))


def test_a_function_that_raises_leaves_the_record_out(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.to(lambda value: {1: "numbers"}[value]), policy=streams.skip())
    made.send(("a", 1), ("b", 2), ("c", 1))
    assert made.written() == {"numbers": [(b"a", b"1", 0), (b"c", b"1", 2)]}
    assert made.counts == {"skip": 1}


@pytest.mark.parametrize("decoded", [False, True])
def test_what_does_not_encode_is_left_out_alone(bench: Callable[..., Any], decoded: bool) -> None:
    def build(stream: Any) -> None:
        stream.map_values(lambda v: Flight("AA") if v % 2 else v, value_type=Flight).to("out")

    made = bench(build, policy=streams.skip(), decoded=decoded)
    step, sink = list(made.operators.values())[1:]
    sink.process(step.process(made.batch([("a", 1), ("b", 2), ("c", 3)])))
    assert made.written() == {"out": [(b"a", b'{"carrier":"AA"}', 0), (b"c", b'{"carrier":"AA"}', 2)]}
    assert made.counts == {"skip": 1}


def test_what_does_not_encode_says_where_and_why(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.map(lambda key, value: (value, value), key_type=str, value_type=int).to("out"))
    step, sink = list(made.operators.values())[1:]
    with pytest.raises(streams.errors.EncodeError, match=r"numbers-0 @ 0: the key does not fit topic 'out'.*str"):
        sink.process(step.process(made.batch([("a", 1)])))
