"""An expression on columns: walks the formula, and leaves each step to a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from streams.columns import Column
from streams.errors import NeedsRows
from streams.expressions.making import Making, declared
from streams.expressions.tree import Apply, Binary, Expression, Field, Literal, When
from streams.kernels import expression as kernel
from streams.timestamps import is_timestamp


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


def evaluate_fields(making: Making, columns: Mapping[str, Column], length: int) -> dict[str, Column]:
    """`Making.evaluate_fields`."""
    made: dict[str, Column] = {}
    for one in declared(making.kind):
        given = making.given.get(one.name)
        found = one.default if given is None else _evaluate(given, columns)
        column = found if isinstance(found, Column) else kernel.constant(found, length)
        if is_timestamp(one.type) and column.values.dtype != np.int64:
            raise NeedsRows(f"{one.name} is a Timestamp, and may be text")
        made[one.name] = column
    return made


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
