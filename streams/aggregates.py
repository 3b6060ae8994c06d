"""Aggregates by name, `agg.count()`, `agg.sum(Flight.delay)`: each a few small functions over a state that is a value.

As in SQL, inputs that are None are left out, so the sum, mean or least of nothing is None, and `count(x)` counts what
is not None while `count()` counts records. Sums add in the order of the records, in Python's arithmetic: ints exactly,
floats in float64.

The functions here are the reference. `streams.kernels.aggregate` has, for those that can, the same on arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeAlias

from msgspec import convert
from msgspec.msgpack import Ext

from streams.errors import ConfigError, EncodeError
from streams.expressions import Expression, Field, col
from streams.models import field_type
from streams.serde.types import without_none

__all__ = ["Aggregate", "count", "first", "last", "max", "mean", "min", "stddev", "sum", "variance"]

Argument: TypeAlias = object
"""A field (`Flight.delay`, to a type checker a float), an expression, a function of the value, or a field's name."""

_INT64 = range(-(2**63), 2**63)
_BIG_INT = 1
"""MessagePack's extension code for an int of more than 64 bits, as decimal text."""

_PLAIN = (NoneType, bool, int, float, str, bytes)


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """One aggregate: how a state begins, takes in a value, meets another, and what the user sees of it.

    States are never changed in place. `argument` None: the record itself counts.

    >>> total = sum(lambda flight: flight["delay"])
    >>> state = total.initialize()
    >>> for delay in (20, None, 22):
    ...     state = total.update(state, {"delay": delay})
    >>> total.finalize(state)
    42
    """

    name: str
    argument: Expression | Callable[[Any], Any] | None
    initial: Any
    fold: Callable[[Any, Any], Any]
    """(state, input) -> state; the input is never None."""
    combine: Callable[[Any, Any], Any]
    """(state of earlier records, state of later ones) -> state of both."""
    finalize: Callable[[Any], Any]

    def __repr__(self) -> str:
        named = getattr(self.argument, "__name__", self.argument)
        return f"{self.name}({'' if self.argument is None else named})"

    @property
    def result_type(self) -> Any:
        """The type of what `finalize` gives, as far as it is declared; Any otherwise."""
        if self.name in ("count", "mean", "variance", "stddev"):
            return int if self.name == "count" else float | None
        if not isinstance(self.argument, Field):
            return Any
        declared = field_type(self.argument.owner, self.argument.path)
        return Any if declared is None else declared | None

    def initialize(self) -> Any:
        """The state of no records."""
        return self.initial

    def read(self, value: Any) -> Any:
        """The input that a record's value gives; None if it is to be left out."""
        if self.argument is None:
            return True
        return self.argument.row_function(value) if isinstance(self.argument, Expression) else self.argument(value)

    def update(self, state: Any, value: Any) -> Any:
        """The state with one more record."""
        given = self.read(value)
        return state if given is None else self.fold(state, given)

    def encode(self, state: Any) -> Any:
        """The state as MessagePack can hold it: an int of more than 64 bits becomes an extension.

        >>> sum("n").encode(2**70).data
        b'1180591620717411303424'
        """
        return tuple(map(_encode_int, state)) if isinstance(self.initial, tuple) else _encode_int(state)

    def decode(self, stored: Any) -> Any:
        """The state that `encode` stored, after MessagePack without a type.

        >>> sum("n").decode(sum("n").encode(2**70)) == 2**70, mean("n").decode([7, 2])
        (True, (7, 2))
        """
        return self.decoder()(stored)

    @property
    def stored_plainly(self) -> bool:
        """Whether states that are stored as numbers are those numbers.

        >>> count().stored_plainly
        True
        """
        return isinstance(self.initial, tuple) or self.decoder() is _decode_int

    def decoder(self) -> Callable[[Any], Any]:
        """`decode` for many states: their type is looked up once."""
        if isinstance(self.initial, tuple):
            return lambda stored: tuple(map(_decode_int, stored))
        kind = without_none(self.result_type)
        if kind is Any or kind in _PLAIN:
            return _decode_int
        return lambda stored: None if (state := _decode_int(stored)) is None else convert(state, kind)


def count(argument: Argument | None = None) -> Aggregate:
    """How many records; with an argument, how many for which it is not None.

    >>> count(), count("delay")
    (count(), count(col('delay')))
    """
    return Aggregate("count", None if argument is None else _argument("count", argument), 0, _count, _add, _same)


def sum(argument: Argument) -> Aggregate:
    """The sum; None if there is nothing to add.

    >>> sum("seats")
    sum(col('seats'))
    """
    return _of("sum", argument, None, lambda state, value: (0 if state is None else state) + value, _either(_add))


def mean(argument: Argument) -> Aggregate:
    """The sum divided by how many; None if there are none.

    >>> average = mean("delay")
    >>> average.finalize(average.update(average.update(average.initialize(), {"delay": 1}), {"delay": 2}))
    1.5
    """
    return Aggregate(
        "mean",
        _argument("mean", argument),
        (0, 0),
        lambda state, value: (state[0] + value, state[1] + 1),
        lambda a, b: (a[0] + b[0], a[1] + b[1]),
        _mean,
    )


