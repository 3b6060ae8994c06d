"""cogroup: several streams into one table, by every kind of window. Expectations are those of Kafka Streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from streams.app import App
from streams.errors import TopologyError
from streams.operators.aggregations import cogroup as cogroup_module
from streams.operators.aggregations import row_aggregates
from streams.windows import Windowed


def other_stream(stream: Any, name: str = "others", key_type: Any = str) -> Any:
    """A stream of another topic of the same app."""
    from streams.dsl.stream import Stream
    from streams.graph.definitions import TopicDef

    builder = stream._builder
    topic = builder.graph.add_topic(TopicDef(name=name, key_type=key_type, value_type=int))
    node = builder.graph.source(topic, "here")
    return Stream(builder, node, label=name, key_type=key_type, value_type=int)


def plus(text: str, value: int) -> str:
    return f"{text}+{value}"


def minus(text: str, value: int) -> str:
    return f"{text}-{value}"


def both(window: Any = None, **options: Any) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        cogrouped = stream.group_by_key().cogroup(plus).cogroup(other_stream(stream).group_by_key(), minus)
        if window is not None:
            cogrouped = cogrouped.windowed_by(window)
        return cogrouped.aggregate("", name="t", **options)

    return build


def given_again(stream: Any) -> Any:
    grouped = stream.group_by_key()
    cogrouped = grouped.cogroup(plus).cogroup(other_stream(stream).group_by_key(), minus)
    return cogrouped.cogroup(grouped, lambda text, value: f"{text}#{value}").aggregate("", name="t")


def send(made: Any, *rows: tuple[int, str, Any, int]) -> list[tuple[Any, Any, int]]:
    """Rows are (side, key, value, timestamp)."""
    found = []
    for side, *row in rows:
        found += made.all_of(made.operator.take(side, made.batch([tuple(row)])))
    return [(row.key, row.value, row.timestamp) for row in found]


def test_each_stream_is_folded_by_its_own_function(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: both()(s).emit("update"))
    assert send(made, (0, "a", 1, 5), (1, "a", 2, 3), (0, "b", 3, 1), (1, "a", 4, 9)) == [
        ("a", "+1", 5),
        ("a", "+1-2", 5),
        ("b", "+3", 1),
        ("a", "+1-2-4", 9),
    ]


def test_a_stream_that_is_given_again_has_the_later_function_in_the_place_of_the_first(
    bench: Callable[..., Any],
) -> None:
    made = bench(lambda s: given_again(s).emit("update"))
    assert send(made, (0, "a", 1, 5), (1, "a", 2, 3), (0, "a", 3, 9)) == [
        ("a", "#1", 5),
        ("a", "#1-2", 5),
        ("a", "#1-2#3", 9),
    ]


def test_one_store_with_all_of_it(bench: Callable[..., Any]) -> None:
    made = bench(both())
    send(made, (0, "a", 1, 5), (1, "a", 2, 3))
    assert [row[:3] for row in made.commit()] == [("a", "+1-2", 5)]
    made.restart()
    send(made, (1, "a", 3, 4))
    assert [row[:3] for row in made.commit()] == [("a", "+1-2-3", 5)]
    assert {store for store, *_ in made.changelog} == {"t"}


def test_each_stream_has_a_time_of_its_own(bench: Callable[..., Any]) -> None:
    """The other stream's window has passed by the time of the first, not by its own."""
    made = bench(lambda s: both(streams.TumblingWindow(10), retention=100)(s).emit("update"))
    assert send(made, (0, "a", 1, 0), (0, "a", 2, 30_000), (1, "a", 3, 5_000), (0, "a", 4, 5_000)) == [
        (Windowed("a", 0, 10_000), "+1", 0),
        (Windowed("a", 30_000, 40_000), "+2", 30_000),
        (Windowed("a", 0, 10_000), "+1-3", 5_000),
    ]
    assert made.counts == {"late": 1}


def test_by_sessions(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: both(streams.SessionWindow(10), merge=lambda a, b: f"({a}{b})")(s).emit("update"))
    assert send(made, (0, "a", 1, 0), (1, "a", 2, 10_000)) == [
        (Windowed("a", 0, 0), "+1", 0),
        (Windowed("a", 0, 0), None, 0),
        (Windowed("a", 0, 10_000), "(+1)-2", 10_000),
    ]


