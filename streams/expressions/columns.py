"""An expression on columns: walks the formula, and leaves each step to a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.columns import Column
from streams.errors import NeedsRows
from streams.expressions.tree import Apply, Binary, Expression, Field, Literal, When
from streams.kernels import expression as kernel


def evaluate(expression: Expression, columns: Mapping[str, Column]) -> Column:
    """`expression` on `columns`, all of one length. Raises `NeedsRows` where only rows give the exact answer.

    >>> import numpy as np
    >>> from streams.expressions import col
    >>> evaluate(col("n") > 1, {"n": Column(np.array([1, 2]))}).to_list()
    [False, True]
    """
    result = _evaluate(expression, columns)
    if not isinstance(result, Column):
        raise NeedsRows(f"{expression!r} reads no column")
    return result


def _evaluate(expression: Expression, columns: Mapping[str, Column]) -> Any:
    """A column, or a plain value for what is the same in every record."""
    match expression:
        case Literal():
            return expression.value
        case Field():
            return columns[expression.path]
        case Binary(operator="&" | "|"):
            parts = _evaluate(expression.left, columns), _evaluate(expression.right, columns)
            return kernel.logical(expression.operator, *parts)
        case Binary():
            parts = _evaluate(expression.left, columns), _evaluate(expression.right, columns)
            return kernel.binary(expression.operator, *parts)
        case Apply():
            return kernel.apply(expression.function, _evaluate(expression.operand, columns), expression.argument)
        case When():
            return kernel.choose(*(_evaluate(part, columns) for part in expression.parts))
    raise TypeError(f"unknown kind of expression: {type(expression).__name__}")
