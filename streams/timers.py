"""When timers and crontabs are due, and the loop that calls them.

Time is an input everywhere: the clock and the way to wait are given, so the test driver runs this code on virtual time.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.durations import Duration, format_ms, to_ms
from streams.errors import ConfigError, UserCodeError

Sleep = Callable[[float], Awaitable[Any]]
"""Waits that many seconds, as `asyncio.sleep` does."""


class Schedule(Protocol):
    """Tells when something is due."""

    def next_after(self, now_ms: int) -> int:
        """The first time (ms since 1970) after `now_ms`."""


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Timer:
    """Due every `interval`, counted from when it was due last.

    >>> Timer("30s").next_after(1_000)
    31000
    """

    interval_ms: int

    def __init__(self, interval: Duration) -> None:
        interval_ms = to_ms(interval, "interval")
        if interval_ms == 0:
            raise ConfigError("interval=0: a timer needs an interval of at least a millisecond.")
        object.__setattr__(self, "interval_ms", interval_ms)

    def __repr__(self) -> str:
        return f"Timer({format_ms(self.interval_ms)!r})"

    def next_after(self, now_ms: int) -> int:
        return now_ms + self.interval_ms


class Crontab:
    """Due when the clock of `timezone` (a name or a tzinfo; UTC unless given) shows a time that `expression` matches.

    When clocks go forward, times that do not exist are passed over. When they go back, an hour is on the clock twice:
    an expression with an hour of its own is due in the first only; one that runs in every hour (`*` as hour, or a step
    from `*`) goes on in both, so "every five minutes" stays that. This is the rule of Vixie cron for wildcard jobs.

    >>> Crontab("0 6 * * *", timezone="Europe/Berlin").next_after(0)
    18000000
    """

    def __init__(self, expression: str, timezone: str | tzinfo | None = None) -> None:
        from croniter import croniter

        if len(expression.split()) != 5 or not croniter.is_valid(expression):
            raise ConfigError(
                f"{expression!r} is not a crontab expression. Write five fields: minute, hour, day of month, month, "
                "day of week, such as '0 6 * * *' (six every morning) or '*/5 * * * 1-5'."
            )
        self.expression = expression
        self.timezone = _zone(timezone)
        self._every_hour = expression.split()[1].startswith("*")
        self._croniter = croniter

    def __repr__(self) -> str:
        return f"Crontab({self.expression!r}, timezone={str(self.timezone)!r})"

    def next_after(self, now_ms: int) -> int:
        after = _instant(now_ms // 1000)
        offset = self._offset(after)
        while True:
            local = self._croniter(self.expression, (after + offset).replace(tzinfo=None)).get_next(datetime)
            due = local.replace(tzinfo=UTC) - offset
            if self._offset(due) != offset:
                # The clock changes before: go on from there by the new clock, the moment of the change included.
                change = self._change(after, due, offset)
                after, offset = change - timedelta(seconds=1), self._offset(change)
            elif due.astimezone(self.timezone).fold and not self._every_hour:
                after = due
            else:
                return int(due.timestamp()) * 1000

    def _offset(self, instant: datetime) -> timedelta:
        offset = instant.astimezone(self.timezone).utcoffset()
        return timedelta() if offset is None else offset

    def _change(self, low: datetime, high: datetime, offset: timedelta) -> datetime:
        """The first second with another offset, between `low` (which has `offset`) and `high` (which has not)."""
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
            if self._offset(middle) == offset:
                low = middle
            else:
                high = middle
        return high


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _zone(zone: str | tzinfo | None) -> tzinfo:
    if zone is None:
        return UTC
    if isinstance(zone, tzinfo):
        return zone
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(
            f"timezone={zone!r} is not known here. Give a name such as 'Europe/Berlin' or a tzinfo; "
            "where the system has no time zones, `pip install tzdata`."
        ) from error


@dataclass(frozen=True, slots=True)
class TimerCall:
    """A function without arguments, and when to call it; with `on_leader` by one worker of the app only. `name` and
    `where` are for messages.
    """

    name: str
    schedule: Schedule
    function: Callable[[], Any]
    where: str = ""
    on_leader: bool = False


def _next(schedule: Schedule, due_ms: int, now_ms: int) -> int:
    """The next time after now, on the grid of the last one, so that a timer does not drift."""
    if isinstance(schedule, Timer):
        return due_ms + ((now_ms - due_ms) // schedule.interval_ms + 1) * schedule.interval_ms
    return schedule.next_after(now_ms)


async def call_timer(call: TimerCall) -> None:
    """Call a timer's function, plain or async. What it raises comes out as UserCodeError with the user's line."""
    try:
        result = call.function()
        if inspect.isawaitable(result):
            await result
    except Exception as error:
        raise UserCodeError(error, step=f"timer {call.name}") from error


def _first(call: TimerCall, now_ms: int) -> int:
    """When a timer is due for the first time. Of those that only the leader calls every worker keeps the same times, so
    that a new leader goes on where the old one was.
    """
    if call.on_leader and isinstance(call.schedule, Timer):
        return _next(call.schedule, 0, now_ms)
    return call.schedule.next_after(now_ms)


async def run_timers(
    calls: Iterable[TimerCall],
    now_ms: Callable[[], int],
    sleep: Sleep = asyncio.sleep,
    is_leader: Callable[[], bool] = lambda: True,
) -> None:
    """Call the timers when they are due, until cancelled or until one raises (UserCodeError).

    A slow timer holds up no other; what falls due while its own last call still runs is left out, and it stays on its
    grid. When one raises, the others are cancelled.

    One for the leader is due everywhere at the same times, and called where `is_leader` says so at that moment: as
    leadership moves, a time is neither left out nor called for twice, as long as the clocks agree and whoever was the
    leader has heard that it is no longer.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(_run_timer(call, now_ms, sleep, is_leader), name=f"timer {call.name}")
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _run_timer(call: TimerCall, now_ms: Callable[[], int], sleep: Sleep, is_leader: Callable[[], bool]) -> None:
    due_ms = _first(call, now_ms())
    while True:
        while (now := now_ms()) < due_ms:
            if isinstance(call.schedule, Timer):  # a clock that is set back does not hold up what comes by interval
                due_ms = min(due_ms, _first(call, now))
            await sleep((due_ms - now) / 1000)
        if not call.on_leader or is_leader():
            await call_timer(call)
        due_ms = _next(call.schedule, due_ms, now_ms())
