"""Which windows take records: by numpy and compiled, and one record at a time by the windows' own rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from streams.operators.aggregations.open_windows import assign, closed_starts, closing_rows
from streams.operators.base import NO_TIME, TaskContext

WINDOWS = st.sampled_from([(10, 10, 0), (10, 10, 7), (12, 5, 0), (12, 4, 9), (7, 3, 3), (5, 1, 0)])
TIMES = st.lists(st.integers(-3, 60), min_size=1, max_size=25)
LIMITS = st.none() | st.integers(0, 60)


def window_of(size: int, step: int, grace: int) -> Any:
    if size == step:
        return streams.TumblingWindow(size / 1000, grace / 1000)
    return streams.HoppingWindow(size / 1000, step / 1000, grace / 1000)


def context_of(bound: int | None, idle: int | None) -> Any:
    made = SimpleNamespace(
        time_bound=2**63 - 1 if bound is None else bound, idle_time=NO_TIME if idle is None else idle
    )
    made.stream_times = lambda observed: TaskContext.stream_times(made, observed)  # type: ignore[arg-type]
    made.stream_time = lambda observed: TaskContext.stream_time(made, observed)  # type: ignore[arg-type]
    return made


@pytest.mark.usefixtures("twin")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=WINDOWS, times=TIMES, bound=LIMITS, idle=LIMITS, before=st.integers(0, 40) | st.just(NO_TIME))
def test_records_go_to_the_windows_that_are_open_when_they_come(
    shape: tuple[int, int, int], times: list[int], bound: int | None, idle: int | None, before: int
) -> None:
    window, context = window_of(*shape), context_of(bound, idle)
    keep, closed, pairs, late = shape[0] + shape[2], before - 20, [], 0
    observed = before
    for row, time in enumerate(times):
        observed = max(observed, time)
        closed = max(closed, context.stream_time(observed) - keep)
        for start, _ in window.windows_for(time) if time >= 0 else ():
            late += start <= closed
            pairs += [(row, start)] if start > closed else []
    found = assign(window, np.array(times), context, before, before - 20)
    assert list(zip(found.rows.tolist(), found.starts.tolist(), strict=True)) == pairs
    assert found[2:] == (late, sum(time < 0 for time in times), observed, closed)


@settings(max_examples=100, deadline=None)
@given(shape=WINDOWS, times=TIMES, bound=LIMITS, before=st.integers(0, 40) | st.just(NO_TIME))
def test_a_window_is_closed_by_the_first_record_after_which_it_is(
    shape: tuple[int, int, int], times: list[int], bound: int | None, before: int
) -> None:
    window, context = window_of(*shape), context_of(bound, None)
    closed = closed_starts(window, np.array(times), context, before)
    starts = np.arange(closed[-1] - 5, closed[-1] + 1)
    expected = [int(np.flatnonzero(closed >= start)[0]) for start in starts.tolist()]
    assert closing_rows(window, np.array(times), context, before, starts).tolist() == expected
