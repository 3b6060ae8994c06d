"""The steps of an expression on columns. Each gives exactly what Python gives row by row, or raises `NeedsRows`.

What differs between numpy and Python, and so goes to the rows: an int64 that may overflow, a division by zero, a
comparison or division of ints beyond 2^53 with floats, powers of floats, `//` and `%` of infinities and NaN. Columns of
Python objects are worked on one by one with Python's own operators. In one file, as every step stands on the same few
rules about dtypes and missing values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.columns import Column, column_from_values
from streams.errors import NeedsRows
from streams.kernels import compiled

Operand = Column | Any
Array = npt.NDArray[Any]
Valid = npt.NDArray[np.bool_] | None

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_FUNCTIONS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "-": lambda _: operator.neg,
    "abs": lambda _: abs,
    "lower": lambda _: operator.methodcaller("lower"),
    "upper": lambda _: operator.methodcaller("upper"),
    "startswith": lambda prefix: operator.methodcaller("startswith", prefix),
    "length": lambda _: len,
    "isin": lambda items: frozenset(items).__contains__,
}
"""By the constant argument: the function of one value."""

_INT64_MAX = 2**63 - 1
_FLOAT_EXACT_MAX = 2**53


def binary(symbol: str, left: Operand, right: Operand) -> Operand:
    """Arithmetic or comparison; an operand is a column, or a value that is the same in every row.

    >>> binary("+", Column(np.array([1, 2])), 1).values.tolist()
    [2, 3]
    """
    function = _COMPARE.get(symbol) or _ARITHMETIC[symbol]
    if not isinstance(left, Column) and not isinstance(right, Column):
        return None if left is None or right is None else _in_python(function, left, right)
    if left is None or right is None:
        return _all_null(len(left if isinstance(left, Column) else right))
    compared = _compared(symbol, left, right)
    if compared is not None:
        return compared
    kinds = _kind(left) + _kind(right)
    if "O" in kinds:
        return _objects(symbol, function, left, right)
    valid = _both_valid(left, right)
    a, b = _numbers(left), _numbers(right)
    if symbol in _COMPARE:
        if "f" in kinds and kinds != "ff":
            a, b = _exact_floats(a), _exact_floats(b)
        return Column(function(a, b), valid)
    return Column(_float_step(symbol, a, b, valid) if "f" in kinds else _int_step(symbol, a, b, valid), valid)


def logical(symbol: str, left: Operand, right: Operand) -> Operand:
    """`&` and `|` in three-valued logic.

    >>> unknown = Column(np.array([True, True]), np.array([False, False]))
    >>> logical("|", unknown, Column(np.array([True, False]))).to_list()
    [True, None]
    """
    if not isinstance(left, Column) and not isinstance(right, Column):
        left, right = _broadcast(left, 1), _broadcast(right, 1)
        return logical(symbol, left, right).to_list()[0]
    length = len(left if isinstance(left, Column) else right)
    left, right = _condition(left, length), _condition(right, length)
    if left.valid is None and right.valid is None:
        return Column(left.values & right.values if symbol == "&" else left.values | right.values)
    if symbol == "|":  # a | b is ~(~a & ~b)
        negated = logical("&", Column(~left.values, left.valid), Column(~right.values, right.valid))
        return Column(~negated.values, negated.valid)
    left_valid, right_valid = _valid(left), _valid(right)
    false = (left_valid & ~left.values) | (right_valid & ~right.values)
    return Column(~false, (left_valid & right_valid) | false)


def choose(condition: Operand, then: Operand, otherwise: Operand) -> Operand:
    """`then` where the condition is True, `otherwise` elsewhere.

    >>> choose(Column(np.array([True, False])), 1, None).to_list()
    [1, None]
    """
    if not isinstance(condition, Column):
        if condition is not None and not isinstance(condition, bool):
            raise NeedsRows("`when` takes a condition")
        return then if condition else otherwise
    length = len(condition)
    taken = _condition(condition, length).truth()
    then, otherwise = _broadcast(then, length), _broadcast(otherwise, length)
    valid = None
    if then.valid is not None or otherwise.valid is not None:
        valid = np.where(taken, _valid(then), _valid(otherwise))
    if then.values.dtype == otherwise.values.dtype:
        return Column(np.where(taken, then.values, otherwise.values), valid)
    pairs = zip(taken.tolist(), then.to_list(), otherwise.to_list(), strict=True)
    return column_from_values([a if take else b for take, a, b in pairs])


def apply(name: str, operand: Operand, argument: Any = None) -> Operand:
    """A function of one operand and at most one constant.

    >>> apply("length", column_from_values(["AA", None])).to_list()
    [2, None]
    """
    if name == "is_null":
        return _is_null(operand)
    if name == "~":
        return _invert(operand)
    if name in ("startswith", "isin"):
        found = _of_texts(operand, argument if name == "isin" else [argument], prefix=name == "startswith")
        if found is not None:
            return found
    function = _FUNCTIONS[name](argument)
    if not isinstance(operand, Column):
        return None if operand is None else _in_python(function, operand)
    if name in ("-", "abs") and operand.values.dtype != object:
        return Column(_sign_step(name, _numbers(operand)), operand.valid)
    return _map_objects(name, function, operand)


def _compared(symbol: str, left: Operand, right: Operand) -> Column | None:
    """A column of text with a constant, where its bytes can tell."""
    if symbol not in ("==", "!="):
        return None
    column, constant = (left, right) if isinstance(left, Column) else (right, left)
    found = _of_texts(column, [constant], prefix=False)
    return found if found is None or symbol == "==" else Column(~found.values, found.valid)


def _of_texts(column: Operand, texts: Sequence[Any], *, prefix: bool) -> Column | None:
    """Which rows are one of the texts, or begin with one, by their bytes in UTF-8. None where they have no bytes, as no
    compiled twin has found them (`streams.text_column`), or something else is asked for.
    """
    spans = getattr(column, "spans", None)
    if spans is None or not compiled.ready() or not all(type(text) is str for text in texts):
        return None
    from streams.kernels.compiled.texts import is_text

    assert isinstance(column, Column)
    try:
        data = [text.encode() for text in texts]
    except UnicodeEncodeError:  # what has no UTF-8 equals no text that has
        return None
    found = np.zeros(len(spans.starts), np.bool_)
    arrays = spans.arrays()
    for text in data:
        is_text(*arrays, len(found), np.frombuffer(text, np.uint8), len(text), int(prefix), found)
    return Column(found, column.valid)


def _is_null(operand: Operand) -> Operand:
    if not isinstance(operand, Column):
        return operand is None
    return Column(np.zeros(len(operand), np.bool_) if operand.valid is None else ~operand.valid)


def _invert(operand: Operand) -> Operand:
    if not isinstance(operand, Column):
        return _invert(_broadcast(operand, 1)).to_list()[0]
    condition = _condition(operand, len(operand))
    return Column(~condition.values, condition.valid)


def _int_step(symbol: str, a: Any, b: Any, valid: Valid) -> Array:
    with np.errstate(all="ignore"):
        match symbol:
            case "+" | "-" | "*":
                _check_int64(_ARITHMETIC[symbol](x, y) for x in _ends(a) for y in _ends(b))
            case "/" | "//" | "%":
                b = _divisor(b, valid)
                if symbol == "/":
                    a, b = _exact_floats(a), _exact_floats(b)
                elif min(_ends(a)) == -_INT64_MAX - 1:  # the least int64 // -1 leaves 64 bits
                    raise NeedsRows("an integer may leave 64 bits")
            case "**":
                powers = _ends(b)
                if min(powers) < 0 or max(powers) > 64:
                    raise NeedsRows("a power that is no int64")
                _check_int64([max(map(abs, _ends(a))) ** max(powers)])
        result: Array = _ARITHMETIC[symbol](a, b)
        return result


def _float_step(symbol: str, a: Any, b: Any, valid: Valid) -> Array:
    if symbol == "**":
        raise NeedsRows(
            "numpy's powers of floats may differ from Python's in the last bit, and complex ones do not exist"
        )
    with np.errstate(all="ignore"):
        if symbol in ("/", "//", "%"):
            b = _divisor(b, valid)
        if symbol in ("//", "%") and not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise NeedsRows("// and % of infinity and NaN differ between numpy and Python")
        result: Array = _ARITHMETIC[symbol](a, b)
        return result


def _sign_step(name: str, a: Array) -> Array:
    if a.dtype == np.int64:
        _check_int64(-end for end in _ends(a))
    return -a if name == "-" else np.abs(a)


def _divisor(b: Any, valid: Valid) -> Any:
    """`b` without the zeros of rows that are missing anyway; a zero that is there is a division by zero."""
    zero = np.equal(b, 0)
    if not np.any(zero):
        return b
    if valid is None or np.any(zero & valid):
        raise NeedsRows("division by zero")
    return np.where(zero, np.ones_like(b), b)


def _exact_floats(a: Any) -> Any:
    if isinstance(a, float) or getattr(a, "dtype", None) == np.float64:
        return a
    if max(map(abs, _ends(a))) > _FLOAT_EXACT_MAX:
        raise NeedsRows("an integer beyond 2^53 meets a float")
    return float(a) if isinstance(a, int) else a.astype(np.float64)


def _ends(a: Any) -> tuple[int, int]:
    """Least and largest as Python ints, which can't overflow."""
    if isinstance(a, int):
        return a, a
    return (int(a.min()), int(a.max())) if len(a) else (0, 0)


