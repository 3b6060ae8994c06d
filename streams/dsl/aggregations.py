"""An aggregation's store and step, whatever is aggregated: one stream or several, by key or by key and window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.dsl.table import Table
from streams.durations import Duration, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import (
    AggregateNode,
    CogroupNode,
    Fold,
    FunctionFold,
    NamedAggregates,
    SessionAggregateNode,
    SlidingAggregateNode,
)
from streams.policies import Policy
from streams.windows import HoppingWindow, SessionWindow, SlidingWindow, Window, Windows

if TYPE_CHECKING:
    from streams.dsl.stream import Stream

_KINDS = (HoppingWindow, SlidingWindow, SessionWindow, Windows)


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What the user says of an aggregation; `step` is the method that was called."""

    step: str
    folds: tuple[Fold, ...]
    window: Window | None = None
    value_type: Any = None
    retention: Duration | None = None
    ttl: Duration | None = None
    on_error: Policy | None = None
    merge: Callable[..., Any] | None = None

    def add(self, streams: Sequence[Stream], name: str) -> Table:
        """The store, the step that fills it from the streams, and the table that they are."""
        stream, where = streams[0], caller()
        self._check_merge(where)
        fold, window = self.folds[0], self.window
        store = stream._builder.graph.add_store(
            StoreDef(
                name=check_name(name, self.step),
                changelog=stream._builder.changelog(name),
                key_type=stream.key_type,
                value_type=self.value_type,
                window_size_ms=None if window is None else 0 if isinstance(window, SessionWindow) else window.size_ms,
                window=window,
                sessions=isinstance(window, SessionWindow),
                retention_ms=self._retention_ms(where),
                ttl_ms=self._ttl_ms(where),
                aggregates=fold if isinstance(fold, NamedAggregates) else None,
                where=where,
            )
        )
        common: dict[str, Any] = {
            "name": name,
            "parents": tuple(stream.node for stream in streams),
            "where": where,
            "on_error": self.on_error,
            "store": store,
            "fold": fold,
            "window": window,
        }
        node = self._node(common)
        stream._builder.graph.add_node(node)
        return Table(stream._builder, node, store)

    def _check_merge(self, where: str) -> None:
        if not isinstance(self.window, SessionWindow):
            if self.merge is not None:
                raise TopologyError(
                    f"{self.step} at {where}: merge= is for sessions; put windowed_by(SessionWindow(...)) before"
                )
        elif self.merge is None and any(isinstance(fold, FunctionFold) for fold in self.folds):
            raise TopologyError(
                f"{self.step} at {where}: a record may join two sessions into one, so say how their aggregates become "
                "one: merge=, a function of (aggregate, aggregate) or (key, aggregate, aggregate)"
            )

    def _node(self, common: dict[str, Any]) -> AggregateNode:
        more = self.folds[1:]
        if isinstance(self.window, SessionWindow):
            merge = None if self.merge is None else UserFunction(self.merge, step="merge", takes=3)
            return SessionAggregateNode(**common, more_folds=more, merge=merge)
        if isinstance(self.window, SlidingWindow):
            return SlidingAggregateNode(**common, more_folds=more)
        return CogroupNode(**common, more_folds=more) if self.step == "cogroup" else AggregateNode(**common)

    def _ttl_ms(self, where: str) -> int | None:
        if self.ttl is not None and self.window is not None:
            raise TopologyError(f"ttl= at {where} is for tables without windows; windows go by retention=")
        return None if self.ttl is None else to_ms(self.ttl, "ttl")

    def _retention_ms(self, where: str) -> int | None:
        """How long windows are kept, from their start (sessions: from their end): at least as long as they are of
        use.
        """
        if self.window is None:
            if self.retention is not None:
                raise TopologyError(f"retention= at {where} is for windows; for a table without windows say ttl=")
            return None
        return max(self.window.retention_ms, 0 if self.retention is None else to_ms(self.retention, "retention"))


def check_window(window: object) -> Window:
    """Raises TopologyError, at the user's line, for what is no window."""
    if not isinstance(window, _KINDS):
        raise TopologyError(
            f"windowed_by at {caller()}: give TumblingWindow(...), HoppingWindow(...), SlidingWindow(...), "
            f"SessionWindow(...), CalendarWindow(...) or UnlimitedWindow(...), not {window!r}"
        )
    return window


def function_fold(initial: Any, function: UserFunction) -> FunctionFold:
    """`initial` is a value, of which each group gets its own, or a function that makes one."""
    return FunctionFold(initial if callable(initial) else lambda: deepcopy(initial), function)
