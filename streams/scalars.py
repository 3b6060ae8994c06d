"""Classes of records that hold numbers, text and the like only: told from the body of a class before it exists."""

from __future__ import annotations

import builtins
import re
import sys
from types import NoneType
from typing import Any

from streams.timestamps import Timestamp, annotations_of, arms, is_timestamp

_SCALARS = (bool, int, float, str, bytes, NoneType)
_NAMED = {"bool": bool, "int": int, "float": float, "str": str, "bytes": bytes, "None": None}


def holds_only_scalars(bases: tuple[type, ...], namespace: dict[str, Any]) -> bool:
    """Whether fields of its own are declared as scalars or None, and so are those of its bases. A postponed annotation
    is text, and taken for what it says where its names are no others in the module.
    """
    for base in bases:
        if getattr(base, "__struct_fields__", ()) and base.__struct_config__.gc:  # type: ignore[attr-defined]
            return False
    module = vars(sys.modules.get(namespace.get("__module__", ""), builtins))
    return all(_is_scalar(kind, module) for kind in annotations_of(namespace).values())


def _is_scalar(kind: Any, module: dict[str, Any]) -> bool:
    if not isinstance(kind, str):
        return all(arm in _SCALARS or is_timestamp(arm) for arm in arms(kind))
    names = [name.strip() for name in kind.split("|")]
    return all(re.fullmatch(r"\w+", name) and _names_scalar(name, module) for name in names)


def _names_scalar(name: str, module: dict[str, Any]) -> bool:
    meant = module.get(name, _NAMED.get(name))
    return name == "None" or meant is Timestamp or (meant is not None and meant is _NAMED.get(name))
