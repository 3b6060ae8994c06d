"""Keys as bytes: what a key's partition is counted from, so equal keys must give equal bytes.

Text is UTF-8 and bytes are raw, as other Kafka clients write them; everything else is JSON. For keys that Java programs
write or read there are the encodings of Kafka's own Java serializers.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any
from uuid import UUID

from streams.serde.contract import FunctionSerde, Serde
from streams.serde.json import json_serde
from streams.serde.raw import RAW, TEXT
from streams.serde.types import without_none


def key_serde_for(kind: Any = None) -> Serde[Any]:
    """The serde of keys of type `kind`; a serde is taken as it is. `str | None` counts as `str`.

    >>> key_serde_for(str).encode("AA"), key_serde_for(int).encode(7), key_serde_for(tuple[str, int]).encode(("AA", 7))
    (b'AA', b'7', b'["AA",7]')
    """
    kind = without_none(kind)
    if isinstance(kind, Serde):
        return kind
    if kind is str:
        return TEXT
    return RAW if kind is bytes else _json(kind)


@cache
def _json(kind: Any) -> Serde[Any]:
    """One for each type, so that two topics of one key type can tell that they write keys alike."""
    return json_serde(kind, order="deterministic")


def _packed(name: str, format_: str) -> FunctionSerde[int]:
    layout = struct.Struct(format_)
    return FunctionSerde(name, int, layout.pack, lambda data: int(layout.unpack(data)[0]))


JAVA_INT32 = _packed("Java int32", ">i")
"""Kafka's `IntegerSerializer`: 4 bytes, big-endian.

>>> JAVA_INT32.encode(-2)
b'\\xff\\xff\\xff\\xfe'
"""

JAVA_INT64 = _packed("Java int64", ">q")
"""Kafka's `LongSerializer`: 8 bytes, big-endian."""

JAVA_UUID: FunctionSerde[UUID] = FunctionSerde(
    "Java UUID", UUID, lambda value: str(value).encode(), lambda data: UUID(data.decode())
)
"""Kafka's `UUIDSerializer`: the 36 characters as UTF-8."""
