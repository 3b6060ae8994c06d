"""Cases at random: topologies out of the whole set of operations, and inputs with nulls, ties, late and out-of-order
records.

A topology grows step by step: an operation is drawn among those that have something to work on, and what it gives can
be used by any number of later steps, so branches meet again and tables are shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hypothesis import strategies as st

Step = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

KEYS = ["a", "b", "c"]
RETENTION_MS = 100_000
"""Far more than any time in the input: with their default, Kafka's stores lose windows that are still to be emitted."""
LONG_MS = 10_000
STEPS_MAX = 7
EVENTS_MIN = 12
"""Fewer say little: of three records hardly two are of one key, and near each other."""
EVENTS_MAX = 30


@dataclass(frozen=True)
class Made:
    """What a step gave. `row`: its values are rows, of which fields can be asked on columns."""

    id: str
    kind: Literal["stream", "table", "versioned", "global", "grouped", "grouped_table", "windowed"]
    row: bool = True
    windows: str | None = None
    """The kind of windows that its keys have."""
    closes: bool = False
    """Its windows close at some time."""
    moved: bool = False
    """A stream whose records may no longer lie in the partition of their key."""
    roots: frozenset[str] = frozenset()
    """The inputs that it is made of."""


@dataclass
class Growing:
    """A topology so far. `timeless`: nothing in it hangs on stream time."""

    draw: Draw
    timeless: bool
    steps: list[Step] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    sinks: int = 0

    def one_of(self, kind: str, **having: Any) -> Made:
        found = self.all_of(kind, **having)
        assert found
        return self.draw(st.sampled_from(found))  # type: ignore[no-any-return]

    def all_of(self, kind: str, **having: Any) -> list[Made]:
        return [
            made
            for made in self.made
            if made.kind == kind and all(getattr(made, name) == value for name, value in having.items())
        ]

    def add(self, op: str, like: Made | None, sources: list[Made], **given: Any) -> Made | None:
        """Appends a step; its result is `like` another but for its id."""
        id = f"s{len(self.steps)}"
        self.used.update(source.id for source in sources)
        ids = [source.id for source in sources]
        parents = {"from": ids[0] if len(ids) == 1 else ids} if ids else {}
        self.steps.append(
            {"id": id, "op": op, **parents, **{name: item for name, item in given.items() if item is not None}}
        )
        if like is None:
            return None
        made = replace(
            like,
            id=id,
            roots=frozenset({id}).union(*(source.roots for source in sources)) - ({id} if sources else set()),
        )
        self.made.append(made)
        return made

    def topic(self) -> str:
        name = f"t{len(self.topics)}"
        self.topics.append(name)
        return name

    def chance(self, one_in: int = 2) -> bool:
        return bool(self.draw(st.integers(1, one_in)) == 1)


STREAM, TABLE = Made("", "stream"), Made("", "table")

# -- functions


def predicates(growing: Growing) -> Step:
    return growing.draw(  # type: ignore[no-any-return]
        st.sampled_from(
            [
                {"fn": "is_even"},
                {"fn": "n_less", "than": 3},
                {"fn": "s_is", "text": "x"},
                {"fn": "d_more", "than": 1.0},
                {"fn": "has_n"},
                {"fn": "has_value"},
                {"fn": "key_is", "key": "a"},
            ]
        )
    )


def values(growing: Growing) -> Step:
    """Functions of values, `n_plus` more often, as it runs on columns."""
    name = growing.draw(st.sampled_from(["add", "n_plus", "n_plus", "tag", "with_key", "null_if", "same", "make"]))
    match name:
        case "add" | "n_plus":
            return {"fn": name, "by": growing.draw(st.integers(1, 3))}
        case "tag":
            return {"fn": "tag", "text": "+"}
        case "null_if":
            return {"fn": "null_if", "if": predicates(growing)}
        case "make":
            return {"fn": "make", "n": 4}
    return {"fn": name}


