"""The values as an app of ours declares them."""

from __future__ import annotations

import streams


class Event(streams.Record):
    """A value of `events` or `messy`."""

    user: str
    ts: int
    amount: float | None = None


class User(streams.Record):
    """A value of `users`."""

    user: str
    ts: int
    amount: float | None = None


class Enriched(streams.Record):
    """An event with what the table knows about its user."""

    user: str
    ts: int
    amount: float | None
    limit: float
