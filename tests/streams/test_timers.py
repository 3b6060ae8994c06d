"""Timers and crontabs on virtual time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ConfigError, UserCodeError
from streams.timers import Crontab, Timer, TimerCall, run_timers

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def fires(crontab: Crontab, start: str, stop: str) -> list[str]:
    found, at = [], ms(start) - 1
    while (at := crontab.next_after(at)) < ms(stop):
        found.append(datetime.fromtimestamp(at / 1000, crontab.timezone).isoformat())
    return found


class Clock:
    """Virtual time: sleepers wake in order of their deadline, and time is where the last one woke."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_ms + round(seconds * 1000), len(self._sleepers), future))
        await future

    async def advance(self, stop_ms: int) -> None:
        await settle()
        while live := sorted(entry for entry in self._sleepers if not entry[2].done() and entry[0] <= stop_ms):
            self.now_ms = live[0][0]
            live[0][2].set_result(None)
            await settle()
        self.now_ms = stop_ms


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("expression", "zone", "start", "stop", "expected"),
    [
        (
            "0 6 * * *",
            None,
            "2024-03-30T00:00:00Z",
            "2024-03-31T12:00:00Z",
            ["2024-03-30T06:00:00+00:00", "2024-03-31T06:00:00+00:00"],
        ),
        # clocks go forward at 02:00: half past two does not exist that day
        (
            "30 2 * * *",
            BERLIN,
            "2024-03-30T00:00:00+01:00",
            "2024-04-01T12:00:00+02:00",
            ["2024-03-30T02:30:00+01:00", "2024-04-01T02:30:00+02:00"],
        ),
        ("0 3 * * *", BERLIN, "2024-03-31T00:00:00+01:00", "2024-03-31T12:00:00+02:00", ["2024-03-31T03:00:00+02:00"]),
        (
            "*/30 * * * *",
            BERLIN,
            "2024-03-31T01:30:00+01:00",
            "2024-03-31T03:30:00+02:00",
            ["2024-03-31T01:30:00+01:00", "2024-03-31T03:00:00+02:00"],
        ),
        # clocks go back at 03:00: half past two comes twice, an hour of its own is due once
        (
            "30 2 * * *",
            BERLIN,
            "2024-10-27T00:00:00+02:00",
            "2024-10-28T12:00:00+01:00",
            ["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"],
        ),
        ("0 3 * * *", BERLIN, "2024-10-27T00:00:00+02:00", "2024-10-27T12:00:00+01:00", ["2024-10-27T03:00:00+01:00"]),
        (
            "*/30 * * * *",
            BERLIN,
            "2024-10-27T02:00:00+02:00",
            "2024-10-27T03:00:00+01:00",
            [
                "2024-10-27T02:00:00+02:00",
                "2024-10-27T02:30:00+02:00",
                "2024-10-27T02:00:00+01:00",
                "2024-10-27T02:30:00+01:00",
            ],
        ),
        # over a whole year and both changes
        (
            "0 12 1 1 *",
            BERLIN,
            "2024-01-02T00:00:00+01:00",
            "2026-01-02T00:00:00+01:00",
            ["2025-01-01T12:00:00+01:00", "2026-01-01T12:00:00+01:00"],
        ),
        (
            "0 12 1 7 *",
            BERLIN,
            "2024-01-02T00:00:00+01:00",
            "2025-12-02T00:00:00+01:00",
            ["2024-07-01T12:00:00+02:00", "2025-07-01T12:00:00+02:00"],
        ),
        # half-hour change of clocks
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2024-04-06T12:00:00+11:00",
            "2024-04-07T12:00:00+10:30",
            ["2024-04-07T01:45:00+11:00"],
        ),
    ],
)
def test_crontab(expression: str, zone: str | ZoneInfo | None, start: str, stop: str, expected: list[str]) -> None:
    assert fires(Crontab(expression, zone), start, stop) == expected


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "15 1,2,3 * * *", "0 */2 * * *", "0 0 * * 1"]),
    st.integers(ms("2023-01-01T00:00:00Z"), ms("2025-01-01T00:00:00Z")),
)
def test_crontab_matches_the_clock_and_goes_on(expression: str, start: int) -> None:
    crontab = Crontab(expression, BERLIN)
    times = [start]
    for _ in range(5):
        times.append(crontab.next_after(times[-1]))
    assert all(early < late for early, late in pairwise(times))
    for due in times[1:]:
        local = datetime.fromtimestamp(due / 1000, BERLIN)
        assert crontab._croniter.match(expression, local.replace(tzinfo=None))
        assert crontab.next_after(due - 1) == due


