"""How near in time two records of two streams have to be to meet."""

from __future__ import annotations

from dataclasses import dataclass

from streams.durations import Duration, format_ms, to_ms
from streams.errors import ConfigError


@dataclass(frozen=True, slots=True, init=False, repr=False)
class JoinWindow:
    """A left record at t meets right records in [t - before, t + after], both ends included.

    `JoinWindow("5m")` sets both; `before=` and `after=` set one, and what is not said is zero. One of them may be
    negative, as long as the window is not empty: `before="-1m", after="5m"` is from one to five minutes later. `grace`
    is how long a record is waited for beyond its window. Rules are those of Kafka's `JoinWindows`.

    >>> JoinWindow("5m", grace="1m")
    JoinWindow(before='5m', after='5m', grace='1m')
    >>> JoinWindow(before="-1m", after="5m").after_ms
    300000
    """

    before_ms: int
    after_ms: int
    grace_ms: int

    def __init__(
        self,
        difference: Duration | None = None,
        *,
        before: Duration | None = None,
        after: Duration | None = None,
        grace: Duration = 0,
    ) -> None:
        if difference is None and before is None and after is None:
            raise ConfigError(
                'a join window needs its width: JoinWindow("5m"), or JoinWindow(before="5m", after="0s").'
            )
        both = 0 if difference is None else to_ms(difference, "difference")
        before_ms = both if before is None else to_ms(before, "before", negative=True)
        after_ms = both if after is None else to_ms(after, "after", negative=True)
        if before_ms + after_ms < 0:
            raise ConfigError(
                f"before={format_ms(before_ms)} and after={format_ms(after_ms)} leave no time between them, so nothing "
                "could meet: their sum must be zero or more."
            )
        object.__setattr__(self, "before_ms", before_ms)
        object.__setattr__(self, "after_ms", after_ms)
        object.__setattr__(self, "grace_ms", to_ms(grace, "grace"))

    def __repr__(self) -> str:
        grace = f", grace={format_ms(self.grace_ms)!r}" if self.grace_ms else ""
        return f"JoinWindow(before={format_ms(self.before_ms)!r}, after={format_ms(self.after_ms)!r}{grace})"
