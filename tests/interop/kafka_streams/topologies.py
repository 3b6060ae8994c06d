"""The steps of a case into our DSL: one method for each `op`. `java/Topologies.java` is the same for Kafka Streams.

Each step is named by its id, as users are told to name what keeps state. With `columns` whatever can be written as a
column expression is; else everything is a function on rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import streams
from tests.interop.kafka_streams import functions, processors
from tests.interop.kafka_streams.functions import Row

Step = dict[str, Any]


class NotThere(Exception):
    """Ours has no such operation."""


def build(case: dict[str, Any], *, columns: bool) -> streams.App:
    """An app of the case's steps. Raises NotThere."""
    app = streams.App("oracle")
    topology = _Topology(app, columns)
    for step in case["steps"]:
        operation = getattr(topology, step["op"], None)
        if operation is None:
            raise NotThere(step["op"])
        try:
            made = operation(step)
        except TypeError as missing:
            if "unexpected keyword argument" in str(missing):
                raise NotThere(str(missing)) from missing
            raise
        if "id" in step and made is not None:
            topology.made[step["id"]] = made
    return app


def _method(owner: Any, name: str) -> Callable[..., Any]:
    found = getattr(owner, name, None)
    if found is None:
        raise NotThere(f"{type(owner).__name__}.{name}")
    method: Callable[..., Any] = found
    return method


def _ms(step: Step, name: str) -> timedelta:
    return timedelta(milliseconds=step.get(name, 0))


def _window(window: Step) -> Any:
    grace = _ms(window, "grace")
    match window["kind"]:
        case "tumbling":
            return streams.TumblingWindow(_ms(window, "size"), grace=grace)
        case "hopping":
            return streams.HoppingWindow(_ms(window, "size"), step=_ms(window, "step"), grace=grace)
        case "sliding":
            return _method(streams, "SlidingWindow")(_ms(window, "difference"), grace=grace)
        case "session":
            return _method(streams, "SessionWindow")(_ms(window, "gap"), grace=grace)
        case "unlimited":
            return _method(streams, "UnlimitedWindow")(_ms(window, "start"))
    raise NotThere(f"window {window}")