def keys(growing: Growing) -> Step:
    return growing.draw(  # type: ignore[no-any-return]
        st.sampled_from(
            [
                {"fn": "s_key"},
                {"fn": "s_key"},
                {"fn": "mod_key", "by": 2},
                {"fn": "const_key", "key": "a"},
                {"fn": "key_and", "text": "z"},
                {"fn": "plain_key"},
                {"fn": "window_key"},
            ]
        )
    )


def gives_rows(fn: Step, row: bool) -> bool:
    return row if fn["fn"] in ("same", "null_if") else fn["fn"] != "n_plus"


def joiners(growing: Growing, *, keyed: bool = True) -> Step:
    fn: Step = {"fn": "pair"}
    if keyed and growing.chance():
        fn["with_key"] = True
    if growing.chance(4):
        fn["null_at"] = 3
    return fn


def folds(growing: Growing, row: bool) -> Step:
    """An aggregator; the named ones are for rows."""
    if row and growing.chance():
        names = ["count", "sum", "min", "max", "first", "last"]  # what they give is no `Row` on columns
        fn = {"fn": "named", "n": growing.draw(st.sampled_from(names))}
        if growing.chance():
            fn["s"] = growing.draw(st.sampled_from(["min", "max", "first", "last"]))
        if growing.chance():
            fn["d"] = growing.draw(st.sampled_from(names[1:]))
        return fn
    return {"fn": "fold", "null_at": 5} if growing.chance(4) else {"fn": "fold"}


