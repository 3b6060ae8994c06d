"""Changes of a table as values of a topic: the new and the old value in one record."""

from __future__ import annotations

from typing import Any, NamedTuple

from streams.serde.contract import Serde

_OLD, _NEW, _BOTH = 0, 1, 2


class Change(NamedTuple):
    """What a row is now, and what it was; None: it is not there, or was not."""

    new: Any
    old: Any


class ChangeSerde(Serde[Change]):
    """Values through `values`, in Kafka Streams' layout (`ChangedSerializer`): a last byte says what is there; of both,
    the length of the new one comes first, as a zigzag varint.

    >>> from streams.serde import TEXT
    >>> serde = ChangeSerde(TEXT)
    >>> serde.encode(Change("new", "old")), serde.encode(Change(None, "old"))
    (b'\\x06newold\\x02', b'old\\x00')
    >>> serde.decode(serde.encode(Change("new", "old")))
    Change(new='new', old='old')
    """

    def __init__(self, values: Serde[Any]) -> None:
        self._values = values

    def encode(self, value: Change) -> bytes:
        encode = self._values.encode
        if value.old is None:
            return encode(value.new) + bytes((_NEW,))
        if value.new is None:
            return encode(value.old) + bytes((_OLD,))
        new = encode(value.new)
        return _varint(len(new)) + new + encode(value.old) + bytes((_BOTH,))

    def decode(self, data: bytes) -> Change:
        decode, flag = self._values.decode, data[-1]
        if flag == _NEW:
            return Change(decode(data[:-1]), None)
        if flag == _OLD:
            return Change(None, decode(data[:-1]))
        if flag != _BOTH:
            raise ValueError(f"a change of a table ends with 0, 1 or 2, not {flag}")
        length, at = _read_varint(data)
        return Change(decode(data[at : at + length]), decode(data[at + length : -1]))


def _varint(number: int) -> bytes:
    number <<= 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _read_varint(data: bytes) -> tuple[int, int]:
    """The number at the beginning of `data`, and where it ends."""
    number = 0
    for at, byte in enumerate(data):
        number |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return number >> 1, at + 1
    raise ValueError("a length without an end")
