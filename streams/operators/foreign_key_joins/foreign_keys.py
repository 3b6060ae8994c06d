"""What the two sides of a join by foreign key tell each other: subscriptions and answers, as bytes.

The rules are Kafka Streams' (`foreignkeyjoin.SubscriptionWrapper`, `SubscriptionResponseWrapper`, `CombinedKeySchema`);
the bytes are ours: MessagePack.

An answer counts only if the left value is still the one that asked, which its hash tells. A row that changes several
times in one batch would so get one answer only, and the size of a batch would show: there the hash is that of the last
value of the batch, and those before it travel along.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from struct import Struct
from typing import Any

import msgspec

from streams.errors import DecodeError, EncodeError
from streams.serde import Serde, serde_for
from streams.serde.types import without_none

VERSION = 0
BY_KEY = -1
"""The record goes to the partition of its key."""
NO_HASH = bytes(16)
"""In place of the hash of a value that is not there."""

END = 0
"""The subscription ends; nobody waits for an answer."""
END_AND_TELL = 1
"""The subscription ends, and the answer is that there is nothing."""
TELL = 2
"""A subscription; the answer is what there is, even if that is nothing."""
TELL_IF_THERE = 3
"""A subscription; it is answered only if there is something."""

_KEPT = Struct(">i16s")
_LENGTH = Struct(">I")

Fingerprint = Callable[[Any], bytes]


class Routed(msgspec.Struct, array_like=True, frozen=True):
    """What both begin with: the partition that a record goes to, BY_KEY for that of its key."""

    version: int
    to: int


class Subscription(msgspec.Struct, array_like=True, frozen=True):
    """`partition` is the one that asks, `key` the left row's key, `hash` that of its value. `superseded`: another value
    of the same row went out with it, whose hash it is; `left` is the value that asks.
    """

    version: int
    to: int
    instruction: int
    partition: int
    hash: bytes
    key: bytes
    superseded: bool = False
    left: bytes | None = None


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """`value` is the right table's, None for none; the rest is as the subscription had it."""

    version: int
    to: int
    hash: bytes
    value: bytes | None
    superseded: bool = False
    left: bytes | None = None


encode = msgspec.msgpack.Encoder().encode
"""A subscription or answer as bytes.

>>> read_route(encode(Answer(VERSION, 3, NO_HASH, b"AA")))
3
"""
_read_routed = msgspec.msgpack.Decoder(Routed).decode
_read_subscription = msgspec.msgpack.Decoder(Subscription).decode
_read_answer = msgspec.msgpack.Decoder(Answer).decode


def read_route(data: bytes) -> int:
    """The partition that a record says it goes to."""
    return _read_routed(data).to


def read_subscription(data: bytes) -> Subscription:
    """What `encode` made of it. Raises DecodeError for one of a newer version."""
    return _read_subscription(_checked(data))


def read_answer(data: bytes) -> Answer:
    """What `encode` made of it. Raises DecodeError for one of a newer version."""
    return _read_answer(_checked(data))


def _checked(data: bytes) -> bytes:
    version = _read_routed(data).version
    if version != VERSION:
        raise DecodeError(
            f"a record between the sides of a join by foreign key has version {version}; this is version {VERSION}. "
            "A newer worker of this app has written it: update this one."
        )
    return data


# -- the store of subscriptions


def block(foreign_key: bytes) -> tuple[bytes, bytes]:
    """Where the subscriptions to a foreign key stand in the store: from the first to before the second.

    >>> low, high = block(b"AA")
    >>> low <= stored_key(b"AA", b"") < stored_key(b"AA", b"zz") < high <= stored_key(b"AB", b"")
    True
    """
    low = _LENGTH.pack(len(foreign_key)) + foreign_key
    return low, (int.from_bytes(low, "big") + 1).to_bytes(len(low), "big")


def stored_key(foreign_key: bytes, key: bytes) -> bytes:
    """The store key of one subscription: length of the foreign key, foreign key, key."""
    return _LENGTH.pack(len(foreign_key)) + foreign_key + key


def stored_value(subscription: Subscription) -> bytes:
    """What is kept of a subscription besides its keys."""
    return _KEPT.pack(subscription.partition, subscription.hash)


def read_stored(value: bytes) -> tuple[int, bytes]:
    """The partition that subscribed, and the hash of the value that it had.

    >>> read_stored(stored_value(Subscription(VERSION, BY_KEY, TELL, 3, NO_HASH, b"order-7"))) == (3, NO_HASH)
    True
    """
    partition, hash_ = _KEPT.unpack(value)
    return partition, hash_


# -- has the value changed since?


def fingerprint_for(value_type: Any) -> Fingerprint:
    """A function from a value to 16 bytes: the same for a value and for what a store or a topic makes of it.

    >>> fingerprint = fingerprint_for(float)
    >>> fingerprint(1) == fingerprint(1.0) != fingerprint(2.0)
    True
    """
    kind = without_none(value_type)
    if isinstance(kind, Serde):
        return lambda value: _hash(kind.encode(value))
    write = msgspec.msgpack.Encoder(order="deterministic").encode
    if kind is None or kind is Any or isinstance(kind, str) or kind in (int, str, bytes, bool):
        return lambda value: _hash(_encoded(write, value))
    decode = msgspec.msgpack.Decoder(kind).decode
    return lambda value: _hash(write(decode(_encoded(write, value))))


def _encoded(write: Callable[[Any], bytes], value: Any) -> bytes:
    try:
        return write(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(
            f"a {type(value).__name__} cannot be told from others by its content: {error}. Declare what it is with "
            "value_type=, or give a serde."
        ) from error


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def transport_serde(value_type: Any) -> Serde[Any]:
    """How a table's values travel to the other side."""
    return serde_for(value_type, default="msgpack")