def windows(growing: Growing) -> Step:
    draw = growing.draw
    kind = draw(
        st.sampled_from(["tumbling", "tumbling", "hopping", "sliding", "sliding", "session", "session", "unlimited"])
    )
    grace = LONG_MS if growing.timeless else draw(st.sampled_from([0, 0, 5, 12, 30]))
    size = draw(st.sampled_from([5, 10, 20]))
    match kind:
        case "hopping":
            return {"kind": kind, "size": size, "step": draw(st.sampled_from([3, 5])), "grace": grace}
        case "sliding":
            return {"kind": kind, "difference": size, "grace": grace}
        case "session":
            return {"kind": kind, "gap": size // 2, "grace": grace}
        case "unlimited":
            return {"kind": kind, "start": draw(st.sampled_from([0, 10]))}
    return {"kind": kind, "size": size, "grace": grace}


# -- operations: what each needs, and how it is added

OPERATIONS: dict[str, tuple[Callable[[Growing], bool], Callable[[Growing], Any]]] = {}


def operation(name: str, needs: Callable[[Growing], bool]) -> Callable[[Callable[[Growing], Any]], Any]:
    def register(grow: Callable[[Growing], Any]) -> Callable[[Growing], Any]:
        OPERATIONS[name] = needs, grow
        return grow

    return register


def a_stream(growing: Growing) -> bool:
    return bool(growing.all_of("stream"))


def a_keyed_stream(growing: Growing) -> bool:
    return bool(growing.all_of("stream", windows=None))


def a_table(growing: Growing) -> bool:
    return bool(growing.all_of("table"))


def a_keyed_table(growing: Growing) -> bool:
    return bool(growing.all_of("table", windows=None))


@operation("filter", a_stream)
def _filter(growing: Growing) -> None:
    of = growing.one_of("stream")
    growing.add(growing.draw(st.sampled_from(["filter", "filter_not"])), of, [of], fn=predicates(growing))


@operation("map_values", a_stream)
def _map_values(growing: Growing) -> None:
    of, fn = growing.one_of("stream"), values(growing)
    growing.add("map_values", replace(of, row=gives_rows(fn, of.row)), [of], fn=fn)


@operation("flat_map_values", a_stream)
def _flat_map_values(growing: Growing) -> None:
    of = growing.one_of("stream")
    fn = {"fn": growing.draw(st.sampled_from(["twice", "times_n"]))}
    growing.add("flat_map_values", replace(of, row=True), [of], fn=fn)


@operation("select_key", a_stream)
def _select_key(growing: Growing) -> None:
    of = growing.one_of("stream")
    growing.add("select_key", Made("", "stream", of.row, moved=True), [of], fn=keys(growing))


@operation("map", a_stream)
def _map(growing: Growing) -> None:
    of, fn = growing.one_of("stream"), {"key": keys(growing), "value": values(growing)}
    growing.add("map", Made("", "stream", gives_rows(fn["value"], of.row), moved=True), [of], fn=fn)


@operation("flat_map", a_stream)
def _flat_map(growing: Growing) -> None:
    of = growing.one_of("stream")
    many = {"fn": growing.draw(st.sampled_from(["twice", "times_n"]))}
    growing.add("flat_map", replace(STREAM, moved=True), [of], fn={"key": keys(growing), "values": many})


@operation("peek", a_stream)
def _peek(growing: Growing) -> None:
    of = growing.one_of("stream")
    growing.add("peek", of, [of])


@operation("merge", a_stream)
def _merge(growing: Growing) -> None:
    one = growing.one_of("stream")
    others = [made for made in growing.all_of("stream", windows=one.windows, row=one.row) if made is not one]
    if others:
        other = growing.draw(st.sampled_from(others))
        growing.add("merge", replace(one, moved=one.moved or other.moved), [one, other])


@operation("split", a_stream)
def _split(growing: Growing) -> None:
    of = growing.one_of("stream")
    branches = [predicates(growing) for _ in range(growing.draw(st.integers(1, 2)))]
    rest = growing.chance()
    id = f"s{len(growing.steps)}"
    growing.add("split", None, [of], branches=branches, default=rest)
    growing.made += [replace(of, id=f"{id}.{place}") for place in range(len(branches))]
    if rest:
        growing.made.append(replace(of, id=f"{id}.default"))


@operation("repartition", a_keyed_stream)
def _repartition(growing: Growing) -> None:
    of = growing.one_of("stream", windows=None)
    growing.add("repartition", replace(of, moved=False), [of])


@operation("to_table", a_keyed_stream)
def _to_table(growing: Growing) -> None:
    of = growing.one_of("stream", windows=None)
    growing.add("to_table", replace(TABLE, row=of.row), [of])


def by_key(growing: Growing) -> Made:
    """A stream for a processor with state, which nothing puts a repartition before."""
    of = growing.one_of("stream", windows=None)
    if growing.timeless and of.moved:
        return growing.add("repartition", replace(of, moved=False), [of]) or of
    return of


@operation("process", a_keyed_stream)
def _process(growing: Growing) -> None:
    of = by_key(growing)
    kinds: list[Step] = [{"processor": "running_count"}, {"processor": "mark"}]
    if not growing.timeless:
        kinds += [{"processor": "flush", "every_ms": 10, "time": time} for time in ("stream", "wall")]
    given = growing.draw(st.sampled_from(kinds))
    row = of.row or given["processor"] == "running_count"
    growing.add("process", replace(of, row=row), [of], **given)


@operation("process_values", a_keyed_stream)
def _process_values(growing: Growing) -> None:
    of = by_key(growing)
    growing.add("process_values", replace(of, row=True), [of], processor="running_count")


def grouped(growing: Growing) -> Made:
    of = growing.one_of("stream", windows=None)
    made = Made("", "grouped", of.row)
    if growing.chance(3):
        return growing.add("group_by", made, [of], fn=keys(growing)) or made
    return growing.add("group_by_key", made, [of]) or made


def folded(growing: Growing, group: Made, **given: Any) -> None:
    """count, reduce or aggregate."""
    draw, table, window = growing.draw, TABLE, given.pop("window", None)
    if window is not None:
        kind = window["kind"]
        given["retention_ms"] = None if kind == "unlimited" else RETENTION_MS
        table = replace(table, windows=kind, closes=kind != "unlimited")
        if kind != "unlimited" and not growing.timeless and growing.chance():
            given["emit"] = "close"  # on columns, if it is of named aggregates
    match growing.draw(st.sampled_from(["count", "reduce", "aggregate", "aggregate"])):
        case "count":
            growing.add("count", replace(table, row=False), [group], **given)
        case "reduce":
            reducers = [{"fn": "last"}, *([{"fn": "fold"}, {"fn": "fold", "null_at": 5}] if group.row else [])]
            growing.add("reduce", replace(table, row=group.row), [group], fn=draw(st.sampled_from(reducers)), **given)
        case "aggregate":
            session = window is not None and window["kind"] == "session"
            fn = {"fn": "fold"} if session else folds(growing, group.row)
            made = replace(table, row=fn["fn"] == "fold")
            growing.add("aggregate", made, [group], fn=fn, merge={"fn": "fold"} if session else None, **given)


@operation("aggregate", a_keyed_stream)
def _aggregate(growing: Growing) -> None:
    folded(growing, grouped(growing))


def _windowed(growing: Growing) -> None:
    group, window = grouped(growing), windows(growing)
    made = growing.add("windowed_by", replace(group, kind="windowed"), [group], window=window)
    assert made is not None
    folded(growing, made, window=window)


operation("windowed", a_keyed_stream)(_windowed)
operation("windowed again", a_keyed_stream)(_windowed)


@operation("cogroup", a_keyed_stream)
def _cogroup(growing: Growing) -> None:
    groups = [grouped(growing) for _ in range(growing.draw(st.integers(1, 3)))]
    given: Step = {"fns": [growing.draw(st.sampled_from([{"fn": "fold"}, {"fn": "unfold"}])) for _ in groups]}
    table = TABLE
    if growing.chance():
        window = given["window"] = windows(growing)
        table = replace(table, windows=window["kind"], closes=window["kind"] != "unlimited")
        given["merge"] = {"fn": "fold"} if window["kind"] == "session" else None
        given["retention_ms"] = None if window["kind"] == "unlimited" else RETENTION_MS
    if len(groups) == 1:
        id = f"s{len(growing.steps)}"
        growing.add("cogroup", table, groups, **given)
        growing.steps[-1]["from"] = [groups[0].id]
        assert growing.steps[-1]["id"] == id
    else:
        growing.add("cogroup", table, groups, **given)


@operation("table filter", a_table)
def _table_filter(growing: Growing) -> None:
    of = growing.one_of("table")
    op = growing.draw(st.sampled_from(["filter", "filter_not"]))
    growing.add(op, of, [of], fn=predicates(growing), materialized=(growing.chance(3) and of.windows is None) or None)


@operation("table map_values", a_table)
def _table_map_values(growing: Growing) -> None:
    of, fn = growing.one_of("table"), values(growing)
    op = growing.draw(st.sampled_from(["map_values", "map_values", "transform_values"]))
    stored = (op == "map_values" and growing.chance(3) and of.windows is None) or None
    growing.add(op, replace(of, row=gives_rows(fn, of.row)), [of], fn=fn, materialized=stored)


@operation("to_stream", a_table)
def _to_stream(growing: Growing) -> None:
    of = growing.one_of("table")
    if growing.chance(4):
        growing.add("to_stream", replace(STREAM, row=of.row, moved=True), [of], fn=keys(growing))
    else:
        growing.add("to_stream", replace(STREAM, row=of.row, windows=of.windows), [of])


@operation("table group_by", a_table)
def _table_group_by(growing: Growing) -> None:
    of = growing.one_of("table")
    key = keys(growing)
    value = growing.draw(st.sampled_from([{"fn": "same"}, {"fn": "tag", "text": "+"}]))
    row = gives_rows(value, of.row)
    group = growing.add("group_by", Made("", "grouped_table", row), [of], fn={"key": key, "value": value})
    assert group is not None
    subtract = growing.draw(st.sampled_from([{"fn": "unfold"}, {"fn": "unfold"}, {"fn": "unfold", "null_at": 4}]))
    match growing.draw(st.sampled_from(["count", "reduce", "aggregate"])):
        case "count":
            growing.add("count", replace(TABLE, row=False), [group])
        case "reduce":
            fn = {"fn": "fold"} if row else {"fn": "last"}
            subtract = subtract if row else {"fn": "last"}
            growing.add("reduce", replace(TABLE, row=row), [group], fn=fn, subtract=subtract)
        case "aggregate":
            growing.add("aggregate", TABLE, [group], fn={"fn": "fold"}, subtract=subtract)


@operation("suppress", lambda growing: a_table(growing) and not growing.timeless)
def _suppress(growing: Growing) -> None:
    of = growing.one_of("table")
    if of.closes and growing.chance():
        growing.add("suppress", of, [of], until="close")
        return
    bounds: Step = {}
    if growing.chance():
        bounds = {"max_records": growing.draw(st.integers(1, 2)), "when_full": "emit"}
    growing.add("suppress", of, [of], until_ms=growing.draw(st.sampled_from([0, 5, 20])), **bounds)


@operation("stream-stream join", a_keyed_stream)
def _stream_stream(growing: Growing) -> None:
    left = growing.one_of("stream", windows=None)
    right = other_side(growing, left)
    op = growing.draw(st.sampled_from(["join", "left_join", "outer_join"]))
    before, after = (growing.draw(st.sampled_from([0, 5, 10])) for _ in range(2))
    grace = LONG_MS if growing.timeless else growing.draw(st.sampled_from([0, 5, 20]))
    within = {"before": before, "after": after, "grace": grace}
    growing.add(op, STREAM, [left, right], fn=joiners(growing), within=within)


@operation("stream-table join", lambda growing: a_keyed_stream(growing) and a_keyed_table(growing))
def _stream_table(growing: Growing) -> None:
    left, right = growing.one_of("stream", windows=None), growing.one_of("table", windows=None)
    growing.add(growing.draw(st.sampled_from(["join", "left_join"])), STREAM, [left, right], fn=joiners(growing))


@operation("stream-versioned join", a_keyed_stream)
def _stream_versioned(growing: Growing) -> None:
    left = growing.one_of("stream", windows=None)
    right = input_table(growing, "versioned")
    grace = None if growing.timeless or growing.chance() else growing.draw(st.sampled_from([0, 5, 10]))
    op = growing.draw(st.sampled_from(["join", "left_join"]))
    growing.add(op, STREAM, [left, right], fn=joiners(growing), grace_ms=grace)


@operation("stream-global join", a_stream)
def _stream_global(growing: Growing) -> None:
    left = growing.one_of("stream")
    right = input_table(growing, "global")
    op = growing.draw(st.sampled_from(["join", "left_join"]))
    growing.add(op, replace(STREAM, windows=left.windows), [left, right], fn=joiners(growing), key=keys(growing))


@operation("table-table join", a_keyed_table)
def _table_table(growing: Growing) -> None:
    left = growing.one_of("table", windows=None)
    right = other_side(growing, left)
    op = growing.draw(st.sampled_from(["join", "left_join", "outer_join"]))
    growing.add(op, TABLE, [left, right], fn=joiners(growing, keyed=False))


@operation("foreign-key join", a_keyed_table)
def _foreign_key(growing: Growing) -> None:
    left = growing.one_of("table", windows=None)
    right = other_side(growing, left)
    op = growing.draw(st.sampled_from(["join", "left_join"]))
    fn = joiners(growing, keyed=False)
    growing.add(op, TABLE, [left, right], fn=fn, foreign_key=keys(growing))


def other_side(growing: Growing, one: Made) -> Made:
    """Mostly one of other inputs, if need be of a new topic: in which order records of one input come on two ways
    nothing says where they come in batches.
    """
    found = growing.all_of(one.kind, windows=None)
    apart = [made for made in found if not made.roots & one.roots]
    if growing.chance(5):
        return growing.draw(st.sampled_from(found))  # type: ignore[no-any-return]
    if apart:
        return growing.draw(st.sampled_from(apart))  # type: ignore[no-any-return]
    like = STREAM if one.kind == "stream" else TABLE
    return growing.add(one.kind, like, [], topic=growing.topic()) or like


def input_table(growing: Growing, kind: str) -> Made:
    """One that is there, or one of a new topic."""
    found = growing.all_of(kind)
    if found and growing.chance():
        return growing.draw(st.sampled_from(found))  # type: ignore[no-any-return]
    like = Made("", kind)  # type: ignore[arg-type]
    op = "global_table" if kind == "global" else "table"
    history = (
        (LONG_MS if growing.timeless else growing.draw(st.sampled_from([10, 50, 1000])))
        if kind == "versioned"
        else None
    )
    return growing.add(op, like, [], topic=growing.topic(), history_ms=history) or like


# -- whole cases


@st.composite
def cases(draw: Draw, timeless: bool = False, operations: tuple[str, ...] | None = None) -> dict[str, Any]:
    """A case. `operations` are those to draw from; all but for them."""
    growing = Growing(draw, timeless)
    _inputs(growing)
    chosen = operations or tuple(OPERATIONS)
    for _ in range(draw(st.integers(1, STEPS_MAX))):
        possible = [name for name in chosen if OPERATIONS[name][0](growing)] or ["to_table"]
        OPERATIONS[draw(st.sampled_from(possible))][1](growing)
    if timeless and not any(step["op"] == "repartition" for step in growing.steps):
        _repartition(growing)
    _outputs(growing)
    events = _events(growing)
    return {"steps": growing.steps, "input": events, "optimize": draw(st.sampled_from(["none", "none", "all"]))}


def _inputs(growing: Growing) -> None:
    growing.add("stream", STREAM, [], topic=growing.topic())
    for _ in range(growing.draw(st.integers(0, 2))):
        if growing.chance():
            growing.add("stream", STREAM, [], topic=growing.topic())
        else:
            growing.add("table", TABLE, [], topic=growing.topic(), materialized=growing.chance(3) or None)


def _outputs(growing: Growing) -> None:
    """Everything that nobody uses goes to a topic of its own."""
    for made in list(growing.made):
        if made.id in growing.used or made.kind not in ("stream", "table"):
            continue
        if made.kind == "table":
            changes = growing.add("to_stream", replace(STREAM, row=made.row, windows=made.windows), [made])
            assert changes is not None
            made = changes
        growing.used.add(made.id)
        if made.windows is None and growing.chance(6):
            growing.add("to", None, [made], fn={"fn": "topics", "topics": [f"out-{made.id}", f"odd-{made.id}"]})
        else:
            growing.add("to", None, [made], topic=f"out-{made.id}")
        del growing.steps[-1]["id"]


def _events(growing: Growing) -> list[Step]:
    draw = growing.draw
    keys = draw(st.sampled_from([KEYS[:1], KEYS[:2], KEYS]))
    forwards, backwards = draw(st.sampled_from(_PACES))
    event = st.tuples(
        st.sampled_from([*growing.topics, *[None] * len(growing.topics)]),
        st.sampled_from([*keys * 3, None]),
        st.sampled_from([None, {}, *({"n": n} for n in range(3)), *_ROWS, *_ROWS]),
        st.sampled_from(forwards),
        st.sampled_from(backwards),
        st.integers(0, 12),
    )
    events: list[Step] = []
    time, last = 0, growing.topics[0]
    for place, (topic, key, value, on, back, other) in enumerate(
        draw(st.lists(event, min_size=EVENTS_MIN, max_size=EVENTS_MAX))
    ):
        time += on
        last = topic or last  # often the same again, so that there is something to cut
        headers = [["h", str(place)]] if other > 6 else []
        given = {"topic": last, "key": key, "value": value, "timestamp": max(0, time - back)}
        events.append({**given, "headers": headers} if headers else given)
        if other == 0:
            events.append({"advance_ms": 15})
    return events


_PACES = [
    ([0, 0, 1, 2, 5, 10, 13, 40], [0, 0, 0, 0, 2, 5, 10, 25]),
    ([0, 1, 3, 5, 6, 11], [0, 0, 2, 4, 5, 6, 10]),
    ([5, 6, 10, 11, 21], [0, 0, 5, 6, 10]),
]
"""How far time goes on between two events (ms), and how far behind it records are: also by whole windows and gaps."""

_ROWS = [
    {"n": n, "s": s, "d": d} for n, s, d in ((0, "x", 0.5), (1, "y", 1.5), (2, "x", 2.0), (3, "z", -1.0), (5, "y", 0.0))
]
