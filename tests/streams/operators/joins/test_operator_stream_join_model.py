"""Joins of two streams against their rule in plain Python: random records of both sides, ties, late ones, cut,
committed and crashed at random places.

The model takes one record at a time and looks at all that ever came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams.graph.definitions import TopicDef
from streams.operators.joins import join_side
from streams.topic import Topic
from tests.streams.operators.joins.stream_join_model import NEVER, WAYS, Model, Out

Record = tuple[int, Any, Any, int]
"""Side, key, value, timestamp."""


def joining(way: str, window: streams.JoinWindow) -> Callable[[Any], Any]:
    def build(stream: Any) -> Any:
        class Declared:
            builder = stream._builder

        topic = stream._builder.graph.add_topic(TopicDef(name="others", key_type=str, value_type=int))
        return getattr(stream, way)(Topic(Declared(), topic).stream(), lambda left, right: (left, right), within=window)  # type: ignore[arg-type]

    return build


records = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["a", "b", None]),
        st.one_of(st.integers(0, 99), st.none()),
        st.integers(0, 40),
    ),
    max_size=30,
)
bounds = st.tuples(st.integers(-6, 12), st.integers(-6, 12)).filter(lambda both: sum(both) >= 0)
steps = st.lists(st.sampled_from(["go", "commit", "crash", "hold"]), min_size=1)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(WAYS)), bounds, st.integers(0, 6), records, st.lists(st.integers(1, 6)), steps)
@example("left_join", (10, 10), 0, [(0, str(t), 1, t) for t in (0, 5, 9, 11, 16, 19, 20)], [1], ["go"])
@example("join", (0, 5), 0, [(0, "a", 1, 0), (0, "b", 2, 5), (1, "a", 3, 5)], [3], ["go"])
def test_against_the_rule(
    bench: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    reach: tuple[int, int],
    grace: int,
    rows: list[Record],
    cuts: list[int],
    steps: Sequence[str],
) -> None:
    before, after = reach
    monkeypatch.setattr(join_side, "VALUES_IN_MEMORY_MAX", 3)
    window = streams.JoinWindow(before=before / 1000, after=after / 1000, grace=grace / 1000)
    made = bench(joining(way, window))
    model = Model(before, after, grace, WAYS[way])
    sizes, todo = iter([*cuts, *[4] * len(rows)]), list(steps)
    while rows:
        piece = rows[: _one_side(rows, next(sizes))]
        rows = rows[len(piece) :]
        step = todo.pop(0) if todo else "go"
        if step == "crash":
            made.commit()
            _send(made, piece)
            made.restart()
        assert _send(made, piece) == [out for row in piece for out in model.take(*row)]
        if step == "commit":
            made.commit()
        elif step == "hold":
            bound = model.observed - 3 if model.bound == NEVER else NEVER
            assert [row[:3] for row in made.advance(bound)] == model.advance(bound)


def _one_side(rows: list[Record], size: int) -> int:
    """How many of the first rows, `size` at most, are of one side."""
    return next((at for at, row in enumerate(rows[:size]) if row[0] != rows[0][0]), min(size, len(rows)))


def _send(made: Any, piece: list[Record]) -> list[Out]:
    batch = made.batch([row[1:] for row in piece])
    return [row[:3] for row in made.all_of(made.operator.take(piece[0][0], batch))]