def _check_int64(results: Any) -> None:
    if any(abs(result) > _INT64_MAX for result in results):
        raise NeedsRows("an integer may leave 64 bits")


def _objects(symbol: str, function: Callable[[Any, Any], Any], left: Operand, right: Operand) -> Column:
    """Python's own operators, value by value; for comparisons numpy's loop over objects calls them."""
    valid = _both_valid(left, right)
    a, b = _present(left, valid), _present(right, valid)
    try:
        if symbol in _COMPARE:
            return _spread(function(a, b).astype(np.bool_, copy=False), valid)
        a, b = np.broadcast_arrays(a, b)
        return _spread(column_from_values(list(map(function, a.tolist(), b.tolist()))).values, valid)
    except Exception as error:
        raise NeedsRows(f"{symbol} raised {error!r}") from error


def _map_objects(name: str, function: Callable[[Any], Any], operand: Column) -> Column:
    try:
        results = list(map(function, _present(operand, operand.valid).tolist()))
    except Exception as error:
        raise NeedsRows(f"{name} raised {error!r}") from error
    return _spread(column_from_values(results).values, operand.valid)


def _present(operand: Operand, valid: Valid) -> npt.NDArray[np.object_]:
    """The values without those that are missing, as Python objects; what is the same in every row has no dimension."""
    if isinstance(operand, Column):
        return (operand.values if valid is None else operand.values[valid]).astype(object, copy=False)
    constant = np.empty((), object)
    constant[()] = operand
    return constant


