"""Declared types: what a serde can do with them, said when the app is built and not at the first record."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from streams.errors import ConfigError


def without_none(kind: Any) -> Any:
    """`kind` less its None: null is not the serde's business.

    >>> without_none(str | None), without_none(list[int])
    (<class 'str'>, list[int])
    """
    if get_origin(kind) not in (Union, UnionType):
        return kind
    left = tuple(arm for arm in get_args(kind) if arm is not NoneType)
    return Union[left] if len(left) > 1 else left[0]  # noqa: UP007 - arms known at run time only


def checked_type(kind: Any, format_: str) -> Any:
    """`kind` as msgspec takes it (None: anything). Raises `ConfigError` for a class that msgspec can't decode."""
    if kind is None:
        return Any
    if isinstance(kind, type) and not hasattr(kind, "__struct_fields__"):
        from msgspec.inspect import CustomType, type_info

        if isinstance(type_info(kind), CustomType):
            raise ConfigError(
                f"{kind.__module__}.{kind.__qualname__} has no {format_} form. Declare a streams.Record, a dataclass, "
                "a TypedDict or a plain type; or write a streams.serde.Serde for it and give that as the type."
            )
    return kind


def checked_class(kind: Any) -> type | None:
    """The class that values of type `kind` must have; None where that can't be told at a glance.

    >>> checked_class(int), checked_class(list[int])
    (<class 'int'>, None)
    """
    simple = kind in (bool, int, float, str, bytes) or isinstance(kind, type(msgspec.Struct))
    return kind if simple else None
