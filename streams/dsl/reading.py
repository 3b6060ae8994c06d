"""What a step is given to ask of each record: a function, or an expression over fields that the records have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import StructMeta

from streams.errors import TopologyError, did_you_mean
from streams.expressions import Expression, Field, Making
from streams.expressions.making import filled_in
from streams.graph.functions import UserFunction, caller
from streams.serde.types import without_none

Function: TypeAlias = Any
"""A function of (value) or (key, value), or an expression. `Order.amount` is one, and to a type checker a float: so it
takes all, and what is neither is refused when the app is built.
"""


def read_function(asked: Function, step: str, value_type: Any) -> UserFunction | Expression:
    """The function of (value) or (key, value), or the expression. Raises TopologyError for what is neither, and for an
    expression with a field that values of this type lack.
    """
    if isinstance(asked, Expression):
        check_fields(asked, step, value_type)
        return _filled_in(asked, step, value_type) if isinstance(asked, Making) else asked
    return UserFunction(asked, step=step, takes=2)


def _filled_in(asked: Making, step: str, value_type: Any) -> Making:
    if step != "map_values":
        raise TopologyError(f"{step} at {caller()}: {asked!r} makes a record, which map_values and joins take")
    return filled_in(asked, f"{step} at {caller()}", without_none(value_type))


def check_fields(asked: object, step: str, value_type: Any) -> None:
    """Raises TopologyError, at the user's line, if `asked` is an expression with a field that values of this type lack;
    a type that says nothing about fields has them all.

    >>> from streams.models import Record
    >>> class Order(Record):
    ...     amount: int
    >>> class Price(Record):
    ...     cents: int
    >>> check_fields(Order.amount > 3, "filter", Order)
    >>> check_fields(Price.cents > 3, "filter", Order)
    Traceback (most recent call last):
    streams.errors.TopologyError: filter at ...: Price.cents is of values with a field 'cents', and these are of type \
Order, which has amount.
    """
    kind = without_none(value_type)
    if not isinstance(asked, Expression) or not (isinstance(kind, StructMeta) or kind in _PLAIN):
        return
    known = kind.__struct_fields__ if isinstance(kind, StructMeta) else ()
    for field in _fields(asked):
        name = field.path.split(".")[0]
        if name not in known and not (field.owner is not None and issubclass(field.owner, kind)):
            raise TopologyError(
                f"{step} at {caller()}: {field!r} is of values with a field {name!r}, and these are of type "
                f"{kind.__name__}, which has {', '.join(known) or 'no fields'}.{did_you_mean(name, known)}"
            )


_PLAIN = (bool, int, float, str, bytes)


def _fields(asked: Expression) -> Iterator[Field]:
    if isinstance(asked, Field):
        yield asked
    for part in asked.parts:
        yield from _fields(part)
