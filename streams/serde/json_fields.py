"""Which Record classes the compiled parser of JSON knows, and what it takes their fields for."""

from __future__ import annotations

from collections.abc import Collection
from types import NoneType
from typing import Any

import msgspec

from streams.kernels.compiled.json_kinds import BOOL, FLOAT, INT, OTHER, TEXT, TIMESTAMP
from streams.timestamps import arms, has_own_post_init, is_timestamp

_KINDS: dict[Any, int] = {int: INT, float: FLOAT, bool: BOOL, str: TEXT}
_EMPTY = (list, dict, set, frozenset, bytearray)


def why_not(record: Any, wanted: Collection[str]) -> str | None:
    """Why the fields `wanted` of values of a type are not parsed into columns; None if they are.

    >>> why_not(dict, [])
    'the values have no declared fields: give the topic a Record as value_type'
    """
    if not isinstance(record, msgspec.StructMeta):
        return "the values have no declared fields: give the topic a Record as value_type"
    config = record.__struct_config__
    if config.array_like or config.forbid_unknown_fields or config.tag is not None:
        return f"{record.__name__} is array_like, tagged or forbids unknown fields"
    if has_own_post_init(record):
        return f"{record.__name__}.__post_init__ may do anything"
    for field in msgspec.structs.fields(record):  # type: ignore[arg-type]  # its stub knows type[Struct] only
        if field.name in wanted and scalar(field.type) is None:
            return f"{record.__name__}.{field.name} is no number, bool, text or timestamp"
        made = field.default_factory
        if made is not msgspec.NODEFAULT and (field.name in wanted or made not in _EMPTY):
            return f"the default of {record.__name__}.{field.name} is made by a function"
        if field.name in wanted and not _is_plain(field.default, scalar(field.type)):
            return f"the default of {record.__name__}.{field.name} has no place in a column"
    gone = sorted(set(wanted).difference(record.__struct_fields__))
    return f"{record.__name__} has no field {gone[0]!r}" if gone else None


def _is_plain(default: Any, kind: type | None) -> bool:
    """Whether a column of a kind has a place for a default."""
    if default is None or default is msgspec.NODEFAULT:
        return True
    if kind is not str:
        return isinstance(default, int | float)
    return isinstance(default, str) and not any("\ud800" <= letter <= "\udfff" for letter in default)


def why_not_written(record: Any) -> str | None:
    """Why values of a type are not written to JSON from columns; None if they are.

    >>> why_not_written(int)
    'the values have no declared fields: give the topic a Record as value_type'
    """
    if not isinstance(record, msgspec.StructMeta):
        return "the values have no declared fields: give the topic a Record as value_type"
    config = record.__struct_config__
    if config.array_like or config.tag is not None or config.omit_defaults:
        return f"{record.__name__} is array_like, tagged or omits defaults"
    return None if record.__struct_fields__ else f"{record.__name__} has no fields"


def kind_of(declared: Any) -> int:
    """The parser's number for the type of a field (`streams.kernels.compiled.json_kinds`)."""
    found = scalar(declared)
    if found is None:
        return OTHER
    return TIMESTAMP if is_timestamp(declared) else _KINDS[found]


def scalar(kind: Any) -> type | None:
    """int, float, bool or str, of which (or None) a field is declared; None for any other."""
    if is_timestamp(kind):
        return int
    declared = [arm for arm in arms(kind) if arm is not NoneType]
    return declared[0] if len(declared) == 1 and declared[0] in _KINDS else None
