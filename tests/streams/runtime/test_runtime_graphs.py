"""Random small graphs, with branches that meet again: how records are cut changes nothing that leaves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

import streams
from broker_embedded import records
from streams import agg

STEPS = (
    *("filter", "map_values", "flat_map_values", "map", "peek", "merge"),
    *("count", "window", "named", "join", "own table", "to"),
)
GRAPHS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=9)
ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5) | st.none(), st.integers(0, 40), st.integers(0, 1)), max_size=14
)
CUTS = [(1, 1), (3, 2), (100, 100), (100, 3)]
"""(records of a run at most, records of a raw batch)"""


class Graph:
    """An app whose steps are drawn; `seen` is what its `peek`s saw, in order for each."""

    def __init__(self, steps: list[tuple[str, int, int]]) -> None:
        self.app = streams.App("bench")
        self.topics = [self.app.topic(name, key_type=str, value_type=int) for name in ("first", "second")]
        self.streams = [topic.stream() for topic in self.topics]
        self.tables: list[Any] = []
        self.seen: dict[str, list[Any]] = {}
        # One task reads both topics, so that there is always an order between them.
        self.streams.append(self.streams[0].merge(self.streams[1], name="both"))
        for number, (step, one, other) in enumerate(steps):
            self._add(step, f"s{number}", self.streams[one % len(self.streams)], one, other)
        for number, stream in enumerate(self.streams):
            stream.to(f"end{number}", name=f"end{number}")

    def _add(self, step: str, name: str, stream: Any, one: int, other: int) -> None:
        made: Any = None
        if step == "filter":
            made = stream.filter(lambda v: v is not None and v % (other % 3 + 2), name=name)
        elif step == "map_values":
            made = stream.map_values(lambda key, v: (v or 0) + len(key), value_type=int, name=name)
        elif step == "flat_map_values":
            made = stream.flat_map_values(lambda v: [v or 0] * (other % 3), value_type=int, name=name)
        elif step == "map":  # its key may have changed, so nothing that goes by key comes behind it
            stream.map(lambda key, v: (key, v and -v), key_type=str, value_type=int, name=name).to(f"{name}-out")
        elif step == "peek":
            seen = self.seen.setdefault(name, [])
            made = stream.peek(lambda v, ctx: seen.append((v, ctx.offset, ctx.stream_time)), name=name)
        elif step == "merge":
            made = stream.merge(self.streams[other % len(self.streams)], name=name)
        elif step == "own table":
            if not any(table.name == "latest" for table in self.tables):
                self.tables.append(self.topics[0].table(name="latest"))
        elif step == "join":
            if self.tables:
                table = self.tables[other % len(self.tables)]
                made = stream.left_join(table, lambda a, b: (a or 0) * 10 + (b or 0), value_type=int, name=name)
        elif step == "to":
            stream.to(f"out{other % 3}", name=name)
        else:
            made = self._aggregated(step, name, stream, other)
        if made is not None:
            self.streams.append(made)

    def _aggregated(self, step: str, name: str, stream: Any, other: int) -> Any:
        grouped = stream.group_by_key()
        if step == "count":
            self.tables.append(grouped.count(name=name).emit("update"))
            return self.tables[-1].to_stream()
        windowed = grouped.windowed_by(streams.HoppingWindow(0.01, 0.005, (other % 3) / 1000))
        if step == "window":
            table = windowed.count(name=name).emit(("update", "close")[other % 2])
        else:
            named = {"n": agg.count(), "total": agg.sum(lambda v: v)}
            table = windowed.aggregate(**named, name=name).emit("close")
        flat = table.to_stream().map_values(lambda key, v: key.start + getattr(v, "n", v), name=f"{name}-flat")
        end = flat.map(lambda key, v: (key.key, v), key_type=str, value_type=int, name=f"{name}-plain")
        end.to(f"{name}-windows", name=f"{name}-end")
        return None


async def outcome(task_bench: Callable[..., Any], steps: Any, rows: Any, rows_max: int, raw_size: int) -> Any:
    graph = Graph(steps)
    made = task_bench(graph.app, "first", rows_max=rows_max)
    for number, name in enumerate(("first", "second")):
        own = [
            (key.encode(), None if v is None else b"%d" % v, time) for key, v, time, topic in rows if topic == number
        ]
        for at in range(0, len(own), raw_size):
            made.logs[name].append(own[at : at + raw_size])
    made.open()
    await made.run(2)
    written: dict[str, list[Any]] = {}
    for tp, data, _ in made.outputs.drain():
        part = records.decode(memoryview(data))
        found = zip(part.keys(), part.values(), part.timestamps.tolist(), strict=True)
        written.setdefault(tp.topic, []).extend(found)
    event("rows" if made.sub.row_reason else "batches")
    views = {name: dict(view.items()) for name, view in made.task.context.views.items()}
    return written, graph.seen, dict(made.failures.counts), views


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=GRAPHS, rows=ROWS)
@example(steps=[("filter", 0, 0), ("merge", 3, 0)], rows=[("a", 1, 0, 0), ("a", 2, 1, 0), ("b", 3, 2, 0)])
@example(steps=[("count", 0, 0), ("join", 0, 0)], rows=[("a", 1, 0, 0), ("a", 2, 1, 0), ("a", 3, 2, 0)])
@example(steps=[("own table", 0, 0), ("join", 2, 0)], rows=[("a", 1, 0, 0), ("a", 2, 1, 0), ("a", None, 2, 0)])
@example(steps=[("filter", 0, 0), ("peek", 3, 0)], rows=[("a", 1, 0, 0), ("a", 2, 9, 0), ("a", 3, 2, 0)])
async def test_cuts_change_nothing(task_bench: Callable[..., Any], steps: Any, rows: Any) -> None:
    first, *others = [await outcome(task_bench, steps, rows, *cut) for cut in CUTS]
    for other in others:
        assert other == first
