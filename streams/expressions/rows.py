"""An expression as a Python function of one record: the reference for what it means.

`(Flight.delay > 15) & (Flight.carrier == "AA")` becomes

    def row(value):
        if type(value) is not owner: return untyped(value)
        v1 = value.delay
        v2 = None if v1 is None else v1 > 15
        ...

which is about as fast as the lambda a user would write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from streams.expressions.making import Making
from streams.expressions.tree import Apply, Binary, Expression, Field, Literal, When

_Row: TypeAlias = Callable[[Any], Any]
_Pair: TypeAlias = Callable[[Any, Any], Any]

_FUNCTIONS = {
    "-": "-{0}",
    "abs": "abs({0})",
    "lower": "{0}.lower()",
    "upper": "{0}.upper()",
    "startswith": "{0}.startswith({1})",
    "length": "len({0})",
    "isin": "{0} in {1}",
}


def compile_row(expression: Expression) -> _Row:
    """`expression` as a function of one value; what it raises is what the same Python would raise.

    >>> from streams.expressions import col
    >>> compile_row(col("a") + 1)({"a": 41})
    42
    """
    untyped = _compile(expression, None)
    owners = _owners(expression)
    return _compile(expression, owners.pop(), untyped) if len(owners) == 1 and None not in owners else untyped


def compile_sides(expression: Expression, left: Any, right: Any, optional: Collection[str] = ()) -> _Pair:
    """An expression of fields `left.x` and `right.x` as a function of two records; one that may be None is `optional`.

    >>> from streams.expressions import col
    >>> from streams.models import Record
    >>> class Price(Record):
    ...     euros: int
    >>> compile_sides(col("left.euros") + col("right.euros"), Price, Price)(Price(1), Price(2))
    3
    """
    untyped = compile_row(expression)
    code = _Code(typed=True, sides=True, optional=optional)
    result = code.emit(expression)
    unlike = " or ".join(
        f"({f'{side} is not None and ' if side in optional else ''}type({side}) is not {side}_type)"
        for side in ("left", "right")
    )
    dispatch = f"    if {unlike}: return untyped({{'left': left, 'right': right}})"
    source = "\n".join(["def row(left, right):", dispatch, *code.lines, f"    return {result}"])
    names = code.constants | {"read": _read, "condition": _condition, "left_type": left, "right_type": right}
    names["untyped"] = untyped
    exec(compile(source, f"<expression {expression!r}>", "exec"), names)
    row: _Pair = names["row"]
    return row


def _compile(expression: Expression, owner: type | None, untyped: _Row | None = None) -> _Row:
    """With `owner`: fields are read as attributes, and what is not exactly an `owner` goes to the form `untyped`."""
    code = _Code(typed=owner is not None)
    result = code.emit(expression)
    dispatch = ["    if type(value) is not owner: return untyped(value)"] if owner else []
    source = "\n".join(["def row(value):", *dispatch, *code.lines, f"    return {result}"])
    names = code.constants | {"read": _read, "condition": _condition, "owner": owner, "untyped": untyped}
    exec(compile(source, f"<expression {expression!r}>", "exec"), names)
    row: _Row = names["row"]
    return row


def _owners(expression: Expression) -> set[type | None]:
    if isinstance(expression, Field):
        return {expression.owner}
    return set().union(*(_owners(part) for part in expression.parts))


class _Code:
    """Statements written so far, and the constants they name."""

    def __init__(self, typed: bool, sides: bool = False, optional: Collection[str] = ()) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._typed = typed
        self._sides = sides
        self._optional = optional
        self._indent = "    "
        self._count = 0

    def emit(self, expression: Expression) -> str:
        """Write the statements that compute `expression`; the name that then holds it."""
        match expression:
            case Literal():
                return self._constant(expression.value)
            case Field():
                return self._field(expression)
            case Binary(operator="&" | "|"):
                return self._logical(expression)
            case Binary():
                left, right = self.emit(expression.left), self.emit(expression.right)
                return self._assign(f"{left} {expression.operator} {right}", left, right)
            case Apply():
                return self._apply(expression)
            case When():
                return self._when(expression)
            case Making():
                return self._record(expression)
        raise TypeError(f"unknown kind of expression: {type(expression).__name__}")

    def _field(self, field: Field) -> str:
        first, *nested = field.path.split(".")
        if self._sides:
            side, (first, *nested) = first, nested
            at = self._assign(f"{side}.{first}", *([side] if side in self._optional else []))
        else:
            at = self._assign(f"value.{first}" if self._typed else f"read(value, {first!r})")
        for name in nested:
            at = self._assign(f"read({at}, {name!r})")
        return at

    def _apply(self, call: Apply) -> str:
        operand = self.emit(call.operand)
        if call.function == "is_null":
            return self._assign(f"{operand} is None")
        if call.function == "~":
            operand = self._condition(operand, "~")
            return self._assign(f"not {operand}", operand)
        argument = frozenset(call.argument) if call.function == "isin" else call.argument
        return self._assign(_FUNCTIONS[call.function].format(operand, self._constant(argument)), operand)

    def _logical(self, expression: Binary) -> str:
        decides, other = ("False", "True") if expression.operator == "&" else ("True", "False")
        left = self._condition(self.emit(expression.left), expression.operator)
        result = self._assign(decides)
        self._line(f"if {left} is not {decides}:")
        self._indent += "    "
        right = self._condition(self.emit(expression.right), expression.operator)
        self._line(f"{result} = {right} if {left} is {other} or {right} is {decides} else None")
        self._indent = self._indent[:-4]
        return result

    def _when(self, expression: When) -> str:
        condition = self._condition(self.emit(expression.condition), "when")
        result = self._assign("None")
        for head, branch in ((f"if {condition}:", expression.then), ("else:", expression.otherwise)):
            self._line(head)
            self._indent += "    "
            self._line(f"{result} = {self.emit(branch)}")
            self._indent = self._indent[:-4]
        return result

    def _record(self, expression: Making) -> str:
        """Comes last: a value that is None makes no record."""
        if not self._sides:
            self._line("if value is None: return None")
        given = {name: self.emit(part) for name, part in expression.given.items()}
        kind = self._constant(expression.kind)
        if tuple(given) == expression.kind.__match_args__:
            return self._assign(f"{kind}({', '.join(given.values())})")
        return self._assign(f"{kind}({', '.join(f'{name}={at}' for name, at in given.items())})")

    def _condition(self, name: str, user: str) -> str:
        condition = self._assign(name)
        self._line(f"if {condition} is not True and {condition} is not False and {condition} is not None:")
        self._line(f"    {condition} = condition({condition}, {user!r})")
        return condition

    def _constant(self, value: object) -> str:
        if value is None:
            return "None"
        name = f"c{len(self.constants) + 1}"
        self.constants[name] = value
        return name

    def _assign(self, code: str, *none_if_none: str) -> str:
        self._count += 1
        nullable = [name for name in none_if_none if not name.startswith("c")]
        guard = f"None if {' or '.join(f'{name} is None' for name in nullable)} else " if nullable else ""
        self._line(f"v{self._count} = {guard}{code}")
        return f"v{self._count}"

    def _line(self, text: str) -> None:
        self.lines.append(self._indent + text)


def _read(value: Any, name: str) -> Any:
    if isinstance(value, Struct):
        return getattr(value, name)
    return None if value is None else value.get(name) if isinstance(value, Mapping) else getattr(value, name)


def _condition(value: Any, user: str) -> bool:
    if type(value).__module__ == "numpy" and value in (True, False):  # from fields that hold numpy's own numbers
        return bool(value)
    raise TypeError(f"`{user}` takes conditions (True, False, None), not {type(value).__name__} {value!r}")