@pytest.mark.parametrize(
    ("expression", "zone"),
    [("every day", None), ("* * * *", None), ("* * * * * *", None), ("61 * * * *", None), ("* * * * *", "Mars/Base")],
)
def test_what_is_not_a_crontab(expression: str, zone: str | None) -> None:
    with pytest.raises(ConfigError, match=r"crontab expression|timezone"):
        Crontab(expression, zone)


def test_timer_needs_an_interval() -> None:
    with pytest.raises(ConfigError, match="at least a millisecond"):
        Timer(0)


def test_timezone_of_the_standard_library() -> None:
    assert Crontab("0 6 * * *", timezone(timedelta(hours=2))).next_after(0) == 4 * 3_600_000


async def test_timers_run_on_their_grid_without_drift() -> None:
    clock, seen = Clock(), []

    async def slow() -> None:
        seen.append(clock.now_ms)
        await clock.sleep(25)

    calls = [TimerCall("slow", Timer(10), slow), TimerCall("quick", Timer(30), lambda: seen.append(-clock.now_ms))]
    running = asyncio.create_task(run_timers(calls, lambda: clock.now_ms, clock.sleep))
    await clock.advance(75_000)
    assert seen == [10_000, -30_000, 40_000, -60_000, 70_000]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_clock_that_is_set_back_does_not_hold_up_a_timer() -> None:
    clock, seen, back_ms = Clock(), [], 0
    calls = [TimerCall("tick", Timer(10), lambda: seen.append(clock.now_ms))]
    running = asyncio.create_task(run_timers(calls, lambda: clock.now_ms - back_ms, clock.sleep))
    await clock.advance(15_000)
    back_ms = 3_600_000
    await clock.advance(55_000)
    assert seen == [10_000, 30_000, 40_000, 50_000]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_the_leader_calls_goes_on_at_the_same_times_with_the_next_one() -> None:
    """Two workers, started 3 s apart; leadership moves from one to the other and back."""
    clock, seen = Clock(), list[tuple[str, int]]()
    leader = "a"

    def worker(name: str) -> asyncio.Task[None]:
        schedules = [("timer", Timer(10)), ("cron", Crontab("* * * * *"))]
        calls = [
            TimerCall(kind, schedule, lambda kind=kind: seen.append((f"{name} {kind}", clock.now_ms)), on_leader=True)  # type: ignore[misc]
            for kind, schedule in schedules
        ]
        return asyncio.create_task(run_timers(calls, lambda: clock.now_ms, clock.sleep, lambda: leader == name))

    workers = [worker("a")]
    await clock.advance(3_000)
    workers.append(worker("b"))
    await clock.advance(25_000)
    leader = "b"
    await clock.advance(45_000)
    leader = "a"
    await clock.advance(65_000)
    assert [(name, at) for name, at in seen if "timer" in name] == [
        *(("a timer", at) for at in (10_000, 20_000)),
        *(("b timer", at) for at in (30_000, 40_000)),
        *(("a timer", at) for at in (50_000, 60_000)),
    ]
    assert [(name, at) for name, at in seen if "cron" in name] == [("a cron", 60_000)]
    for running in workers:
        running.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_a_timer_that_raises_ends_the_loop_with_the_users_line() -> None:
    clock = Clock()

    def fails() -> None:
        raise ValueError("no")

    calls = [TimerCall("fails", Timer(10), fails), TimerCall("other", Timer(1), lambda: None)]
    running = asyncio.create_task(run_timers(calls, lambda: clock.now_ms, clock.sleep))
    await clock.advance(10_000)
    with pytest.raises(UserCodeError, match=r"timer fails: ValueError: no \(.*test_timers.py:\d+ in fails\)"):
        await running
