"""What a message looks like in one version: its fields in the order of the wire, from kio's definitions.

kio has a dataclass for each message and version, made from Kafka's own definitions. Its modules are imported when a
message is first used; nothing else of it is. Names become those of our structs: a duration or point in time, which kio
calls `session_timeout`, has its unit, `session_timeout_ms`.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import timedelta
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from broker_embedded.wire.messages import APIS

Kind = Literal["request", "response"]

_ZEROS: dict[str, Any] = {"string": "", "bytes": b"", "records": None, "uuid": None, "bool": False, "float64": 0.0}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: a value of `type` (a name such as `int32`) or, where that is empty, a `row` of fields."""

    name: str
    type: str
    row: Row | None
    is_array: bool
    is_nullable: bool
    tag: int | None
    default: Any  # what is sent where our struct has no such field


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of a message, or of a row in one."""

    name: str
    is_flexible: bool
    fields: tuple[Field, ...]


@cache
def schema(api_key: int, version: int, kind: Kind) -> Row:
    """The fields of a request or response. Raises KeyError, or ImportError for a version that Kafka never had.

    >>> [field.name for field in schema(12, 3, "request").fields]
    ['group_id', 'generation_id', 'member_id', 'group_instance_id']
    >>> schema(12, 3, "request").is_flexible, schema(12, 4, "request").is_flexible
    (False, True)
    """
    name = APIS[api_key].name
    module = import_module(f"kio.schema.{_snake(name)}.v{version}.{kind}")
    return _row(getattr(module, name + kind.capitalize()))


@cache
def versions(api_key: int) -> range:
    """The versions of an API that have a definition, some of them perhaps not finished in Kafka.

    >>> versions(12)
    range(0, 5)
    """
    package = import_module(f"kio.schema.{_snake(APIS[api_key].name)}")
    found = [int(module.name[1:]) for module in iter_modules(package.__path__)]
    return range(min(found), max(found) + 1)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _row(entity: Any) -> Row:
    hints = get_type_hints(entity)
    return Row(
        entity.__name__, entity.__flexible__, tuple(_field(field, hints[field.name]) for field in fields(entity))
    )


def _field(field: Any, hint: Any) -> Field:
    hint, is_nullable = _without_none(hint)
    is_array = get_origin(hint) is tuple
    inner = _without_none(get_args(hint)[0])[0] if is_array else hint
    kind = field.metadata.get("kafka_type", "")
    row = _row(inner) if not kind and is_dataclass(inner) else None
    name = field.name
    if kind.startswith(("timedelta", "datetime")):
        kind = kind.replace("timedelta_i", "int").replace("datetime_i", "int")
        name += "_ms"
    elif kind == "error_code":
        kind = "int16"
    return Field(name, kind, row, is_array, is_nullable, field.metadata.get("tag"), _default(field, kind, is_array))


def _default(field: Any, kind: str, is_array: bool) -> Any:
    if is_array:
        return None if field.default is None else []
    if field.default is MISSING:
        return _ZEROS.get(kind, 0)
    if isinstance(field.default, timedelta):
        return field.default // timedelta(milliseconds=1)
    if field.default is None and kind == "int64":  # a point in time that is not known
        return -1
    return field.default


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (UnionType, Union) and NoneType in get_args(hint):
        left = [kind for kind in get_args(hint) if kind is not NoneType]
        return left[0], True
    return hint, False
