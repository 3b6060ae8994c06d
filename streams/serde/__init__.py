"""Values to bytes and back. `serde_for` and `key_serde_for` choose by type; a `Serde` goes wherever a type does."""

from __future__ import annotations

from typing import Any

from streams.errors import ConfigError, did_you_mean
from streams.serde.contract import FunctionSerde, HeaderSerde, Serde
from streams.serde.json import json_serde
from streams.serde.keys import JAVA_INT32, JAVA_INT64, JAVA_UUID, key_serde_for
from streams.serde.msgpack import msgpack_serde
from streams.serde.raw import RAW, TEXT
from streams.serde.types import without_none

__all__ = [
    "JAVA_INT32",
    "JAVA_INT64",
    "JAVA_UUID",
    "RAW",
    "TEXT",
    "FunctionSerde",
    "HeaderSerde",
    "Serde",
    "json_serde",
    "key_serde_for",
    "msgpack_serde",
    "serde_for",
]

_FORMATS = {"json": json_serde, "msgpack": msgpack_serde}
_NAMED: dict[str, FunctionSerde[Any]] = {"raw": RAW, "text": TEXT}


def serde_for(kind: Any = None, default: str = "json") -> Serde[Any]:
    """The serde of values of type `kind`: bytes raw, str as UTF-8 text, the rest as `default` ("json" or "msgpack").

    `kind` may also be a serde, which is taken as it is, or the name of one: "json", "msgpack", "raw", "text". None is
    any value. `int | None` counts as `int`, as null never reaches a serde.

    >>> serde_for(str).encode("late"), serde_for(dict[str, int]).encode({"AA": 1}), serde_for().decode(b"[1, null]")
    (b'late', b'{"AA":1}', [1, None])
    """
    kind = without_none(kind)
    if isinstance(kind, Serde):
        return kind
    if isinstance(kind, str):
        return _named(kind)
    if kind in (str, bytes):
        return TEXT if kind is str else RAW
    return _FORMATS[default](kind)


def _named(name: str) -> Serde[Any]:
    if name in _NAMED:
        return _NAMED[name]
    if name in _FORMATS:
        return _FORMATS[name]()
    known = [*_FORMATS, *_NAMED]
    raise ConfigError(f"no serde is called {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