class _Topology:
    def __init__(self, app: streams.App, columns: bool) -> None:
        self.made: dict[str, Any] = {}
        self._app = app
        self._columns = columns

    def _from(self, step: Step, place: int = 0) -> Any:
        parents = step["from"]
        return self.made[parents if isinstance(parents, str) else parents[place]]

    def _topic(self, name: str) -> Any:
        return self._app.topic(name, key_type=str, value_type=Row)

    def _either(self, of: Any, expression: Any, function: Callable[..., Any]) -> Any:
        """The expression, if columns are asked for and the values have its fields."""
        fields = getattr(of.value_type, "__struct_fields__", ())
        return expression if self._columns and expression is not None and expression.fields <= set(fields) else function

    # -- inputs and outputs

    def stream(self, step: Step) -> Any:
        topics = [self._topic(name) for name in step.get("topics", [step.get("topic")])]
        return self._app.stream(*topics)

    def table(self, step: Step) -> Any:
        topic = self._topic(step["topic"])
        if "history_ms" in step:
            return topic.table(name=step["id"], history=_ms(step, "history_ms"))
        return topic.table(name=step["id"]) if step.get("materialized") else topic.table()

    def global_table(self, step: Step) -> Any:
        return _method(self._topic(step["topic"]), "global_table")(name=step["id"])

    def to(self, step: Step) -> None:
        if "fn" in step:
            stream = self._from(step)
            for name in step["fn"]["topics"]:
                self._app.topic(name, key_type=stream.key_type, value_type=stream.value_type)
            stream.to(functions.topic(step["fn"]))
        else:
            self._from(step).to(step["topic"])

    # -- of streams and of tables

    def filter(self, step: Step) -> Any:
        return self._filter(step, "filter", negate=False)

    def filter_not(self, step: Step) -> Any:
        return self._filter(step, "filter_not", negate=True)

    def _filter(self, step: Step, name: str, *, negate: bool) -> Any:
        function = functions.keeps(step["fn"], negate=negate)
        predicate = self._either(self._from(step), functions.predicate_expression(step["fn"]), function)
        return _method(self._from(step), name)(predicate, **self._kept(step))

    def map_values(self, step: Step) -> Any:
        function = self._either(self._from(step), functions.value_expression(step["fn"]), functions.value(step["fn"]))
        kept = self._kept(step)
        return _method(self._from(step), "map_values")(function, value_type=self._value_type(step), **kept)

    def transform_values(self, step: Step) -> Any:
        transform = _method(self._from(step), "transform_values")
        return transform(functions.value(step["fn"]), value_type=self._value_type(step))

    def _value_type(self, step: Step) -> Any:
        """What a function of values gives: `same` and `null_if` what there was."""
        name = step["fn"]["fn"]
        if name in ("same", "null_if"):
            return self._from(step).value_type
        return int if name == "n_plus" else Row

    @staticmethod
    def _kept(step: Step) -> dict[str, Any]:
        return {"name": step["id"], "store": step["id"]} if step.get("materialized") else {"name": step["id"]}

    def select_key(self, step: Step) -> Any:
        function = self._either(self._from(step), functions.key_expression(step["fn"]), functions.key(step["fn"]))
        return self._from(step).select_key(function, key_type=self._key_type(step["fn"], step), name=step["id"])

    def _key_type(self, fn: Step, step: Step) -> Any:
        return self._from(step).key_type if fn["fn"] == "same_key" else str

    def map(self, step: Step) -> Any:
        types = {
            "key_type": self._key_type(step["fn"]["key"], step),
            "value_type": self._value_type({**step, "fn": step["fn"]["value"]}),
        }
        return self._from(step).map(functions.pair(step["fn"]), name=step["id"], **types)

    def flat_map(self, step: Step) -> Any:
        key_type = self._key_type(step["fn"]["key"], step)
        return self._from(step).flat_map(
            functions.pairs(step["fn"]), key_type=key_type, value_type=Row, name=step["id"]
        )

    def flat_map_values(self, step: Step) -> Any:
        return self._from(step).flat_map_values(functions.values(step["fn"]), value_type=Row, name=step["id"])

    def peek(self, step: Step) -> Any:
        return self._from(step).peek(lambda value: None, name=step["id"])

    def merge(self, step: Step) -> Any:
        return self._from(step).merge(self._from(step, 1), name=step["id"])

    def split(self, step: Step) -> None:
        number = step["id"]
        branched = _method(self._from(step), "split")(name=number)
        names = [f"b{place}" for place in range(len(step["branches"]))]
        for name, fn in zip(names, step["branches"], strict=True):
            function = self._either(self._from(step), functions.predicate_expression(fn), functions.predicate(fn))
            branched = branched.branch(function, name=name)
        made = branched.default("rest") if step.get("default") else branched.no_default()
        for place, name in enumerate(names):
            self.made[f"{number}.{place}"] = made[f"{number}-{name}"]
        if step.get("default"):
            self.made[f"{number}.default"] = made[f"{number}-rest"]

    def repartition(self, step: Step) -> Any:
        return self._from(step).repartition(name=step["id"])

    def to_table(self, step: Step) -> Any:
        return _method(self._from(step), "to_table")(name=step["id"])

    def process(self, step: Step) -> Any:
        return processors.process(self._app, self._from(step), step)

    def process_values(self, step: Step) -> Any:
        return processors.process_values(self._app, self._from(step), step)

    # -- groups

    def group_by_key(self, step: Step) -> Any:
        return self._from(step).group_by_key(name=step["id"])

    def group_by(self, step: Step) -> Any:
        parent, fn = self._from(step), step["fn"]
        if "value" in fn:
            value_type = self._value_type({**step, "fn": fn["value"]})
            return _method(parent, "group_by")(functions.pair(fn), name=step["id"], key_type=str, value_type=value_type)
        function = self._either(parent, functions.key_expression(fn), functions.key(fn))
        return parent.group_by(function, name=step["id"], key_type=self._key_type(fn, step))

    def windowed_by(self, step: Step) -> Any:
        return self._from(step).windowed_by(_window(step["window"]))

    def count(self, step: Step) -> Any:
        return self._emitted(_method(self._from(step), "count")(**self._stored(step)), step)

    def reduce(self, step: Step) -> Any:
        functions_ = [functions.reducer(step[which]) for which in ("fn", "subtract") if which in step]
        return self._emitted(_method(self._from(step), "reduce")(*functions_, **self._stored(step)), step)

    def aggregate(self, step: Step) -> Any:
        aggregate, fn, kept = _method(self._from(step), "aggregate"), step["fn"], self._stored(step)
        named = functions.named_aggregates(fn) if self._columns and "subtract" not in step else None
        if named is not None and getattr(self._row_type(step), "__struct_fields__", ()) == Row.__struct_fields__:
            return self._emitted(aggregate(**named, **kept), step)
        if "merge" in step:
            kept["merge"] = functions.merger(step["merge"])
        functions_ = [functions.aggregator(step[which]) for which in ("fn", "subtract") if which in step]
        return self._emitted(aggregate(functions.initial(fn), *functions_, value_type=Row, **kept), step)

    def cogroup(self, step: Step) -> Any:
        first, *others = step["fns"]
        cogrouped = _method(self._from(step), "cogroup")(functions.aggregator(first))
        for place, fn in enumerate(others, 1):
            cogrouped = cogrouped.cogroup(self._from(step, place), functions.aggregator(fn))
        kept = self._stored(step)
        if "window" in step:
            cogrouped = cogrouped.windowed_by(_window(step["window"]))
            if step["window"]["kind"] == "session":
                kept["merge"] = functions.merger(step["merge"])
        return self._emitted(cogrouped.aggregate(functions.initial(first), value_type=Row, **kept), step)

    def _row_type(self, step: Step) -> Any:
        """The type of the values that are grouped there."""
        return self._from(step)._stream.value_type

    def _stored(self, step: Step) -> dict[str, Any]:
        windowed = "window" in step or getattr(self._from(step), "_window", None) is not None
        kept = {"retention": _ms(step, "retention_ms")} if windowed and "retention_ms" in step else {}
        return {"name": step["id"], **kept}

    @staticmethod
    def _emitted(table: Any, step: Step) -> Any:
        return table.emit(step["emit"]) if "emit" in step else table

    # -- of tables

    def to_stream(self, step: Step) -> Any:
        table = self._from(step)
        return table.to_stream(functions.key(step["fn"]), key_type=str) if "fn" in step else table.to_stream()

    def suppress(self, step: Step) -> Any:
        suppress, name = _method(self._from(step), "suppress"), step["id"]
        until = step.get("until") or _ms(step, "until_ms")
        bounds = {word: step[word] for word in ("max_records", "when_full") if word in step}
        return suppress(until=until, name=name, **bounds)

    # -- joins

    def join(self, step: Step) -> Any:
        return self._join(step, "join")

    def left_join(self, step: Step) -> Any:
        return self._join(step, "left_join")

    def outer_join(self, step: Step) -> Any:
        return self._join(step, "outer_join")

    def _join(self, step: Step, name: str) -> Any:
        left, right = self._from(step), self._from(step, 1)
        given: dict[str, Any] = {"value_type": Row, "name": step["id"]}
        if "within" in step:
            within = step["within"]
            bounds = {word: _ms(within, word) for word in ("before", "after", "grace")}
            given["within"] = _method(streams, "JoinWindow")(**bounds)
        if "grace_ms" in step:
            given["grace"] = _ms(step, "grace_ms")
        if "key" in step:
            given["key"] = self._either(left, functions.key_expression(step["key"]), functions.key(step["key"]))
        if "foreign_key" in step:
            fn = step["foreign_key"]
            given["foreign_key"] = self._either(left, functions.key_expression(fn), functions.key(fn))
        join = _method(left, name)
        joiner = functions.joiner(step["fn"], keyed=bool(step["fn"].get("with_key")))
        return join(right, joiner, **given)