def test_by_sliding_and_unlimited_windows(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: both(streams.SlidingWindow(10))(s).emit("update"))
    assert [row[:2] for row in send(made, (0, "a", 1, 10_000), (1, "a", 2, 15_000))] == [
        (Windowed("a", 0, 10_000), "+1"),
        (Windowed("a", 10_001, 20_001), "-2"),
        (Windowed("a", 5_000, 15_000), "+1-2"),
    ]
    made = bench(lambda s: both(streams.UnlimitedWindow(start=5))(s).emit("update"))
    assert send(made, (0, "a", 1, 4), (0, "a", 2, 10**12), (1, "a", 3, 5)) == [
        (Windowed("a", 5, 2**63 - 1), "+2", 10**12),
        (Windowed("a", 5, 2**63 - 1), "+2-3", 10**12),
    ]


def test_an_aggregate_of_none_deletes_the_key_which_begins_anew(bench: Callable[..., Any]) -> None:
    def build(stream: Any) -> Any:
        other = other_stream(stream).group_by_key()
        made = stream.group_by_key().cogroup(lambda n, v: n + v).cogroup(other, lambda n, v: None)
        return made.aggregate(10, name="t").emit("update")

    made = bench(build)
    send(made, (0, "a", 1, 9))
    made.commit()
    assert send(made, (1, "a", 0, 5), (0, "a", 2, 3)) == [("a", None, 9), ("a", 12, 3)]
    made.commit()
    made.restart()
    assert send(made, (0, "a", 1, 1)) == [("a", 13, 3)]


@pytest.mark.parametrize("held", [0, 500_000])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.one_of(
            st.tuples(st.integers(0, 1), st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 40)),
            st.sampled_from(["commit", "stop"]),
        )
    )
)
def test_restarts_change_nothing(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, held: int, rows: list[Any]
) -> None:
    """A model: the latest text of each key and window of 10 ms, late by the time of its own stream."""
    for module in (row_aggregates, cogroup_module):
        monkeypatch.setattr(module, "HELD_MAX", held)
    made = bench(lambda s: both(streams.TumblingWindow(0.01), retention=10)(s).emit("update"))
    texts: dict[tuple[str, int], tuple[str, int]] = {}
    times, found, wanted = [-1, -1], [], []
    for row in rows:
        if isinstance(row, str):
            made.commit()
            if row == "stop":
                made.restart()
            continue
        found += send(made, row)
        side, key, value, time = row
        times[side] = max(times[side], time)
        start = time // 10 * 10
        if start + 10 > times[side]:
            text, latest = texts.get((key, start), ("", 0))
            texts[key, start] = (plus, minus)[side](text, value), max(latest, time)
            wanted.append((Windowed(key, start, start + 10), *texts[key, start]))
    assert found == wanted


def test_what_is_refused_when_the_app_is_built() -> None:
    app = App("bench")
    stream = app.topic("numbers", key_type=str, value_type=int).stream()
    grouped = stream.group_by_key()
    with pytest.raises(TopologyError, match="give a grouped stream"):
        grouped.cogroup(plus).cogroup(stream, minus)
    with pytest.raises(TopologyError, match="put windowed_by"):
        grouped.windowed_by(streams.TumblingWindow(1)).cogroup(plus)
    with pytest.raises(TopologyError, match="keys of str never meet keys of int"):
        grouped.cogroup(plus).cogroup(other_stream(stream, key_type=int).group_by_key(), minus)
    with pytest.raises(TopologyError, match="merge="):
        grouped.cogroup(plus).windowed_by(streams.SessionWindow(1)).aggregate("")
    with pytest.raises(TopologyError, match="merge= is for sessions"):
        grouped.cogroup(plus).aggregate("", merge=lambda a, b: a)
    with pytest.raises(TopologyError, match="close") as raised:
        grouped.cogroup(plus).windowed_by(streams.TumblingWindow(1)).aggregate("").emit("close")
    assert __file__ in str(raised.value)
