"""What the user says of a join, whatever is joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from streams.dsl.naming import type_of
from streams.dsl.reading import Function
from streams.durations import Duration
from streams.errors import TopologyError
from streams.expressions import Expression
from streams.expressions.sides import SidedExpression, with_sides
from streams.graph.functions import UserFunction, caller
from streams.policies import Policy
from streams.serde.types import without_none

if TYPE_CHECKING:
    from streams.join_window import JoinWindow

Step = Literal["join", "left_join", "outer_join"]


_OPTIONAL: dict[Step, tuple[str, ...]] = {"join": (), "left_join": ("right",), "outer_join": ("left", "right")}
"""The sides that may be None."""


@dataclass(frozen=True, slots=True)
class Joining:
    """The method that was called, and what every one of them takes."""

    step: Step
    joiner: Function
    value_type: Any = None
    name: str | None = None
    on_error: Policy | None = None
    key: Function | None = None
    within: JoinWindow | None = None
    grace: Duration | None = None

    def function(self) -> UserFunction:
        """The joiner: (left, right), or (key, left, right)."""
        if isinstance(self.joiner, Expression):
            raise TopologyError(
                f"{self.step} at {caller()}: this join takes a function, (left, right), not the expression "
                f"{self.joiner!r}; the join of a stream with a table takes expressions"
            )
        return UserFunction(self.joiner, step=self.step, takes=3)

    def asked(self, left: Any, right: Any) -> UserFunction | SidedExpression:
        """The joiner of records of two types: a function, or an expression over the fields of both."""
        if isinstance(self.joiner, Expression):
            sides = without_none(left), without_none(right)
            return with_sides(self.joiner, *sides, f"{self.step} at {caller()}", _OPTIONAL[self.step])
        return self.function()

    def made(self, asked: UserFunction | SidedExpression) -> Any:
        """The type of the results, as far as it is said."""
        return self.value_type or (type_of(asked.asked) if isinstance(asked, SidedExpression) else asked.returns)


def named_by(asked: UserFunction | SidedExpression) -> UserFunction | Expression:
    """What of a joiner stands in the name of a step."""
    return asked.asked if isinstance(asked, SidedExpression) else asked


def may_meet(left: Any, right: Any) -> bool:
    """Whether keys of two types can be equal, as far as the types say; a float table takes keys that are int.

    >>> may_meet(int, float), may_meet(int, str), may_meet(None, str)
    (True, False, True)
    """
    if Any in (left, right) or not (isinstance(left, type) and isinstance(right, type)):
        return True
    return issubclass(left, right) or issubclass(right, left) or {left, right} == {int, float}
