"""Streams by key, and by key and window: what can be counted, reduced and aggregated."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from streams.aggregates import Aggregate, count
from streams.dsl.naming import suffix
from streams.dsl.stream import Stream
from streams.dsl.table import Table
from streams.durations import Duration, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import AggregateNode, Fold, FunctionFold, NamedAggregates, ReduceFold
from streams.models import define_record
from streams.policies import Policy
from streams.windows import HoppingWindow


class GroupedStream:
    """Records by key. `window` is set behind `windowed_by`."""

    def __init__(self, stream: Stream, window: HoppingWindow | None = None) -> None:
        self._stream = stream
        self._window = window

    def windowed_by(self, window: HoppingWindow) -> GroupedStream:
        """By key and window: `TumblingWindow("1h", grace="10m")`, `HoppingWindow("1h", step="5m")`."""
        if not isinstance(window, HoppingWindow):
            raise TopologyError(
                f"windowed_by at {caller()}: give TumblingWindow(...) or HoppingWindow(...), not {window!r}"
            )
        return GroupedStream(self._stream, window)

    def count(
        self,
        *,
        name: str | None = None,
        retention: Duration | None = None,
        ttl: Duration | None = None,
    ) -> Table:
        """How many records each key has. `retention` keeps windows longer than they are open; `ttl` forgets keys not
        seen so long.
        """
        fold = NamedAggregates((("count", count()),), scalar=True)
        return self._aggregated(fold, "count", None, int, name, retention, ttl, None)

    def reduce(
        self,
        reducer: Callable[..., Any],
        *,
        value_type: Any = None,
        name: str | None = None,
        retention: Duration | None = None,
        ttl: Duration | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """The values of a key folded into one by `reducer(old, new)`; the first stands for itself."""
        function = UserFunction(reducer, step="reduce", takes=3)
        made = value_type or self._stream.value_type
        return self._aggregated(ReduceFold(function), "reduce", function, made, name, retention, ttl, on_error)

    def aggregate(
        self,
        initial: Any = None,
        aggregator: Callable[..., Any] | None = None,
        *,
        value_type: Any = None,
        name: str | None = None,
        retention: Duration | None = None,
        ttl: Duration | None = None,
        on_error: Policy | None = None,
        **named: Aggregate,
    ) -> Table:
        """Named aggregates, `aggregate(flights=agg.count(), mean=agg.mean(Flight.delay))`, or `aggregate(initial, f)`.

        `initial` is a value or a function without arguments; `f` takes (aggregate, value) or (key, aggregate, value).
        """
        if named:
            if initial is not None or aggregator is not None:
                raise TopologyError(f"aggregate at {caller()}: give named aggregates or (initial, function), not both")
            return self._named(named, name, retention, ttl, on_error)
        if aggregator is None:
            raise TopologyError(
                f"aggregate at {caller()}: give (initial, function), or named aggregates such as total=agg.sum(...)"
            )
        function = UserFunction(aggregator, step="aggregate", takes=3)
        start = initial if callable(initial) else lambda: deepcopy(initial)
        made = value_type or function.returns
        return self._aggregated(
            FunctionFold(start, function), "aggregate", function, made, name, retention, ttl, on_error
        )

    def _named(
        self,
        named: dict[str, Aggregate],
        name: str | None,
        retention: Duration | None,
        ttl: Duration | None,
        on_error: Policy | None,
    ) -> Table:
        for field, aggregate in named.items():
            if not isinstance(aggregate, Aggregate):
                raise TopologyError(
                    f"aggregate at {caller()}: {field}= is {aggregate!r}; give agg.count(), agg.sum(...) and the like"
                )
        title = "".join(word.capitalize() for word in (name or "result").replace(".", "-").replace("_", "-").split("-"))
        row = define_record(title, {field: aggregate.result_type for field, aggregate in named.items()})
        return self._aggregated(
            NamedAggregates(tuple(named.items())), "aggregate", None, row, name, retention, ttl, on_error
        )

    def _aggregated(
        self,
        fold: Fold,
        step: str,
        function: UserFunction | None,
        value_type: Any,
        name: str | None,
        retention: Duration | None,
        ttl: Duration | None,
        on_error: Policy | None,
    ) -> Table:
        stream, where = self._stream, caller()
        named = check_name(name or f"{stream.label}-{step}{suffix(function)}", step)
        store = stream._builder.graph.add_store(
            StoreDef(
                name=named,
                changelog=stream._builder.changelog(named),
                key_type=stream.key_type,
                value_type=value_type,
                window_size_ms=None if self._window is None else self._window.size_ms,
                retention_ms=self._retention_ms(retention, where),
                ttl_ms=self._ttl_ms(ttl, where),
                aggregates=fold if isinstance(fold, NamedAggregates) else None,
                where=where,
            )
        )
        node = AggregateNode(
            name=named,
            parents=(stream.node,),
            where=where,
            on_error=on_error,
            store=store,
            fold=fold,
            window=self._window,
        )
        stream._builder.graph.add_node(node)
        return Table(stream._builder, node, store)

    def _ttl_ms(self, ttl: Duration | None, where: str) -> int | None:
        if ttl is not None and self._window is not None:
            raise TopologyError(f"ttl= at {where} is for tables without windows; windows go by retention=")
        return None if ttl is None else to_ms(ttl, "ttl")

    def _retention_ms(self, retention: Duration | None, where: str) -> int | None:
        """How long windows are kept, from their start: at least as long as they are open."""
        if self._window is None:
            if retention is not None:
                raise TopologyError(f"retention= at {where} is for windows; for a table without windows say ttl=")
            return None
        return max(self._window.retention_ms, 0 if retention is None else to_ms(retention, "retention"))
