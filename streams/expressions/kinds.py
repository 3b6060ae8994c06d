"""What an expression can give: the types of its values, as far as the types of the fields say."""

from __future__ import annotations

from collections.abc import Collection
from types import NoneType
from typing import Any, TypeAlias

import msgspec

from streams.expressions.tree import Apply, Binary, Expression, Field, Literal, When

Kinds: TypeAlias = frozenset[Any] | None
"""Classes, `NoneType` among them where it may be None; None where nobody knows."""

_CONDITIONS = {"==", "!=", "<", "<=", ">", ">=", "&", "|", "startswith", "isin", "~"}
_TEXT = {"lower", "upper"}
_NUMBERS = {bool, int, float}


def kinds_of(expression: Expression, optional: Collection[Any] = ()) -> Kinds:
    """The types of its values. Fields of the Record classes `optional` may be None, whatever they are declared.

    >>> from streams.models import Record
    >>> class Flight(Record):
    ...     delay: float | None
    >>> sorted(kind.__name__ for kind in kinds_of(Flight.delay * 2))
    ['NoneType', 'float']
    """
    match expression:
        case Literal():
            return frozenset((type(expression.value),))
        case Field():
            return _of_field(expression, optional)
        case When():
            return _of_when(expression, optional)
        case Binary(operator=name) | Apply(function=name):
            if name == "is_null":
                return frozenset((bool,))
            parts = [kinds_of(part, optional) for part in expression.parts]
            if name in _CONDITIONS:
                return _or_none({bool}, parts)
            if None in parts:
                return None
            found = _computed(name, [set(part or ()) - {NoneType} for part in parts])
            return None if found is None else _or_none(found, parts)
    return None


def declared_kinds(kind: Any) -> Kinds:
    """What fits into a field that is declared so; None: anything, as far as can be told.

    >>> sorted(kind.__name__ for kind in declared_kinds(float | None))
    ['NoneType', 'float', 'int']
    """
    found = _classes(kind)
    return found if found is None or float not in found else found | {int}


def _classes(kind: Any) -> Kinds:
    from streams.timestamps import arms, is_timestamp

    found: set[Any] = set()
    for arm in arms(kind):
        if is_timestamp(arm):
            found |= {int}
        elif isinstance(arm, type) and (arm in (bool, int, float, str, bytes, NoneType) or _is_record(arm)):
            found.add(arm)
        else:
            return None
    return frozenset(found)


def _is_record(kind: type) -> bool:
    return isinstance(kind, msgspec.StructMeta)


def _of_field(field: Field, optional: Collection[Any]) -> Kinds:
    from streams.models import field_type

    if field.owner is None:
        return None
    found: set[Any] = {NoneType} if field.owner in optional else set()
    names = field.path.split(".")
    for depth in range(len(names)):
        own = _classes(field_type(field.owner, ".".join(names[: depth + 1])))
        if own is None:
            return None
        found |= own if depth == len(names) - 1 else own & {NoneType}
    return frozenset(found)


def _of_when(choice: When, optional: Collection[Any]) -> Kinds:
    then, otherwise = (kinds_of(part, optional) for part in (choice.then, choice.otherwise))
    if then is None or otherwise is None:
        return None
    condition = choice.condition
    if isinstance(condition, Apply) and condition.function == "is_null":
        if _same(condition.operand, choice.otherwise):
            otherwise -= {NoneType}
    elif isinstance(condition, Apply) and condition.function == "~":
        inner = condition.operand
        if isinstance(inner, Apply) and inner.function == "is_null" and _same(inner.operand, choice.then):
            then -= {NoneType}
    return then | otherwise


def _same(one: Expression, other: Expression) -> bool:
    return one is other or (isinstance(one, Field) and isinstance(other, Field) and _key(one) == _key(other))


def _key(field: Field) -> tuple[Any, str]:
    return field.owner, field.path


def _or_none(found: set[Any], parts: list[Kinds]) -> Kinds:
    may_be = any(part is not None and NoneType in part for part in parts)
    return frozenset(found | {NoneType}) if may_be else frozenset(found)


def _computed(name: str, parts: list[set[Any]]) -> set[Any] | None:
    """Of arithmetic and functions; None for what only Python knows."""
    if name in _TEXT:
        return {str}
    if name == "length":
        return {int}
    together = set().union(*parts)
    if name == "+" and together == {str}:
        return {str}
    if not together <= _NUMBERS or name == "**":
        return None
    if name == "/":
        return {float}
    return {float} if any(part == {float} for part in parts) else {int, float} if float in together else {int}
