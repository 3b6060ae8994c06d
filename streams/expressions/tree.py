"""The formula itself: five kinds of node, and the operators that build them.

Long because Python has thirty operators, two lines each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from streams.errors import ConfigError, UnknownFieldError
from streams.graph.functions import caller

if TYPE_CHECKING:
    from streams.columns import Column


class Expression:
    """A formula over the fields of a record. Never changes; comparing two builds a third.

    >>> from streams.models import Record
    >>> class Flight(Record):
    ...     carrier: str
    ...     delay: float | None = None
    >>> late = (Flight.delay > 15) & Flight.carrier.isin(["AA", "UA"])
    >>> late
    (Flight.delay > 15) & Flight.carrier.isin(['AA', 'UA'])
    >>> late.evaluate_row(Flight("AA", 20.0)), late.evaluate_row(Flight("AA"))
    (True, None)
    >>> sorted(late.fields)
    ['carrier', 'delay']
    """

    __slots__ = ("_row_function",)

    _row_function: Callable[[Any], Any]

    __hash__ = object.__hash__

    @property
    def parts(self) -> tuple[Expression, ...]:
        """The expressions it is made of."""
        return ()

    @property
    def fields(self) -> frozenset[str]:
        """The fields it reads, those of a nested record with dots: `plane.seats`."""
        return frozenset().union(*(part.fields for part in self.parts))

    @property
    def row_function(self) -> Callable[[Any], Any]:
        """The expression as a Python function of one value, compiled once."""
        try:
            return self._row_function
        except AttributeError:
            from streams.expressions.rows import compile_row

            self._row_function = compile_row(self)
            return self._row_function

    def evaluate_row(self, value: object) -> Any:
        """The expression on one value. Raises what the same Python would raise."""
        return self.row_function(value)

    def evaluate_columns(self, columns: Mapping[str, Column]) -> Column:
        """The expression on columns, one per name in `fields`; `NeedsRows` where only rows give the exact answer.

        >>> import numpy as np
        >>> from streams.columns import Column
        >>> (col("delay") * 2).evaluate_columns({"delay": Column(np.array([1.5, 2.0]))}).to_list()
        [3.0, 4.0]
        """
        from streams.expressions.columns import evaluate

        return evaluate(self, columns)

    def is_null(self) -> Expression:
        """True where the value is None, False elsewhere."""
        return Apply("is_null", self)

    def isin(self, items: Iterable[object]) -> Expression:
        """True where the value equals one of `items`."""
        return Apply("isin", self, _distinct(items))

    def between(self, low: object, high: object) -> Expression:
        """`low <= value <= high`: both ends included."""
        return (self >= low) & (self <= high)

    def lower(self) -> Expression:
        """Text in lower case."""
        return Apply("lower", self)

    def upper(self) -> Expression:
        """Text in upper case."""
        return Apply("upper", self)

    def startswith(self, prefix: str | bytes) -> Expression:
        """Whether text begins with `prefix`."""
        return Apply("startswith", self, prefix)

    def length(self) -> Expression:
        """Number of characters of a text, of items in a list."""
        return Apply("length", self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is an expression: it has a value in each record and none of its own. Combine conditions with "
            "& | ~ in place of and, or, not, in parentheses: (a > 1) & (b < 2). Write `low <= x <= high` as "
            "x.between(low, high), `a if c else b` as when(c, a, b). Or use a lambda: it runs on rows."
        )

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return Binary("==", self, _not_none(other, self))

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return Binary("!=", self, _not_none(other, self))

    def __lt__(self, other: object) -> Expression:
        return Binary("<", self, lift(other))

    def __le__(self, other: object) -> Expression:
        return Binary("<=", self, lift(other))

    def __gt__(self, other: object) -> Expression:
        return Binary(">", self, lift(other))

    def __ge__(self, other: object) -> Expression:
        return Binary(">=", self, lift(other))

    def __add__(self, other: object) -> Expression:
        return Binary("+", self, lift(other))

    def __radd__(self, other: object) -> Expression:
        return Binary("+", lift(other), self)

    def __sub__(self, other: object) -> Expression:
        return Binary("-", self, lift(other))

    def __rsub__(self, other: object) -> Expression:
        return Binary("-", lift(other), self)

    def __mul__(self, other: object) -> Expression:
        return Binary("*", self, lift(other))

    def __rmul__(self, other: object) -> Expression:
        return Binary("*", lift(other), self)

    def __truediv__(self, other: object) -> Expression:
        return Binary("/", self, lift(other))

    def __rtruediv__(self, other: object) -> Expression:
        return Binary("/", lift(other), self)

    def __floordiv__(self, other: object) -> Expression:
        return Binary("//", self, lift(other))

    def __rfloordiv__(self, other: object) -> Expression:
        return Binary("//", lift(other), self)

    def __mod__(self, other: object) -> Expression:
        return Binary("%", self, lift(other))

    def __rmod__(self, other: object) -> Expression:
        return Binary("%", lift(other), self)

    def __pow__(self, other: object) -> Expression:
        return Binary("**", self, lift(other))

    def __rpow__(self, other: object) -> Expression:
        return Binary("**", lift(other), self)

    def __and__(self, other: object) -> Expression:
        return Binary("&", self, lift(other))

    def __rand__(self, other: object) -> Expression:
        return Binary("&", lift(other), self)

    def __or__(self, other: object) -> Expression:
        return Binary("|", self, lift(other))

    def __ror__(self, other: object) -> Expression:
        return Binary("|", lift(other), self)

    def __invert__(self) -> Expression:
        return Apply("~", self)

    def __neg__(self) -> Expression:
        return Apply("-", self)

    def __abs__(self) -> Expression:
        return Apply("abs", self)


@dataclass(slots=True, eq=False, repr=False)
class Field(Expression):
    """A field of the record; `owner` is the Record class, None for values of no declared type."""

    owner: type | None
    path: str

    @property
    def fields(self) -> frozenset[str]:
        return frozenset((self.path,))

    def __getattr__(self, name: str) -> Field:
        # Python comes here only for names an Expression lacks: fields of a nested record.
        if name.startswith("_") or self.owner is None:
            raise AttributeError(name)
        from streams.models import nested_record

        known = getattr(nested_record(self.owner, self.path), "__struct_fields__", ())
        if name not in known:
            raise UnknownFieldError(repr(self), name, known, caller())
        return Field(self.owner, f"{self.path}.{name}")

    def __repr__(self) -> str:
        return f"col({self.path!r})" if self.owner is None else f"{self.owner.__name__}.{self.path}"


@dataclass(slots=True, eq=False, repr=False)
class Literal(Expression):
    """A value that is the same for every record."""

    value: object

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass(slots=True, eq=False, repr=False)
class Binary(Expression):
    """Arithmetic, a comparison, or `&` and `|`; `operator` as Python writes it."""

    operator: str
    left: Expression
    right: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return self.left, self.right

    def __repr__(self) -> str:
        return f"{_operand(self.left)} {self.operator} {_operand(self.right)}"


@dataclass(slots=True, eq=False, repr=False)
class Apply(Expression):
    """A function of one operand and at most one constant; `-` and `~` too."""

    function: str
    operand: Expression
    argument: Any = None

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.operand,)

    def __repr__(self) -> str:
        if self.function in ("-", "~"):
            return f"{self.function}{_operand(self.operand)}"
        if self.function == "abs":
            return f"abs({self.operand!r})"
        argument = "" if self.argument is None else repr(self.argument)
        return f"{_operand(self.operand)}.{self.function}({argument})"


@dataclass(slots=True, eq=False, repr=False)
class When(Expression):
    """`then` where the condition is True, `otherwise` where it is False or None."""

    condition: Expression
    then: Expression
    otherwise: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return self.condition, self.then, self.otherwise

    def __repr__(self) -> str:
        return f"when({self.condition!r}, {self.then!r}, {self.otherwise!r})"


def lift(value: object) -> Expression:
    """`value` as an expression: itself if it is one, a literal otherwise."""
    return value if isinstance(value, Expression) else Literal(value)


def col(field: object) -> Expression:
    """An expression for a type checker that takes `Flight.delay` for a float, or for a field of untyped values by name.

    >>> col("amount") > 15
    col('amount') > 15
    """
    if isinstance(field, Expression):
        return field
    if isinstance(field, str) and all(name.isidentifier() for name in field.split(".")):
        return Field(None, field)
    raise ConfigError(f"col({field!r}): give a field of a Record, as in col(Flight.delay), or its name as text.")


def when(condition: object, then: object, otherwise: object = None) -> Expression:
    """`then if condition else otherwise`, record by record.

    >>> when(col("delay") > 0, col("delay"), 0)
    when(col('delay') > 0, col('delay'), 0)
    """
    return When(lift(condition), lift(then), lift(otherwise))


def _operand(expression: Expression) -> str:
    negative = isinstance(expression, Literal) and repr(expression).startswith("-")
    prefixed = isinstance(expression, Apply) and expression.function in ("-", "~")
    return f"({expression!r})" if negative or prefixed or isinstance(expression, Binary) else repr(expression)


def _not_none(other: object, asked: Expression) -> Expression:
    if other is None:
        raise TypeError(f"a comparison with None is None in every record: write {_operand(asked)}.is_null().")
    return lift(other)


def _distinct(items: Iterable[object]) -> list[object]:
    """Text is refused: `isin("AA")` would look for the letter A."""
    if isinstance(items, (str, bytes)):
        raise TypeError(f"isin({items!r}): give a list of values, as in isin([{items!r}]).")
    distinct = [item for item in dict.fromkeys(items) if item == item]  # a NaN equals nothing
    if None in distinct or any(isinstance(item, Expression) for item in distinct):
        raise TypeError("isin() takes plain values; for None, add `| x.is_null()`.")
    return distinct
