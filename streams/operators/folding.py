"""A fold's functions, for aggregations that go record by record: how a state begins, takes in a record, meets another.

States are values: what a function is given of an old one is a copy, if it could be changed in place.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import NoneType
from typing import Any

from streams.graph.functions import UserFunction
from streams.graph.nodes import Fold, NamedAggregates, ReduceFold

_IMMUTABLE = frozenset({int, float, str, bytes, bool, tuple, NoneType})


class Folding:
    """`first()`, `fold(key, state, value)`, `merge(key, state of earlier records, state of later ones)`."""

    def __init__(self, fold: Fold, merge: UserFunction | None = None) -> None:
        self.first: Callable[[], Any]
        self.fold: Callable[[Any, Any, Any], Any]
        self.merge: Callable[[Any, Any, Any], Any]
        if isinstance(fold, NamedAggregates):
            parts = [part for _, part in fold.parts]
            updates, combines = [part.update for part in parts], [part.combine for part in parts]
            self.first = lambda: tuple(part.initialize() for part in parts)
            self.fold = lambda key, states, value: tuple(
                update(state, value) for update, state in zip(updates, states, strict=True)
            )
            self.merge = lambda key, one, two: tuple(
                combine(a, b) for combine, a, b in zip(combines, one, two, strict=True)
            )
        elif isinstance(fold, ReduceFold):
            reduce = _keyed(fold.function)
            self.first = lambda: None
            self.fold = lambda key, state, value: value if state is None else reduce(key, state, value)
            self.merge = lambda key, one, two: two if one is None else reduce(key, one, two)
        else:
            self.first = fold.initial
            self.fold = _keyed(fold.function)
            if merge is not None:
                self.merge = _keyed(merge)


def own(state: Any) -> Any:
    """A state that a function may change."""
    return state if type(state) in _IMMUTABLE else deepcopy(state)


def _keyed(function: UserFunction) -> Callable[[Any, Any, Any], Any]:
    """As (key, a, b), whether it takes the key or not."""
    call = function.call
    return call if function.arity == 3 else lambda key, one, two: call(one, two)
