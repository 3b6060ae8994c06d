"""Windows that no step of so many milliseconds gives: of the calendar, without an end, and a base for one's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar, get_args, overload
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.durations import Duration, format_ms, to_ms
from streams.errors import ConfigError
from streams.graph.functions import caller

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")

TIME_MAX = 2**63 - 1
Unit = Literal["day", "week", "month", "year"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = -(2**62)
_LONGEST_DAYS = {"day": 2, "week": 8, "month": 32, "year": 367}
"""No window is longer: a clock change adds less than a day."""
_LAST_YEAR = 9998
"""The calendar ends with year 9999; later times have no window."""
_KNOWN_MAX = 100_000


class Windows(ABC):
    """A base for windows of one's own (Kafka's `Windows`): say which windows hold a time, and the rest follows.

    `size_ms` is the size of the longest. A window that starts before another must not end after it.

    >>> class Shifts(Windows):
    ...     size_ms = 8 * 3_600_000
    ...     def windows_for(self, timestamp):
    ...         start = (timestamp - 6 * 3_600_000) // self.size_ms * self.size_ms + 6 * 3_600_000
    ...         return [(start, start + self.size_ms)]
    >>> Shifts().end(6 * 3_600_000) // 3_600_000
    14
    """

    size_ms: int
    grace_ms: int = 0
    step_ms: int = 1
    """Starts are multiples of it apart."""

    @abstractmethod
    def windows_for(self, timestamp: int) -> list[tuple[int, int]]:
        """(start, end) of every window that holds `timestamp` (ms), earliest first; the end is exclusive."""

    @property
    def retention_ms(self) -> int:
        """How long a window is of use, counted from its start: size + grace."""
        return self.size_ms + self.grace_ms

    @property
    def shape(self) -> list[object]:
        """What a store of such windows cannot do without."""
        return [type(self).__name__, self.size_ms]

    def end(self, start: int) -> int:
        """The end of the window that starts there (ms), exclusive."""
        return next((end for found, end in self.windows_for(start) if found == start), start + self.size_ms)

    def assign(self, timestamps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """`windows_for` on an array of ms: (row, window start) of every pair, by row, earliest window first."""
        import numpy as np

        known: dict[int, list[int]] = {}
        rows: list[int] = []
        starts: list[int] = []
        for row, time in enumerate(timestamps.tolist()):
            found = known.get(time)
            if found is None:
                found = known[time] = [start for start, _ in self.windows_for(time)] if time >= 0 else []
            rows += [row] * len(found)
            starts += found
        return np.array(rows, np.int64), np.array(starts, np.int64)

    def without(self, timestamps: npt.NDArray[np.int64]) -> int:
        """How many of the times (ms) are in no window."""
        return len(timestamps) - len(set(self.assign(timestamps)[0].tolist()))

    @overload
    def closed_start(self, stream_time: int) -> int: ...
    @overload
    def closed_start(self, stream_time: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]: ...
    def closed_start(self, stream_time: int | npt.NDArray[np.int64]) -> int | npt.NDArray[np.int64]:
        """The latest start that is closed at `stream_time` (ms): every window that starts there or earlier is closed.
        An array gives one for each time in it.
        """
        if isinstance(stream_time, int):
            return self._closed(stream_time)
        import numpy as np

        times, which = np.unique(stream_time, return_inverse=True)
        return np.array([self._closed(time) for time in times.tolist()], np.int64)[which]

    def _closed(self, stream_time: int) -> int:
        if stream_time - self.grace_ms < 0:
            return _NEVER
        open_ = self.windows_for(stream_time - self.grace_ms)
        return open_[0][0] - 1 if open_ else stream_time - self.grace_ms


class UnlimitedWindow(Windows):
    """One window [start, without end): nothing in it is ever late, and it never closes (Kafka's `UnlimitedWindows`).

    `start` is in ms since 1970, or a datetime with a time zone; records before it have no window.

    >>> UnlimitedWindow(start=5).windows_for(4), UnlimitedWindow(start=5).windows_for(7)
    ([], [(5, 9223372036854775807)])
    """

    size_ms = TIME_MAX

    def __init__(self, start: int | datetime | timedelta = 0, *, grace: None = None) -> None:
        if grace is not None:
            raise ConfigError(
                f"UnlimitedWindow(grace={grace!r}) at {caller()}: it never closes, so there is no grace; leave it out."
            )
        if isinstance(start, datetime) and start.tzinfo is not None:
            start -= _EPOCH
        if isinstance(start, timedelta):
            start = start // timedelta(milliseconds=1)
        if not isinstance(start, int) or start < 0:
            raise ConfigError(f"start={start!r}: give ms since 1970, zero or more, or a datetime with a time zone.")
        self.start: int = start

    def __repr__(self) -> str:
        return f"UnlimitedWindow(start={self.start})"

    @property
    def retention_ms(self) -> int:
        return TIME_MAX

    @property
    def shape(self) -> list[object]:
        return ["unlimited", self.start]

    def windows_for(self, timestamp: int) -> list[tuple[int, int]]:
        return [(self.start, TIME_MAX)] if timestamp >= self.start else []

    def end(self, start: int) -> int:
        return TIME_MAX

    def assign(self, timestamps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        import numpy as np

        rows = np.flatnonzero(timestamps >= self.start)
        return rows, np.full(len(rows), self.start, np.int64)

    def _closed(self, stream_time: int) -> int:
        return _NEVER


class CalendarWindow(Windows):
    """Days, weeks (from Monday), months or years by the clock of a place: a day has 23 or 25 hours where clocks change.

    A window takes records until stream time reaches its end + `grace`. Times before 1970 and after 9998 have none.
    Kafka Streams has no such windows.

    >>> days = CalendarWindow("day", tz="Europe/Berlin")
    >>> [(end - start) // 3_600_000 for start, end in days.windows_for(1_711_843_200_000)]  # 31 March 2024
    [23]
    """

    step_ms = 1_000  # offsets of time zones are whole seconds

    def __init__(self, unit: Unit, tz: str = "UTC", grace: Duration = 0) -> None:
        if unit not in get_args(Unit):
            raise ConfigError(f"CalendarWindow({unit!r}): give one of {', '.join(map(repr, get_args(Unit)))}.")
        try:
            self._zone = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
            raise ConfigError(
                f"tz={tz!r} is no time zone known here; write one such as 'Europe/Berlin'. Where the system has no "
                "list of time zones, `pip install tzdata` brings one."
            ) from error
        self.unit: Unit = unit
        self.tz = tz
        self.grace_ms = to_ms(grace, "grace")
        self.size_ms = _LONGEST_DAYS[unit] * 86_400_000
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __repr__(self) -> str:
        grace = f", grace={format_ms(self.grace_ms)!r}" if self.grace_ms else ""
        return f"CalendarWindow({self.unit!r}, tz={self.tz!r}{grace})"

    @property
    def shape(self) -> list[object]:
        return [self.unit, self.tz]

    def windows_for(self, timestamp: int) -> list[tuple[int, int]]:
        """(start, end) of the window that holds `timestamp` (ms)."""
        at = bisect_right(self._starts, timestamp) - 1
        if at < 0 or timestamp >= self._ends[at]:
            found = self._find(timestamp)
            if found is None:
                return []
            if len(self._starts) >= _KNOWN_MAX:
                self._starts, self._ends = [], []
            at = bisect_right(self._starts, found[0])
            self._starts.insert(at, found[0])
            self._ends.insert(at, found[1])
        return [(self._starts[at], self._ends[at])]

    def assign(self, timestamps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        import numpy as np

        assigned = np.full(len(timestamps), _NEVER, np.int64)
        left = np.flatnonzero(timestamps >= 0)
        while len(left):
            first = int(timestamps[left[0]])
            found = self.windows_for(first)
            if found:
                start, end = found[0]
                inside = (timestamps[left] >= start) & (timestamps[left] < end)
                assigned[left[inside]] = start
            else:
                inside = timestamps[left] >= first  # the calendar has come to its end
            left = left[~inside]
        rows = np.flatnonzero(assigned != _NEVER)
        return rows, assigned[rows]

    def _find(self, timestamp: int) -> tuple[int, int] | None:
        """The window as the calendar has it. Where clocks go back over midnight a day's last hour comes after the next
        day has begun, and some days never were: so it is looked for from the day before.
        """
        if timestamp < 0:
            return None
        try:
            local = (_EPOCH + timedelta(milliseconds=timestamp)).astimezone(self._zone)
        except OverflowError:
            return None
        if local.year > _LAST_YEAR:
            return None
        first = self._first_day(local.date() - timedelta(days=1))
        start, end = self._midnight(first), self._midnight(self._next(first))
        while timestamp >= end:
            first = self._next(first)
            start, end = end, self._midnight(self._next(first))
        return start, end

    def _first_day(self, day: date) -> date:
        if self.unit == "day":
            return day
        if self.unit == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self.unit == "month" else day.replace(month=1, day=1)

    def _next(self, first: date) -> date:
        if self.unit in ("day", "week"):
            return first + timedelta(days=1 if self.unit == "day" else 7)
        return self._first_day(first + timedelta(days=_LONGEST_DAYS[self.unit]))

    def _midnight(self, day: date) -> int:
        """When the day begins: the first of two midnights; where there is none, the moment at which it is left out."""
        local = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        return (local - _EPOCH) // timedelta(milliseconds=1)
