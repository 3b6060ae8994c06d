"""What the bounds decode and encode: msgspec structs, nothing of ours."""

from __future__ import annotations

import msgspec


class PlainEvent(msgspec.Struct):
    """A value of `events` or `messy`."""

    user: str
    ts: int
    amount: float | None = None
