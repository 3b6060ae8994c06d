"""Several grouped streams, each with its own aggregator, on their way into one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.dsl.aggregations import Aggregation, check_window, function_fold
from streams.dsl.grouped import GroupedStream
from streams.dsl.hints import Hinting
from streams.dsl.joins.joining import may_meet
from streams.dsl.table import Table
from streams.durations import Duration
from streams.errors import TopologyError
from streams.graph.functions import UserFunction, caller
from streams.policies import Policy
from streams.windows import Window


class CogroupedStream(Hinting):
    """The streams so far, and the window, if any. Nothing is added to the graph before `aggregate`."""

    _instead = ".aggregate(initial).to_stream()"

    def __init__(
        self, inputs: tuple[tuple[GroupedStream, UserFunction], ...] = (), window: Window | None = None
    ) -> None:
        self._inputs = inputs
        self._window = window

    def cogroup(self, grouped: GroupedStream, aggregator: Callable[..., Any]) -> CogroupedStream:
        """With one more stream, and what folds its values; given again, a grouped stream gets another function (as in
        Kafka Streams' `CogroupedKStreamImpl`).
        """
        if not isinstance(grouped, GroupedStream):
            raise TopologyError(
                f"cogroup at {caller()}: give a grouped stream (stream.group_by(...)) and its aggregator, "
                f"not {grouped!r}"
            )
        for other, _ in self._inputs:
            left, right = other._stream.key_type, grouped._stream.key_type
            if not may_meet(left, right):
                raise TopologyError(
                    f"cogroup at {caller()}: keys of {left.__name__} never meet keys of {right.__name__}; "
                    "group both by keys of one type"
                )
        function = UserFunction(aggregator, step="cogroup", takes=3)
        return CogroupedStream(tuple({**dict(self._inputs), grouped: function}.items()), self._window)

    def windowed_by(self, window: Window) -> CogroupedStream:
        """By key and window; of any kind."""
        return CogroupedStream(self._inputs, check_window(window))

    def aggregate(
        self,
        initial: Any,
        *,
        merge: Callable[..., Any] | None = None,
        value_type: Any = None,
        name: str | None = None,
        retention: Duration | None = None,
        ttl: Duration | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """One table of all of them. `initial` is a value or a function without arguments; sessions need `merge`, a
        function of (aggregate, aggregate) or (key, aggregate, aggregate).
        """
        streams = [grouped._stream for grouped, _ in self._inputs]
        functions = [function for _, function in self._inputs]
        folds = tuple(function_fold(initial, function) for function in functions)
        kind = value_type or next((function.returns for function in functions if function.returns), None)
        made = Aggregation("cogroup", folds, self._window, kind, retention, ttl, on_error, merge)
        label = "-".join(dict.fromkeys(stream.label for stream in streams))
        return made.add(streams, name or f"{label}-cogroup")