def _spread(found: Array, valid: Valid) -> Column:
    """A column out of the results for the rows that are valid."""
    if valid is None:
        return Column(found)
    values = np.zeros(len(valid), found.dtype)
    values[valid] = found
    return Column(values, valid)


def _in_python(function: Callable[..., Any], *operands: Any) -> Any:
    try:
        return function(*operands)
    except Exception as error:
        raise NeedsRows(f"a constant part raised {error!r}") from error


def _condition(operand: Operand, length: int) -> Column:
    column = _broadcast(operand, length)
    if column.values.dtype == np.bool_:
        return column
    if column.valid is not None and not column.valid.any():
        return _all_null(length)
    raise NeedsRows("& | ~ and when take conditions")


def constant(value: Any, length: int) -> Column:
    """The same value in `length` rows.

    >>> constant(1.5, 2).to_list()
    [1.5, 1.5]
    """
    one = column_from_values([value])
    return Column(np.repeat(one.values, length), None if one.valid is None else np.repeat(one.valid, length))


def _broadcast(operand: Operand, length: int) -> Column:
    return operand if isinstance(operand, Column) else constant(operand, length)


def _all_null(length: int) -> Column:
    return Column(np.zeros(length, np.bool_), np.zeros(length, np.bool_))


def _valid(column: Column) -> npt.NDArray[np.bool_]:
    return np.ones(len(column), np.bool_) if column.valid is None else column.valid


def _both_valid(left: Operand, right: Operand) -> Valid:
    masks = [side.valid for side in (left, right) if isinstance(side, Column) and side.valid is not None]
    return None if not masks else masks[0] if len(masks) == 1 else masks[0] & masks[1]


def _kind(operand: Operand) -> str:
    """b, i, f, or O for what numpy can't hold exactly."""
    if isinstance(operand, Column):
        return operand.values.dtype.kind
    kind = {bool: "b", int: "i", float: "f"}.get(type(operand), "O")
    return "O" if kind == "i" and abs(operand) > _INT64_MAX else kind


def _numbers(operand: Operand) -> Any:
    """Bools count as 0 and 1, as in Python."""
    if not isinstance(operand, Column):
        return int(operand) if isinstance(operand, bool) else operand
    return operand.values.astype(np.int64) if operand.values.dtype == np.bool_ else operand.values
