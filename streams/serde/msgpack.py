"""MessagePack by msgspec: what aggregates are stored as unless a serde is given."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.errors import EncodeError
from streams.serde.contract import FunctionSerde
from streams.serde.types import checked_class, checked_type

_COMES_BACK = (bool, int, float, str, bytes, list, dict)
"""Types that an untyped decoder gives back as they were."""


def msgpack_serde(kind: Any = Any) -> FunctionSerde[Any]:
    """MessagePack of values of type `kind`.

    Without a type only plain values are taken: a tuple or a Record would come back as a list or a dict.

    >>> serde = msgpack_serde(tuple[int, float])
    >>> serde.decode(serde.encode((1, 2.5)))
    (1, 2.5)
    >>> msgpack_serde().encode((1, 2.5))
    Traceback (most recent call last):
    streams.errors.EncodeError: a tuple is stored without a declared type, and would be read back as another. Say \
what it is, as in value_type=tuple[int, float].
    """
    encode = msgspec.msgpack.Encoder().encode
    decoder = msgspec.msgpack.Decoder(checked_type(kind, "MessagePack"))
    untyped = kind is Any or kind is None

    def encode_plain(value: Any) -> bytes:
        if type(value) not in _COMES_BACK:
            raise EncodeError(
                f"a {type(value).__name__} is stored without a declared type, and would be read back as another. "
                "Say what it is, as in value_type=tuple[int, float]."
            )
        return encode(value)

    return FunctionSerde("msgpack", checked_class(kind), encode_plain if untyped else encode, decoder.decode)
