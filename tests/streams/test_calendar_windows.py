"""Windows of the calendar, without an end, and of one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.calendar_windows import CalendarWindow, UnlimitedWindow, Windows
from streams.errors import ConfigError

HOUR = 3_600_000


def ms(text: str, tz: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("unit", "tz", "at", "start", "end"),
    [
        ("day", "UTC", "2024-02-29T23:59:59.999", "2024-02-29", "2024-03-01"),
        ("day", "Europe/Berlin", "2024-03-31T12:00", "2024-03-31", "2024-04-01"),  # 23 hours
        ("day", "Europe/Berlin", "2024-10-27T12:00", "2024-10-27", "2024-10-28"),  # 25 hours
        ("day", "America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T01:00", "2018-11-05"),  # no midnight
        ("day", "America/Havana", "2024-11-03T12:00", "2024-11-03", "2024-11-04"),  # two midnights: the first
        ("day", "Pacific/Apia", "2011-12-31T12:00", "2011-12-31", "2012-01-01"),  # the 30th never was
        ("week", "Europe/Berlin", "2024-12-29T12:00", "2024-12-23", "2024-12-30"),
        ("week", "Europe/Berlin", "2024-12-30T00:00", "2024-12-30", "2025-01-06"),
        ("month", "Asia/Kathmandu", "2023-02-01T00:00", "2023-02-01", "2023-03-01"),
        ("year", "America/New_York", "2024-12-31T23:59", "2024-01-01", "2025-01-01"),
        ("day", "Europe/Berlin", "1970-01-01T12:00", "1970-01-01", "1970-01-02"),  # begins an hour before 1970
    ],
)
def test_the_window_of_a_time(unit: Any, tz: str, at: str, start: str, end: str) -> None:
    window = CalendarWindow(unit, tz=tz)
    found = ms(start, tz), ms(end, tz)
    assert window.windows_for(ms(at, tz)) == [found]
    assert window.windows_for(found[1] - 1) == [found] and window.windows_for(found[1])[0][0] == found[1]
    assert window.end(found[0]) == found[1]


def test_days_have_23_and_25_hours() -> None:
    days = CalendarWindow("day", tz="Europe/Berlin")
    sizes = {end - start for day in range(366) for start, end in days.windows_for(ms("2024-01-01") + day * 24 * HOUR)}
    assert sizes == {23 * HOUR, 24 * HOUR, 25 * HOUR}


ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Monrovia", "America/Havana"]


@settings(max_examples=60, deadline=None)
@given(
    unit=st.sampled_from(["day", "week", "month", "year"]),
    tz=st.sampled_from(ZONES),
    times=st.lists(st.integers(-1, 2_000_000_000_000), min_size=1, max_size=20),
    grace=st.integers(0, 10**9),
)
def test_on_arrays_it_is_the_same(unit: Any, tz: str, times: list[int], grace: int) -> None:
    window = CalendarWindow(unit, tz=tz, grace=timedelta(milliseconds=grace))
    rows, starts = window.assign(np.array(times))
    singly = [
        (row, start) for row, time in enumerate(times) for start, _ in CalendarWindow(unit, tz=tz).windows_for(time)
    ]
    assert list(zip(rows.tolist(), starts.tolist(), strict=True)) == singly
    assert window.without(np.array(times)) == sum(time < 0 for time in times)
    for time, closed in zip(times, window.closed_start(np.array(times)).tolist(), strict=True):
        assert closed == window.closed_start(time)
        if time >= grace:
            ((start, end),) = window.windows_for(time - grace)
            assert closed == start - 1 and start <= time - grace < end


def test_times_that_the_calendar_does_not_have_are_in_no_window() -> None:
    window = CalendarWindow("day", tz="Europe/Berlin")
    times = np.array([-1, ms("9998-12-30"), ms("9999-06-01"), 2**62])
    assert window.assign(times)[0].tolist() == [1] and window.without(times) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CalendarWindow("hour"), "give one of 'day', 'week', 'month', 'year'"),  # type: ignore[arg-type]
        (lambda: CalendarWindow("day", tz="Berlin"), "no time zone known here"),
        (lambda: CalendarWindow("day", tz=""), "no time zone known here"),
        (lambda: CalendarWindow("day", grace=-1), "grace=-1 is negative"),
        (lambda: UnlimitedWindow(start=-1), "zero or more"),
        (lambda: UnlimitedWindow(grace="1h"), "it never closes, so there is no grace"),  # type: ignore[arg-type]
        (lambda: UnlimitedWindow(start=datetime(2024, 1, 1)), "with a time zone"),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_window_without_an_end_never_closes() -> None:
    window = UnlimitedWindow(start=datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC))
    rows, starts = window.assign(np.array([4_999, 5_000, 2**62]))
    assert (rows.tolist(), starts.tolist()) == ([1, 2], [5_000, 5_000])
    assert (
        window.closed_start(2**62) < 0
        and window.end(5_000) == 2**63 - 1
        and repr(window) == "UnlimitedWindow(start=5000)"
    )


class Gaps(Windows):
    """The first five of every ten ms, and a longer window every hundred."""

    size_ms = 20
    grace_ms = 3

    def windows_for(self, timestamp: int) -> list[tuple[int, int]]:
        start = timestamp // 10 * 10
        found = [(start, start + (20 if start % 100 == 0 else 5))]
        if start % 100 == 10:
            found.insert(0, (start - 10, start + 10))
        return [(s, e) for s, e in found if s <= timestamp < e]


def test_windows_of_ones_own() -> None:
    window = Gaps()
    rows, starts = window.assign(np.array([-1, 4, 12, 17, 26]))
    assert list(zip(rows.tolist(), starts.tolist(), strict=True)) == [(1, 0), (2, 0), (2, 10), (3, 0)]
    assert window.without(np.array([-1, 4, 12, 17, 26])) == 2
    assert [window.end(start) for start in (0, 10, 20)] == [20, 15, 25]
    assert [window.closed_start(time) for time in (22, 23, 27, 28)] == [-1, 19, 19, 25]
    assert (window.retention_ms, window.shape) == (23, ["Gaps", 20])


def test_the_last_of_all_times_is_in_no_window() -> None:
    last = 2**63 - 1
    rows, starts = CalendarWindow("day", tz="UTC").assign(np.array([last, 5, last - 1]))
    assert (rows.tolist(), starts.tolist()) == ([1], [0])
