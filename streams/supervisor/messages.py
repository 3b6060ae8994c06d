"""What supervisor and workers tell each other: a JSON object a line."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.runtime.observer import Progress, Started, Stopped


class Began(msgspec.Struct, tag=True, frozen=True):
    """A worker runs; the broker's process has nothing to say about an app."""

    info: Started | None = None


class Moved(msgspec.Struct, tag=True, frozen=True):
    """How far a worker is."""

    progress: Progress


class AtEnd(msgspec.Struct, tag=True, frozen=True):
    """A worker has nothing left to do, as of the question `wave`; `moved` grows with everything that it does."""

    wave: int
    moved: int


class Broke(msgspec.Struct, tag=True, frozen=True):
    """A worker is about to end because of this."""

    error: str


class Closed(msgspec.Struct, tag=True, frozen=True):
    """A worker has let go of everything."""

    summary: Stopped


Status = Began | Moved | AtEnd | Broke | Closed
"""From a worker to its supervisor."""


class Check(msgspec.Struct, tag=True, frozen=True):
    """Say so when you are at the end."""

    wave: int


class Finish(msgspec.Struct, tag=True, frozen=True):
    """All are at the end."""


Order = Check | Finish
"""From the supervisor to a worker."""


def to_line(message: Status | Order) -> bytes:
    """
    >>> to_line(Check(2))
    b'{"type":"Check","wave":2}\\n'
    """
    return msgspec.json.encode(message, enc_hook=_number) + b"\n"


def to_status(line: bytes) -> Status:
    """
    >>> to_status(to_line(AtEnd(2, moved=5)))
    AtEnd(wave=2, moved=5)
    """
    return _status.decode(line)


def to_order(line: bytes) -> Order:
    """
    >>> to_order(to_line(Finish()))
    Finish()
    """
    return _order.decode(line)


def _number(value: Any) -> int | float:
    """Figures may be numpy's."""
    found: int | float = value.item()
    return found


_status: msgspec.json.Decoder[Status] = msgspec.json.Decoder(Status)
_order: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