def min(argument: Argument) -> Aggregate:
    """The least; None if there is none. A NaN is the least of nothing but NaNs; -0.0 counts as 0.0.

    >>> min("delay")
    min(col('delay'))
    """
    return _of("min", argument, None, _least, _either(_least))


def max(argument: Argument) -> Aggregate:
    """The greatest; None if there is none. A NaN is the greatest of nothing but NaNs; -0.0 counts as 0.0.

    >>> max("delay")
    max(col('delay'))
    """
    return _of("max", argument, None, _greatest, _either(_greatest))


def first(argument: Argument) -> Aggregate:
    """The first value that is not None.

    >>> first("gate")
    first(col('gate'))
    """
    return _of("first", argument, None, lambda state, value: value if state is None else state, _either(lambda a, b: a))


def last(argument: Argument) -> Aggregate:
    """The last value that is not None.

    >>> last("gate")
    last(col('gate'))
    """
    return _of("last", argument, None, lambda state, value: value, _either(lambda a, b: b))


def variance(argument: Argument) -> Aggregate:
    """The variance of a sample (divided by n - 1), by Welford's method; None for fewer than two.

    >>> spread = variance("x")
    >>> state = spread.initialize()
    >>> for x in (1, 2, 3, 4):
    ...     state = spread.update(state, {"x": x})
    >>> round(spread.finalize(state), 3)
    1.667
    """
    return _spread("variance", argument, _variance)


def stddev(argument: Argument) -> Aggregate:
    """The standard deviation of a sample: the square root of `variance`.

    >>> stddev("delay")
    stddev(col('delay'))
    """
    return _spread("stddev", argument, lambda state: None if state[0] < 2 else math.sqrt(_variance(state)))


def _argument(name: str, argument: Argument) -> Expression | Callable[[Any], Any]:
    if isinstance(argument, str):
        return col(argument)
    if isinstance(argument, Expression) or callable(argument):
        return argument
    raise ConfigError(
        f"{name}({argument!r}): give a field, an expression or a function of the value: {name}(Flight.delay)."
    )


def _of(
    name: str, argument: Argument, initial: Any, fold: Callable[[Any, Any], Any], combine: Callable[[Any, Any], Any]
) -> Aggregate:
    read = _argument(name, argument)
    declared = isinstance(read, Field) and read.owner is not None
    return Aggregate(name, read, initial, fold if declared else _plain_only(name, fold), combine, _same)


def _plain_only(name: str, fold: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A state of which nothing declares the type is stored as it is, and must be read back as it was."""

    def checked(state: Any, value: Any) -> Any:
        if type(value) not in _PLAIN:
            raise EncodeError(
                f"{name}() got a {type(value).__name__}, and nothing declares its type: it would be read back as "
                "something else. Give it a field of a Record, or a function that gives a number or text."
            )
        return fold(state, value)

    return checked


def _spread(name: str, argument: Argument, finalize: Callable[[Any], Any]) -> Aggregate:
    return Aggregate(name, _argument(name, argument), (0, 0.0, 0.0), _welford, _welford_both, finalize)


def _welford(state: tuple[int, float, float], value: float) -> tuple[int, float, float]:
    n, average, squares = state
    delta = value - average
    average += delta / (n + 1)
    # Never negative, but where floats overflow: infinite then, as it should be, and no square root of less than zero.
    return n + 1, average, squares + abs(delta * (value - average))


def _welford_both(a: tuple[int, float, float], b: tuple[int, float, float]) -> tuple[int, float, float]:
    if not a[0] or not b[0]:
        return a if a[0] else b
    n, delta = a[0] + b[0], b[1] - a[1]
    return n, a[1] + delta * b[0] / n, a[2] + b[2] + delta * delta * a[0] * b[0] / n


def _variance(state: tuple[int, float, float]) -> Any:
    return state[2] / (state[0] - 1) if state[0] > 1 else None


def _mean(state: tuple[Any, int]) -> Any:
    if not state[1]:
        return None
    try:
        return state[0] / state[1]
    except OverflowError:  # an int beyond every float
        return math.inf if state[0] > 0 else -math.inf


def _count(state: int, value: object) -> int:
    return state + 1


def _add(a: Any, b: Any) -> Any:
    return a + b


def _same(state: Any) -> Any:
    return state


def _least(state: Any, value: Any) -> Any:
    if type(value) is float:
        value += 0.0  # -0.0 becomes 0.0: which of two equal zeros came first must not matter
    return value if state is None or value < state or state != state else state


def _greatest(state: Any, value: Any) -> Any:
    if type(value) is float:
        value += 0.0
    return value if state is None or value > state or state != state else state


def _either(both: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: b if a is None else a if b is None else both(a, b)


def _encode_int(part: Any) -> Any:
    return Ext(_BIG_INT, str(part).encode()) if isinstance(part, int) and part not in _INT64 else part


def _decode_int(part: Any) -> Any:
    return int(part.data) if isinstance(part, Ext) else part
