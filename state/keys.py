"""Byte layouts whose order is the order of what they hold, and the layout of a stored value.

| layout | bytes |
|---|---|
| window key | start (int64, big-endian, sign flipped) + key |
| session key | end (the same) + start (the same) + key |
| time index key | timestamp (the same) + key |
| version key | end of its segment (as above) + key + its time (`layers/versioned`) |
| stored value | timestamp (int64, big-endian) + payload |

Time first, so that a window is one sorted block, sessions stand in the order in which they close, and expiry is one
range. (Kafka Streams writes the key first, in `WindowKeySchema` and `SessionKeySchema`; its expiry drops whole segments
instead.)
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from struct import Struct

import numpy as np

from state.api import Stamped

TIME_MIN = -(1 << 63)
TIME_MAX = (1 << 63) - 1

_TIME = Struct(">Q")
_SESSION = Struct(">QQ")
_STAMP = Struct(">q")
_FLIP = 1 << 63


def time_prefix(time_ms: int) -> bytes:
    """Eight bytes that sort as the int64 does.

    >>> time_prefix(-1) < time_prefix(0) < time_prefix(1)
    True
    """
    return _TIME.pack(time_ms + _FLIP)


def window_key(start: int, key: bytes) -> bytes:
    """The store key of a window entry.

    >>> window_key(0, b"AA")
    b'\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x00AA'
    """
    return _TIME.pack(start + _FLIP) + key


def split_window_key(store_key: bytes) -> tuple[int, bytes]:
    """Start and key of a store key.

    >>> split_window_key(window_key(-5, b"AA"))
    (-5, b'AA')
    """
    return _TIME.unpack_from(store_key)[0] - _FLIP, store_key[8:]


def window_block(start: int) -> tuple[bytes, bytes | None]:
    """The range of store keys that holds exactly the window starting there; None: to the end of the store."""
    return time_prefix(start), time_prefix(start + 1) if start < TIME_MAX else None


def session_key(start: int, end: int, key: bytes) -> bytes:
    """The store key of a session.

    >>> session_key(0, 1, b"AA")
    b'\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x00AA'
    """
    return _SESSION.pack(end + _FLIP, start + _FLIP) + key


def split_session_key(store_key: bytes) -> tuple[int, int, bytes]:
    """Start, end and key of a store key.

    >>> split_session_key(session_key(-5, 7, b"AA"))
    (-5, 7, b'AA')
    """
    end, start = _SESSION.unpack_from(store_key)
    return start - _FLIP, end - _FLIP, store_key[16:]


def stamp(payload: bytes, timestamp: int) -> bytes:
    """The stored value.

    >>> unstamp(stamp(b"v", 7))
    (b'v', 7)
    """
    return _STAMP.pack(timestamp) + payload


def unstamp(stored: bytes) -> Stamped:
    """Payload and timestamp of a stored value."""
    return stored[8:], _STAMP.unpack_from(stored)[0]


def stamp_many(payloads: Sequence[bytes | None], timestamps: Sequence[int]) -> list[bytes | None]:
    """The stored values of many payloads; None stays None.

    >>> stamp_many([b"v", None], [7, 8]) == [stamp(b"v", 7), None]
    True
    """
    # One array for all timestamps costs a third of a pack per entry.
    stamps = np.array(timestamps, ">i8").view("V8").tolist()
    if None not in payloads:
        return list(map(add, stamps, payloads))
    return [None if payload is None else at + payload for at, payload in zip(stamps, payloads, strict=True)]
