"""Records of a group folded into one value, and the folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from streams.graph.definitions import StoreDef
from streams.graph.functions import UserFunction
from streams.graph.nodes.base import TableNode

if TYPE_CHECKING:
    from streams.aggregates import Aggregate
    from streams.windows import Window

Emit = Literal["update", "commit", "close"]


@dataclass(eq=False, slots=True, kw_only=True)
class AggregateNode(TableNode):
    """Folds the records of a key, or of a key and window, into a value kept in `store`. `emit` None: as whoever runs it
    emits by default, a worker at each commit, the test driver at every change.
    """

    store: StoreDef
    fold: Fold
    window: Window | None = None
    emit: Emit | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class KeyedAggregateNode(AggregateNode):
    """An aggregation that goes record by record. It may have several parents: `fold` is for the records of the first,
    `more_folds` for those of the others.
    """

    more_folds: tuple[Fold, ...] = ()

    @property
    def folds(self) -> tuple[Fold, ...]:
        """One for each parent."""
        return (self.fold, *self.more_folds)


@dataclass(eq=False, slots=True, kw_only=True)
class CogroupNode(KeyedAggregateNode):
    """Folds the records of several streams, each by its own fold, into one value of a key, or of a key and window."""


@dataclass(eq=False, slots=True, kw_only=True)
class SlidingAggregateNode(KeyedAggregateNode):
    """Folds the records of a key into its sliding windows."""


@dataclass(eq=False, slots=True, kw_only=True)
class SessionAggregateNode(KeyedAggregateNode):
    """Folds the records of a key into its sessions. `merge` makes one state of two, where the fold does not say how."""

    merge: UserFunction | None = None


@dataclass(frozen=True, slots=True)
class NamedAggregates:
    """`aggregate(flights=agg.count(), ...)`: a row of named results; `scalar` when it is a single unnamed one
    (`count()`).
    """

    parts: tuple[tuple[str, Aggregate], ...]
    scalar: bool = False


@dataclass(frozen=True, slots=True)
class ReduceFold:
    """`reduce(f)`: the first value stands for itself, then `f(old, new)`."""

    function: UserFunction


@dataclass(frozen=True, slots=True)
class FunctionFold:
    """`aggregate(initial, f)`: `initial()` (or a value), then `f(aggregate, value)` or `f(key, aggregate, value)`."""

    initial: Callable[[], Any]
    function: UserFunction


Fold = NamedAggregates | ReduceFold | FunctionFold
