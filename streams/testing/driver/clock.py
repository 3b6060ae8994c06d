"""A clock that stands still until it is told to move."""

from __future__ import annotations

from collections.abc import Callable

from streams.durations import Duration, to_ms
from streams.errors import ConfigError


class Clock:
    """The wall clock of a test, in ms; drivers that go by it do what falls due when it moves.

    >>> clock = Clock()
    >>> clock.advance("1h")
    >>> clock.now_ms
    3600000
    """

    def __init__(self, now_ms: int = 0) -> None:
        self.now_ms = now_ms
        self._followers: list[Callable[[int], None]] = []

    def __repr__(self) -> str:
        return f"<Clock at {self.now_ms} ms>"

    def advance(self, by: Duration) -> None:
        """Moves on by a duration: seconds, a timedelta, or text such as "10s"."""
        self.move_to(self.now_ms + to_ms(by, "by"))

    def move_to(self, at_ms: int) -> None:
        """Moves on to a time. Raises ConfigError for one that is past."""
        if at_ms < self.now_ms:
            raise ConfigError(f"the clock shows {self.now_ms} ms and does not go back to {at_ms}")
        for follow in list(self._followers):
            follow(at_ms)
        self.now_ms = max(self.now_ms, at_ms)

    def follow(self, with_time: Callable[[int], None]) -> Callable[[], None]:
        """Calls `with_time(at_ms)` before the clock moves there; it may move the clock itself, by `now_ms`, on the way.
        Returns the way to end that.
        """
        self._followers.append(with_time)
        return lambda: self._followers.remove(with_time)
