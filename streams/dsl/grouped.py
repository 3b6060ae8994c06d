"""Streams by key, and by key and window: what can be counted, reduced and aggregated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.aggregates import Aggregate, count
from streams.dsl.aggregations import Aggregation, check_window, function_fold
from streams.dsl.hints import Hinting
from streams.dsl.naming import suffix
from streams.dsl.reading import check_fields
from streams.dsl.stream import Stream
from streams.dsl.table import Table
from streams.durations import Duration
from streams.errors import TopologyError
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import NamedAggregates, ReduceFold
from streams.models import define_record
from streams.policies import Policy
from streams.windows import Window

if TYPE_CHECKING:
    from streams.dsl.cogrouped import CogroupedStream


class GroupedStream(Hinting):
    """Records by key. `window` is set behind `windowed_by`."""

    _instead = ".count().to_stream()"

    def __init__(self, stream: Stream, window: Window | None = None) -> None:
        self._stream = stream
        self._window = window

    def windowed_by(self, window: Window) -> GroupedStream:
        """By key and window: `TumblingWindow("1h", grace="10m")`, `HoppingWindow("1h", step="5m")`, `SlidingWindow`,
        `SessionWindow`, `CalendarWindow`, `UnlimitedWindow`, or windows of one's own (`Windows`).
        """
        if self._window is not None:
            raise TopologyError(f"windowed_by at {caller()}: the groups have windows already, {self._window!r}")
        return GroupedStream(self._stream, check_window(window))

    def cogroup(self, aggregator: Callable[..., Any]) -> CogroupedStream:
        """Several streams folded into one table: `a.cogroup(f).cogroup(b, g).aggregate(initial)`. Aggregators take
        (aggregate, value) or (key, aggregate, value), each the values of its own stream.
        """
        from streams.dsl.cogrouped import CogroupedStream

        if self._window is not None:
            raise TopologyError(f"cogroup at {caller()}: put windowed_by(...) behind the last cogroup")
        return CogroupedStream().cogroup(self, aggregator)

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
        made = Aggregation("count", (fold,), self._window, int, retention, ttl)
        return self._add(made, name)

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
        kind = value_type or self._stream.value_type
        made = Aggregation("reduce", (ReduceFold(function),), self._window, kind, retention, ttl, on_error)
        return self._add(made, name, function)

    def aggregate(
        self,
        initial: Any = None,
        aggregator: Callable[..., Any] | None = None,
        *,
        merge: Callable[..., Any] | None = None,
        value_type: Any = None,
        name: str | None = None,
        retention: Duration | None = None,
        ttl: Duration | None = None,
        on_error: Policy | None = None,
        **named: Aggregate,
    ) -> Table:
        """Named aggregates, `aggregate(flights=agg.count(), mean=agg.mean(Flight.delay))`, or `aggregate(initial, f)`.

        `initial` is a value or a function without arguments; `f` takes (aggregate, value) or (key, aggregate, value).
        By sessions, `merge` says how (aggregate, aggregate) or (key, aggregate, aggregate) become one; named aggregates
        know.
        """
        if named:
            if initial is not None or aggregator is not None:
                raise TopologyError(f"aggregate at {caller()}: give named aggregates or (initial, function), not both")
            if merge is not None:
                raise TopologyError(f"aggregate at {caller()}: named aggregates know how they merge; leave out merge=")
            return self._named(named, name, retention, ttl, on_error)
        if aggregator is None:
            raise TopologyError(
                f"aggregate at {caller()}: give (initial, function), or named aggregates such as total=agg.sum(...)"
            )
        function = UserFunction(aggregator, step="aggregate", takes=3)
        fold, kind = function_fold(initial, function), value_type or function.returns
        made = Aggregation("aggregate", (fold,), self._window, kind, retention, ttl, on_error, merge)
        return self._add(made, name, function)

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
            check_fields(aggregate.argument, f"aggregate {field}=", self._stream.value_type)
        title = "".join(word.capitalize() for word in (name or "result").replace(".", "-").replace("_", "-").split("-"))
        row = define_record(title, {field: aggregate.result_type for field, aggregate in named.items()})
        fold = NamedAggregates(tuple(named.items()))
        return self._add(Aggregation("aggregate", (fold,), self._window, row, retention, ttl, on_error), name)

    def _add(self, aggregation: Aggregation, name: str | None, function: UserFunction | None = None) -> Table:
        made = name or f"{self._stream.label}-{aggregation.step}{suffix(function)}"
        return aggregation.add([self._stream], made)
