"""What the user says of a join, whatever is joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from streams.durations import Duration
from streams.expressions import Expression
from streams.graph.functions import UserFunction
from streams.policies import Policy

if TYPE_CHECKING:
    from streams.join_window import JoinWindow

Step = Literal["join", "left_join", "outer_join"]


@dataclass(frozen=True, slots=True)
class Joining:
    """The method that was called, and what every one of them takes."""

    step: Step
    joiner: Callable[..., Any]
    value_type: Any = None
    name: str | None = None
    on_error: Policy | None = None
    key: Callable[..., Any] | Expression | None = None
    within: JoinWindow | None = None
    grace: Duration | None = None

    def function(self) -> UserFunction:
        """The joiner: (left, right), or (key, left, right)."""
        return UserFunction(self.joiner, step=self.step, takes=3)


def may_meet(left: Any, right: Any) -> bool:
    """Whether keys of two types can be equal, as far as the types say; a float table takes keys that are int.

    >>> may_meet(int, float), may_meet(int, str), may_meet(None, str)
    (True, False, True)
    """
    if Any in (left, right) or not (isinstance(left, type) and isinstance(right, type)):
        return True
    return issubclass(left, right) or issubclass(right, left) or {left, right} == {int, float}
