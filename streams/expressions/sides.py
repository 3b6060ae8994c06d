"""Expressions over two records that meet: `Order.pieces * Price.euros` as the joiner of a stream and a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from streams.errors import TopologyError
from streams.expressions.making import Making, filled_in
from streams.expressions.tree import Apply, Binary, Expression, Field, Literal, When

if TYPE_CHECKING:
    from streams.columns import Column


@dataclass(frozen=True)
class SidedExpression:
    """`asked`, of a record of type `left` and one of type `right`, or None in its place: then its fields are None.

    `expression` is the same with the sides written out, `left.pieces * right.euros`.
    """

    asked: Expression
    left: Any
    right: Any
    expression: Expression
    optional: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return repr(self.asked)

    def evaluate_row(self, left: Any, right: Any) -> Any:
        """The expression on two records. Raises what the same Python would raise."""
        return self.row_function(left, right)

    @cached_property
    def row_function(self) -> Callable[[Any, Any], Any]:
        """The expression as a Python function of two records."""
        from streams.expressions.rows import compile_row, compile_sides

        if all(hasattr(side, "__struct_fields__") for side in (self.left, self.right)):
            return compile_sides(self.expression, self.left, self.right, self.optional)
        row = compile_row(self.expression)
        return lambda left, right: row({"left": left, "right": right})

    @property
    def left_fields(self) -> frozenset[str]:
        """The fields of the left side that it reads."""
        sided = (path.partition(".") for path in self.expression.fields)
        return frozenset(field for side, _, field in sided if side == "left")

    def columns(self, left: Callable[[str], Column], right: Callable[[str], Column]) -> dict[str, Column]:
        """What `expression` reads, of a column for each field of a side."""
        columns: dict[str, Column] = {}
        for path in self.expression.fields:
            side, _, field = path.partition(".")
            columns[path] = left(field) if side == "left" else right(field)
        return columns


def with_sides(asked: Expression, left: Any, right: Any, what: str, optional: tuple[str, ...] = ()) -> SidedExpression:
    """The expression with each field on the side whose type it is a field of. `what` begins the message of the
    TopologyError for a field that is of neither or could be of both. `optional` are the sides that may be None: "left",
    "right".

    >>> from streams.models import Record
    >>> class Order(Record):
    ...     pieces: int
    >>> class Price(Record):
    ...     euros: int
    >>> joiner = with_sides(Order.pieces * Price.euros, Order, Price, "join")
    >>> joiner.evaluate_row(Order(3), Price(5)), joiner.evaluate_row(Order(3), None)
    (15, None)
    """
    if isinstance(asked, Making):
        kinds = [kind for side, kind in (("left", left), ("right", right)) if side in optional]
        asked = filled_in(asked, what, left, right, optional=kinds)
    return SidedExpression(asked, left, right, _sided(asked, left, right, what), optional)


def _sided(part: Expression, left: Any, right: Any, what: str) -> Expression:
    def again(inner: Expression) -> Expression:
        return _sided(inner, left, right, what)

    match part:
        case Field():
            return Field(None, f"{_side(part, left, right, what)}.{part.path}")
        case Binary():
            return Binary(part.operator, again(part.left), again(part.right))
        case Apply():
            return Apply(part.function, again(part.operand), part.argument)
        case When():
            return When(again(part.condition), again(part.then), again(part.otherwise))
        case Literal():
            return part
        case Making():
            fields = getattr(left, "__struct_fields__", ())
            given = {
                name: again(one)
                if name in part.named
                else Field(None, f"{'left' if name in fields else 'right'}.{name}")
                for name, one in part.given.items()
            }
            return replace(part, named={}, given=given)
    raise TypeError(f"unknown kind of expression: {type(part).__name__}")


def _side(field: Field, left: Any, right: Any, what: str) -> str:
    of_left, of_right = (field.owner is not None and field.owner is owner for owner in (left, right))
    if of_left is not of_right:
        return "left" if of_left else "right"
    why = "both sides have records of that type" if of_left else "neither side has records with it, as far as types say"
    raise TopologyError(f"{what}: of which side is {field!r}? {why}. Give a function, (left, right)")
