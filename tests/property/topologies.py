"""Random topologies: streams of two topics, a table, a versioned one, and steps that take what was made before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import streams

GRACE = [0, 0.005, 0.1]


class Step(NamedTuple):
    """One step of a topology: which, on which of the streams made so far, and a number that it may use."""

    kind: str
    of: int
    other: int
    number: int


class Built:
    """The streams of an app, as steps are added; those that nobody takes go to a topic of their own."""

    def __init__(self, app: streams.App) -> None:
        self.app = app
        self.streams: list[Any] = [app.topic(name, key_type=str, value_type=int).stream() for name in ("a", "b")]
        self.names = app.topic("t", key_type=str, value_type=int).table(name="t")
        self.versions = app.topic("v", key_type=str, value_type=int).table(name="v", history=0.02)
        self.taken: set[int] = {0, 1}
        self.stores: dict[str, Any] = {}
        self.outs: list[str] = []

    def add(self, step: Step) -> None:
        at, other = step.of % len(self.streams), step.other % len(self.streams)
        made = STEPS[step.kind](self, self.streams[at], self.streams[other], f"s{len(self.streams)}", step.number)
        self.taken |= {at, other} if step.kind in TWO else {at}
        self.streams.append(made)

    def finish(self) -> list[str]:
        topics = [*self.outs]
        for at, stream in enumerate(self.streams):
            if at not in self.taken:
                stream.to(f"out-{at}")
                topics.append(f"out-{at}")
        return topics


def _own_counts(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
    """A stream joined with a table that comes of another branch, perhaps of its own source."""
    counts = other.group_by_key(name=f"{name}-g").count(name=f"{name}-counts")
    return stream.left_join(counts, lambda v, n: v * 100 + (n or 0), value_type=int, name=name)


class Numbered:
    """Says of each value how many records its key had, and now and then, by stream time, how many keys there are."""

    store = "seen"

    def init(self, ctx: Any) -> None:
        self.ctx = ctx
        ctx.schedule(0.007, "stream", self.tell)

    def tell(self, timestamp: int) -> None:
        self.ctx.forward(key="keys", value=len(list(self.ctx.store(self.store).all())), timestamp=timestamp)

    def process(self, record: Any) -> None:
        kept, key = self.ctx.store(self.store), record.key or "none"
        kept.put(key, (kept.get(key) or 0) + 1)
        self.ctx.forward(record.replace(value=(record.value or 0) * 10 + kept.get(key)))


def _processed(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
    """With a store of its own, or one that others may write within the same record."""
    title = "shared" if number % 2 else name
    if title not in built.stores:
        built.stores[title] = built.app.store(title, key_type=str, value_type=int)
    processor = type("Processor", (Numbered,), {"store": title})
    return stream.process(processor, stores=[built.stores[title]], key_type=str, value_type=int, name=f"{name}-p")


def _table_groups(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
    """Retractions: how many keys have each count."""
    counts = stream.group_by_key(name=f"{name}-g").count(name=f"{name}-c")
    groups = counts.group_by(lambda key, n: (f"n{n % 3}", n), key_type=str, value_type=int, name=f"{name}-by")
    return groups.aggregate(0, lambda t, n: t + n, lambda t, n: t - n, value_type=int, name=name).to_stream()


def _suppressed(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
    counts = stream.group_by_key(name=f"{name}-g").count(name=f"{name}-c")
    limit = {"max_records": 2} if number % 2 else {}
    return counts.suppress(until=0.004 * (1 + number % 3), name=name, **limit).to_stream()


def _windowed(window: Any, emit: str) -> Callable[..., Any]:
    def build(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
        counts = stream.group_by_key(name=f"{name}-g").windowed_by(window(GRACE[number % 3])).count(name=name)
        changes = counts.emit(emit).to_stream()
        return changes.map(lambda key, n: (f"{key.key}@{key.start}", n), key_type=str, value_type=int, name=f"{name}-k")

    return build


def _joined(how: str) -> Callable[..., Any]:
    def build(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
        within = streams.JoinWindow(before=0.004 * (number % 3), after=0.003, grace=GRACE[number % 3])
        join = getattr(stream, how)
        return join(other, lambda a, b: (a or 0) * 7 + (b or 0), within=within, value_type=int, name=name)

    return build


def _tables_joined(how: str) -> Callable[..., Any]:
    def build(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
        left = stream.group_by_key(name=f"{name}-g").count(name=f"{name}-l")
        right = other.group_by_key(name=f"{name}-h").reduce(lambda old, new: new, value_type=int, name=f"{name}-r")
        if how == "foreign":
            return left.left_join(
                built.names,
                lambda n, t: n * 10 + (t or 0),
                foreign_key=lambda n: "xyz"[n % 3],
                value_type=int,
                name=name,
            ).to_stream()
        join = getattr(left, how)
        return join(right, lambda n, v: (n or 0) * 10 + (v or 0), value_type=int, name=name).to_stream()

    return build


def _cogrouped(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
    groups = stream.group_by_key(name=f"{name}-g").cogroup(lambda t, v: t + v)
    both = groups.cogroup(other.group_by_key(name=f"{name}-h"), lambda t, v: t * 2 + v)
    return both.aggregate(0, value_type=int, name=name).to_stream()


def _agent(built: Built, stream: Any, other: Any, name: str, number: int) -> Any:
    """Beside the streams: a coroutine over a topic, with a table that all agents share."""
    app, out = built.app, f"out-{name}"
    if "sums" not in built.stores:
        built.stores["sums"] = app.Table("sums", key_type=str, value_type=int, default=int)
    sums = built.stores["sums"]

    async def run(events: Any) -> Any:
        async for event in events.events():
            if number % 2:
                await asyncio.sleep(0)
            sums[event.key or "none"] += event.value or 0
            yield sums[event.key or "none"] * 10 + number

    sink = app.topic(out, key_type=str, value_type=int)
    app.agent(app.topics["ab"[number % 2]], sink=[sink], tables=[sums], name=name)(run)
    built.outs.append(out)
    return stream


STEPS: dict[str, Callable[..., Any]] = {
    "filter": lambda b, s, o, name, k: s.filter(lambda v: (v or 0) % 3 != k % 3, name=name),
    "map_values": lambda b, s, o, name, k: s.map_values(
        lambda v: None if v is None else v + k, value_type=int, name=name
    ),
    "flat_map_values": lambda b, s, o, name, k: s.flat_map_values(
        lambda v: [v or 0, k] if (v or 0) % 2 else [], value_type=int, name=name
    ),
    "select_key": lambda b, s, o, name, k: s.select_key(lambda v: f"k{(v or 0) % 2}", key_type=str, name=name),
    "repartition": lambda b, s, o, name, k: s.repartition(name=name),
    "merge": lambda b, s, o, name, k: s.merge(o, name=name),
    "again": lambda b, s, o, name, k: s.merge(s.filter(lambda v: (v or 0) % 2 == 0, name=f"{name}-f"), name=name),
    "count": lambda b, s, o, name, k: s.group_by_key(name=f"{name}-g").count(name=name).to_stream(),
    "reduce": lambda b, s, o, name, k: (
        s.group_by_key(name=f"{name}-g").reduce(lambda old, new: old + new, value_type=int, name=name).to_stream()
    ),
    "even_counts": lambda b, s, o, name, k: (
        s.group_by_key(name=f"{name}-g").count(name=f"{name}-c").filter(lambda n: n % 2 == 0, name=name).to_stream()
    ),
    "tumbling": _windowed(lambda grace: streams.TumblingWindow(0.01, grace=grace), "update"),
    "hopping": _windowed(lambda grace: streams.HoppingWindow(0.01, step=0.004, grace=grace), "update"),
    "tumbling_close": _windowed(lambda grace: streams.TumblingWindow(0.01, grace=grace), "close"),
    "hopping_close": _windowed(lambda grace: streams.HoppingWindow(0.01, step=0.004, grace=grace), "close"),
    "table_join": lambda b, s, o, name, k: s.join(b.names, lambda v, t: v + t, value_type=int, name=name),
    "table_left_join": lambda b, s, o, name, k: s.left_join(
        b.names, lambda v, t: (v or 0) * 3 + (t or 0), value_type=int, name=name
    ),
    "session": _windowed(lambda grace: streams.SessionWindow(0.004, grace=grace), "update"),
    "session_close": _windowed(lambda grace: streams.SessionWindow(0.004, grace=grace), "close"),
    "sliding": _windowed(lambda grace: streams.SlidingWindow(0.006, grace=grace), "update"),
    "sliding_close": _windowed(lambda grace: streams.SlidingWindow(0.006, grace=grace), "close"),
    "cogroup": _cogrouped,
    "tables_join": _tables_joined("join"),
    "tables_left_join": _tables_joined("left_join"),
    "tables_outer_join": _tables_joined("outer_join"),
    "foreign_key_join": _tables_joined("foreign"),
    "deduplicate": lambda b, s, o, name, k: s.deduplicate(within=0.003 * (1 + k), name=name),
    "versioned_join": lambda b, s, o, name, k: s.left_join(
        b.versions, lambda v, t: (v or 0) * 3 + (t or 0), value_type=int, name=name
    ),
    "versioned_join_grace": lambda b, s, o, name, k: s.join(
        b.versions, lambda v, t: (v or 0) * 3 + (t or 0), grace=0.005, value_type=int, name=name
    ),
    "own_counts": _own_counts,
    "process": _processed,
    "agent": _agent,
    "table_groups": _table_groups,
    "suppress": _suppressed,
    "to_table": lambda b, s, o, name, k: s.to_table(name=name, store=f"{name}-kept").to_stream(),
    "join": _joined("join"),
    "left_join": _joined("left_join"),
    "outer_join": _joined("outer_join"),
}
TWO = {"merge", "own_counts", "cogroup", "join", "left_join", "outer_join"} | {
    name for name in STEPS if "tables_" in name
}


def build(topology: list[Step]) -> tuple[streams.App, list[str]]:
    app = streams.App("random")
    built = Built(app)
    for step in topology:
        built.add(step)
    return app, built.finish()
