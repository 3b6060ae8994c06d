"""A fold's functions, on Python objects: how a state begins, takes in a record, meets another.

States are values: what a function is given of an old one is a copy, if it could be changed in place.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from functools import cache
from types import NoneType
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from streams.graph.functions import UserFunction
from streams.graph.nodes import Fold, NamedAggregates, ReduceFold

IMMUTABLE = frozenset({int, float, str, bytes, bool, tuple, NoneType})
"""Types of states that a function cannot change in place; others are copied first, as a result may already be on its
way.
"""


Three = Callable[[Any, Any, Any], Any]


class Folding:
    """`first()`, `fold(key, state, value)`, `merge(key, state of earlier records, state of later ones)`. `step` folds
    into a state of None, too: it begins with the first. `ctx` gives the record at hand to functions that ask for it.
    """

    def __init__(self, fold: Fold, merge: UserFunction | None, ctx: Callable[[], Any]) -> None:
        self.first: Callable[[], Any]
        self.fold: Three
        self.step: Three
        self.merge: Three
        if isinstance(fold, NamedAggregates):
            self._named(fold)
        elif isinstance(fold, ReduceFold):
            reduce = _keyed(fold.function, ctx)
            self.first = lambda: None
            self.step = self.fold = lambda key, state, value: value if state is None else reduce(key, state, value)
            self.merge = lambda key, one, two: two if one is None else reduce(key, one, two)
        else:
            self.first = first = fold.initial
            self.fold = into = _keyed(fold.function, ctx)
            self.step = lambda key, state, value: into(key, first() if state is None else state, value)
            if merge is not None:
                self.merge = _keyed(merge, ctx)
        functions = (getattr(fold, "function", None), merge)
        self.wants_ctx = any(function is not None and function.wants_ctx for function in functions)

    def _named(self, fold: NamedAggregates) -> None:
        parts = [part for _, part in fold.parts]
        updates, combines = [part.update for part in parts], [part.combine for part in parts]
        self.first = lambda: tuple(part.initialize() for part in parts)
        self.step = self.fold = lambda key, states, value: tuple(
            update(state, value) for update, state in zip(updates, states, strict=True)
        )
        self.merge = lambda key, one, two: tuple(
            combine(a, b) for combine, a, b in zip(combines, one, two, strict=True)
        )


def own(state: Any) -> Any:
    """A state that a function may change.

    >>> own([1]), own(2.5)
    ([1], 2.5)
    """
    kind: Any = type(state)
    if kind in IMMUTABLE:
        return state
    # A record of plain values is copied in a tenth of the time that `deepcopy` takes, which goes the way of pickle.
    if _copies_plainly(kind) and IMMUTABLE.issuperset(map(type, astuple(state))):
        return copy(state)
    return deepcopy(state)


@cache
def _copies_plainly(kind: Any) -> bool:
    """Whether a type is a record that has nothing but its fields, and no way of its own to be copied."""
    if not issubclass(kind, Struct) or kind.__struct_config__.dict or hasattr(kind, "__deepcopy__"):
        return False
    return all(getattr(kind, name) is getattr(Struct, name) for name in ("__copy__", "__reduce__", "__reduce_ex__"))


def _keyed(function: UserFunction, ctx: Callable[[], Any]) -> Three:
    """As (key, a, b), whether it takes the key or not."""
    call = function.call
    if function.wants_ctx:
        if function.arity == 3:
            return lambda key, one, two: call(key, one, two, ctx=ctx())
        return lambda key, one, two: call(one, two, ctx=ctx())
    return call if function.arity == 3 else lambda key, one, two: call(one, two)
