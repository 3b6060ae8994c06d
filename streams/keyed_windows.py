"""Windows that the records of a key make as they come: sessions and sliding windows. Both ends belong to them."""

from __future__ import annotations

from dataclasses import dataclass

from streams.durations import Duration, format_ms, to_ms
from streams.errors import ConfigError


@dataclass(frozen=True, slots=True, init=False, repr=False)
class SessionWindow:
    """Records of a key that are no more than `gap` apart; a record between two sessions makes them one.

    [first, last], both inclusive. A session is closed when stream time is later than its end + gap + `grace`; a record
    is late if the session it makes, or makes longer, would be closed by then (Kafka's `SessionWindows`).

    >>> SessionWindow("30m", grace="5m")
    SessionWindow('30m', grace='5m')
    """

    gap_ms: int
    grace_ms: int

    def __init__(self, gap: Duration, grace: Duration = 0) -> None:
        gap_ms = to_ms(gap, "gap")
        if gap_ms == 0:
            raise ConfigError("a session needs a gap of at least a millisecond: records closer than that belong to it.")
        object.__setattr__(self, "gap_ms", gap_ms)
        object.__setattr__(self, "grace_ms", to_ms(grace, "grace"))

    def __repr__(self) -> str:
        return f"SessionWindow({format_ms(self.gap_ms)!r}{_grace_text(self.grace_ms)})"

    @property
    def retention_ms(self) -> int:
        """How long a session is of use, counted from its end: gap + grace."""
        return self.gap_ms + self.grace_ms

    @property
    def shape(self) -> list[object]:
        """What a store of such windows cannot do without."""
        return ["session", self.gap_ms]


@dataclass(frozen=True, slots=True, init=False, repr=False)
class SlidingWindow:
    """Every set of records of a key that lie within `difference`: each record ends a window, and begins one if another
    follows in time.

    [start, start + difference], both inclusive. A window is closed when stream time is later than its end + `grace`
    (Kafka's `SlidingWindows`). No window starts before 1970: records of its first `difference` share one.

    >>> SlidingWindow("10m", grace="1m")
    SlidingWindow('10m', grace='1m')
    """

    difference_ms: int
    grace_ms: int

    def __init__(self, difference: Duration, grace: Duration = 0) -> None:
        object.__setattr__(self, "difference_ms", to_ms(difference, "difference"))
        object.__setattr__(self, "grace_ms", to_ms(grace, "grace"))

    def __repr__(self) -> str:
        return f"SlidingWindow({format_ms(self.difference_ms)!r}{_grace_text(self.grace_ms)})"

    @property
    def size_ms(self) -> int:
        return self.difference_ms

    @property
    def retention_ms(self) -> int:
        """How long a window is of use, counted from its start: a record may still begin the window behind the last
        record of one that ended before it.
        """
        return 2 * self.difference_ms + self.grace_ms

    @property
    def shape(self) -> list[object]:
        """What a store of such windows cannot do without."""
        return ["sliding", self.difference_ms]

    def end(self, start: int) -> int:
        """The end of the window that starts there (ms), inclusive.

        >>> SlidingWindow(10).end(5)
        10005
        """
        return start + self.difference_ms


def _grace_text(grace_ms: int) -> str:
    return f", grace={format_ms(grace_ms)!r}" if grace_ms else ""
