"""How a function of the user's could be written as an expression, found by reading its source; never run, only shown.

What is not surely the same is not shown. `and` and `or` between things that are no conditions give one of them in
Python, and `&` and `|` do not. A comparison with None raises in Python, and an expression is None there, which nobody
minds; but `==`, `!=` and `in` have an answer.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from streams.models import field_type
from streams.serde.types import without_none

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


class _NoExpression(Exception):
    """There is no expression for this."""


def hint(function: Callable[..., Any], record: Any) -> str | None:
    """The expression that says what the function says; None where there is none, or it can't be told.

    >>> from streams import Record
    >>> class Flight(Record):
    ...     delay: float
    >>> hint(len, Flight)
    """
    found = _source_of(function)
    if found is None or not getattr(record, "__struct_fields__", ()):
        return None
    parameter, body = found
    try:
        return written(body, parameter, record)
    except _NoExpression:
        return None


def _source_of(function: Callable[..., Any]) -> tuple[str, ast.expr] | None:
    """The name of its last argument, the value, and what it returns, if it does nothing else."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    try:
        lines, _ = inspect.findsource(function)
        tree = ast.parse("".join(lines))
    except (OSError, SyntaxError):  # typed in a shell, or made by exec
        return None
    names = code.co_varnames[: code.co_argcount]
    found = [
        (node.args.args[-1].arg, _returned(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda | ast.FunctionDef)
        and _first_line(node) == code.co_firstlineno
        and tuple(argument.arg for argument in node.args.args) == names
        and names
    ]
    if len(found) != 1 or found[0][1] is None:  # two alike in one line: which of them it is can't be told
        return None
    return found[0][0], found[0][1]


def _first_line(node: ast.Lambda | ast.FunctionDef) -> int:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return min(at.lineno for at in [node, *decorators])


def _returned(node: ast.Lambda | ast.FunctionDef) -> ast.expr | None:
    if isinstance(node, ast.Lambda):
        return node.body
    only = node.body[0] if len(node.body) == 1 else None
    return only.value if isinstance(only, ast.Return) else None


def written(node: ast.expr, name: str, record: Any) -> str:
    """The expression of a Python expression over `name`, a value of `record`. Raises _NoExpression."""
    match node:
        case ast.Attribute(value=ast.Name(id=other), attr=field) if other == name:
            if field not in record.__struct_fields__:
                raise _NoExpression
            return f"{record.__name__}.{field}"
        case ast.Constant(value=bool() | int() | float() | str() | bytes() as value):
            return repr(value)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return f"{_operand(left, name, record)} {_OPERATORS[type(op)]} {_operand(right, name, record)}"
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return f"-{_operand(inner, name, record)}"
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return _condition(node, name, record)
        case ast.Call(func=ast.Attribute(value=inner, attr="lower" | "upper" as method), args=[], keywords=[]):
            return f"{_operand(inner, name, record)}.{method}()"
        case ast.Call(func=ast.Attribute(value=inner, attr="startswith"), args=[ast.Constant(value=str() as text)]):
            return f"{_operand(inner, name, record)}.startswith({text!r})"
        case ast.Call(func=ast.Name(id="abs"), args=[inner], keywords=[]):
            return f"abs({written(inner, name, record)})"
    raise _NoExpression


def _condition(node: ast.expr, name: str, record: Any) -> str:
    match node:
        case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            return f"{_operand(left, name, record)}.is_null()"
        case ast.Compare(left=left, ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return f"~{_operand(left, name, record)}.is_null()"
        case ast.Compare(ops=[ast.Eq() | ast.NotEq() | ast.In()]) if _may_be_none(node, record):
            raise _NoExpression
        case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.List() | ast.Tuple() | ast.Set() as items]):
            return f"{_operand(left, name, record)}.isin([{', '.join(_constant(item) for item in items.elts)}])"
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            if any(isinstance(side, ast.Constant) and side.value is None for side in (left, right)):
                raise _NoExpression
            return f"{_operand(left, name, record)} {_OPERATORS[type(op)]} {_operand(right, name, record)}"
        case ast.BoolOp(op=op, values=parts):
            word = " & " if isinstance(op, ast.And) else " | "
            return word.join(_operand(part, name, record, only_conditions=True) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return f"~{_operand(inner, name, record, only_conditions=True)}"
    raise _NoExpression


def _may_be_none(node: ast.expr, record: Any) -> bool:
    fields = [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)]
    types = [field_type(record, name) for name in fields if name in record.__struct_fields__]
    return any(kind is None or kind is Any or without_none(kind) != kind for kind in types)


def _constant(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | bytes):
        return repr(node.value)
    raise _NoExpression


def _operand(node: ast.expr, name: str, record: Any, *, only_conditions: bool = False) -> str:
    text = _condition(node, name, record) if only_conditions else written(node, name, record)
    called = text.endswith(")") and " " not in text.partition("(")[0] and not text.startswith(("~", "-"))
    return text if isinstance(node, ast.Attribute | ast.Constant) or called else f"({text})"
