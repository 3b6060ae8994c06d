"""Markers, and the smallest time of several writers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operators.base import NO_TIME
from streams.runtime.stream_time import WriterTimes, marker, read_marker

TIMES = st.integers(NO_TIME, 2**62)


@given(writer=st.integers(0, 2**31 - 1), time=TIMES, idle=st.booleans())
def test_markers_come_back(writer: int, time: int, idle: bool) -> None:
    assert read_marker(marker(writer, time, idle)) == (writer, time, idle)


@pytest.mark.parametrize(
    ("writers", "told", "bound"),
    [
        (1, [], NO_TIME),
        (1, [(0, 5, False)], 5),
        (2, [], NO_TIME),
        (2, [(0, 5, False)], NO_TIME),
        (2, [(0, 5, False), (1, 9, False)], 5),
        (2, [(0, 5, False), (1, 9, False), (0, 20, False)], 9),
        (2, [(0, 5, False), (1, 9, False), (0, 3, False)], 5),
        (2, [(0, 5, True), (1, 9, False)], 9),
        (2, [(0, 5, True), (1, 9, True)], 9),
        (2, [(0, NO_TIME, True), (1, NO_TIME, True)], NO_TIME),
        (2, [(0, NO_TIME, True), (1, 9, False)], 9),
        (2, [(0, 5, True), (1, 9, False), (0, 6, False)], 6),
        (3, [(0, 5, False), (1, 9, False), (2, 7, True)], 5),
    ],
)
def test_the_slowest_that_is_not_idle_holds_back(writers: int, told: list[tuple[int, int, bool]], bound: int) -> None:
    times = WriterTimes(writers)
    for one in told:
        times.update(*one)
    assert times.bound() == bound
    again = WriterTimes(writers)
    again.load(times.dump())
    assert (again.bound(), again.dump()) == (bound, times.dump())


@given(told=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), max_size=20))
def test_while_nobody_is_idle_the_bound_never_goes_back(told: list[tuple[int, int]]) -> None:
    times = WriterTimes(3)
    before = times.bound()
    for writer, time in told:
        times.update(writer, time, False)
        assert times.bound() >= before
        before = times.bound()
