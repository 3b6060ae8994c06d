"""Records made of expressions: `streams.record(Sale, amount=Sale.amount * 2)`, for `map_values` and as a joiner."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any

import msgspec

from streams.errors import TopologyError, did_you_mean
from streams.expressions.kinds import Kinds, declared_kinds, kinds_of
from streams.expressions.tree import Expression, Field, Literal, When, lift
from streams.graph.functions import caller
from streams.timestamps import has_own_post_init

if TYPE_CHECKING:
    from streams.columns import Column


@dataclass(slots=True, eq=False, repr=False)
class Making(Expression):
    """A record of `kind`; None for a value that is None.

    `named` has the fields that the user gave, `given` those and the ones taken from the records that come: known when
    the step is built. The others have their defaults.
    """

    kind: Any
    named: Mapping[str, Expression]
    given: Mapping[str, Expression] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[Expression, ...]:
        return tuple((self.given or self.named).values())

    def __repr__(self) -> str:
        given = "".join(f", {name}={expression!r}" for name, expression in self.named.items())
        return f"record({self.kind.__name__}{given})"

    @property
    def by_row_only(self) -> str | None:
        """Why columns of it can't stand for rows; None: they can."""
        if has_own_post_init(self.kind):
            return f"{self.kind.__name__} has a __post_init__ of its own"
        left = [one for one in declared(self.kind) if one.name not in self.given]
        made = [one.name for one in left if one.default_factory is not msgspec.NODEFAULT]
        return f"{self.kind.__name__}.{made[0]} has a default that is made for each record" if made else None

    def evaluate_fields(self, columns: Mapping[str, Column], length: int) -> dict[str, Column]:
        """A column of `length` rows for each field of `kind`, of one for each of `fields`; raises `NeedsRows` where
        only rows give the exact answer.

        >>> import numpy as np
        >>> from streams import Record
        >>> from streams.columns import Column
        >>> class Sale(Record):
        ...     amount: int
        ...     checked: bool = False
        >>> class Change(Record):
        ...     amount: int
        >>> double = filled_in(record(Sale, amount=Change.amount * 2), "map_values", Change)
        >>> made = double.evaluate_fields({"amount": Column(np.array([1, 2]))}, 2)
        >>> {name: column.to_list() for name, column in made.items()}
        {'amount': [2, 4], 'checked': [False, False]}
        """
        from streams.expressions.columns import evaluate_fields

        return evaluate_fields(self, columns, length)


@cache
def declared(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a Record class."""
    return msgspec.structs.fields(kind)


def record(kind: type, /, **fields: Any) -> Any:
    """A record of class `kind` for each record that comes, for `map_values` and as a joiner of a stream and a table.

    The fields named are expressions, or values that are the same in all; those not named are taken from the field of
    the same name of the record that comes (in a join, of the left one or else the right one), or have their default.
    Like other expressions it runs on columns, without a call of Python for each record.

    >>> from streams import Record
    >>> class Sale(Record):
    ...     product: str
    ...     amount: float
    >>> record(Sale, amount=Sale.amount * 2)
    record(Sale, amount=Sale.amount * 2)

    Raises TopologyError for what is no Record class, and a name that is none of its fields. That the values fit the
    fields is seen when the step is built.
    """
    where = caller()
    if not isinstance(kind, msgspec.StructMeta):
        raise TopologyError(f"record at {where}: give a Record class and its fields, as in record(Sale, amount=...)")
    known = kind.__struct_fields__
    for name in fields:
        if name not in known:
            raise TopologyError(
                f"record at {where}: {kind.__name__} has no field {name!r}, it has {', '.join(known) or 'none'}."
                f"{did_you_mean(name, known)}"
            )
    return Making(kind, {name: lift(given) for name, given in fields.items()})


def coalesce(*options: Any) -> Any:
    """The first of some expressions or values that is not None; None where all are.

    >>> from streams import Record
    >>> class Flight(Record):
    ...     delay: float | None
    >>> coalesce(Flight.delay, 0.0).evaluate_row(Flight(None))
    0.0
    """
    if not options:
        raise TopologyError(f"coalesce at {caller()}: give expressions or values, as in coalesce(Sale.amount, 0.0)")
    *before, found = map(lift, options)
    for option in reversed(before):
        found = When(option.is_null(), found, option)
    return found


def filled_in(
    asked: Making,
    step: str,
    *kinds: Any,
    take: Callable[[str], Field | None] | None = None,
    optional: Collection[Any] = (),
) -> Making:
    """With an expression for each field that is named, or that records of one of the `kinds` have. Fields of the
    classes `optional` may be None. Raises TopologyError, at the user's line, for a field that nobody gives, and for
    what does not fit.
    """
    made: dict[str, Expression] = {}
    for one in declared(asked.kind):
        given = asked.named.get(one.name)
        if given is None:
            given = _taken(one.name, kinds)
        if given is not None:
            made[one.name] = given
            _check(asked, one, given, step, optional)
        elif one.required:
            raise TopologyError(
                f"{step}: {asked!r} has no value for {one.name!r}: {_nobody(kinds)}. "
                f"Name it: record({asked.kind.__name__}, {one.name}=...), or give it a default"
            )
    return replace(asked, given=made)


def _taken(name: str, kinds: tuple[Any, ...]) -> Field | None:
    return next((Field(kind, name) for kind in kinds if name in getattr(kind, "__struct_fields__", ())), None)


def _nobody(kinds: tuple[Any, ...]) -> str:
    said = [kind for kind in kinds if getattr(kind, "__struct_fields__", ())]
    if not said:
        return "the values that come have no declared fields"
    return " and ".join(f"{kind.__name__} has {', '.join(kind.__struct_fields__)}" for kind in said)


def _check(asked: Making, one: msgspec.structs.FieldInfo, given: Expression, step: str, optional: Any) -> None:
    if isinstance(given, Making):
        raise TopologyError(f"{step}: {asked!r} has a record in a record; use a function for that")
    fits, found = declared_kinds(one.type), kinds_of(given, optional)
    if fits is None or found is None or found <= fits:
        return
    if isinstance(given, Literal) and callable(given.value):
        raise TopologyError(
            f"{step}: {asked.kind.__name__}.{one.name} takes an expression or a value, not a function; "
            f"map_values and joins take a function that makes all of the {asked.kind.__name__}"
        )
    text = f"{step}: {asked.kind.__name__}.{one.name} is {_said(declared_kinds(one.type))}, and {given!r}"
    if found - fits == {NoneType}:
        raise TopologyError(
            f"{text} may be None. Say what it is then, streams.coalesce({given!r}, ...), or declare the field "
            f"`{_said(fits)} | None`"
        )
    if found - fits == {float}:
        raise TopologyError(f"{text} is float. Declare the field `float`, or use a function that rounds as you want it")
    raise TopologyError(f"{text} is {_said(found)}")


def _said(kinds: Kinds) -> str:
    names = sorted("None" if kind is NoneType else kind.__name__ for kind in kinds or ())
    if "float" in names and "int" in names:
        names.remove("int")
    return " | ".join([*(name for name in names if name != "None"), *(["None"] if "None" in names else [])])
