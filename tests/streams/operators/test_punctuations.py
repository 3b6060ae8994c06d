"""Schedules: when they are due, in which order, and over a restart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from streams.errors import ConfigError
from streams.operators.punctuations import Punctuations, Schedule


class Bench:
    def __init__(self, dumped: list[tuple[str, str, str, int | None]] | None = None) -> None:
        self.now_ms = 0
        self.made = Punctuations(lambda: self.now_ms)
        self.made.load(dumped)
        self.calls: list[tuple[str, int]] = []

    def ask(self, name: str, interval_ms: int, start_ms: int | None = None, stream_time: int = 0) -> Schedule:
        return self.made.schedule(
            "step", "stream", interval_ms, print, name=name, start_ms=start_ms, stream_time=stream_time
        )

    def at(self, *times: int) -> list[tuple[str, int]]:
        found = []
        for time in times:
            found += [(schedule.name, time) for schedule in self.made.due("stream", time)]
        return found


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return Bench


def test_first_with_the_first_record_then_at_multiples_and_what_is_missed_once(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.ask("tick", 10)
    made.made.opened()
    assert made.at(3, 9, 10, 11, 47, 48, 50) == [("tick", 3), ("tick", 10), ("tick", 47), ("tick", 50)]


def test_with_a_start_whole_intervals_from_it(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.ask("early", 10, start_ms=5, stream_time=22)
    made.ask("later", 10, start_ms=43, stream_time=22)
    made.made.opened()
    assert made.at(22, 24, 25, 36, 44) == [("early", 25), ("early", 36), ("later", 44)]


def test_equal_times_in_the_order_of_javas_queue(bench: Callable[..., Bench]) -> None:
    """What `java.util.PriorityQueue` printed for the same calls."""
    made = bench()
    for name in "abcde":
        made.ask(name, 10)
    made.made.opened()
    rounds = ["".join(name for name, _ in made.at(time)) for time in (0, 10, 25)]
    assert rounds == ["aebdc", "dceab", "abcde"]


def test_cancelled_ones_are_not_called_not_even_from_within(bench: Callable[..., Bench]) -> None:
    made = bench()
    first, second = made.ask("first", 10), made.ask("second", 10)
    made.made.opened()
    second.cancel()
    for schedule in made.made.due("stream", 5):
        assert schedule is first
        first.cancel()
    assert made.at(100) == []


def test_a_restart_goes_on_with_times_and_with_what_was_cancelled(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.ask("a", 10)
    made.ask("b", 7).cancel()
    made.made.opened()
    made.at(3, 12)
    again = bench(made.made.dump())
    again.ask("a", 10)
    again.ask("b", 7)
    again.made.opened()
    assert again.at(13, 19, 20) == [("a", 20)]


def test_one_asked_for_later_goes_on_too(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.made.opened()
    made.ask("a", 10)
    made.at(3)
    again = bench(made.made.dump())
    again.made.opened()
    again = bench(again.made.dump())  # it was not asked for in that life
    again.made.opened()
    again.ask("a", 10)
    assert again.at(5, 10) == [("a", 10)]


def test_two_of_one_name_are_an_error_and_names_that_are_derived_differ(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.ask("a", 10)
    with pytest.raises(ConfigError, match="two schedules are called 'a'"):
        made.ask("a", 10)
    names = [made.made.schedule("step", "stream", 1000, print).name for _ in range(2)]
    assert names == ["print every 1s", "print every 1s (2)"]


def test_through_records_each_call_at_the_record_that_makes_it_due(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.ask("tick", 10)
    made.made.opened()
    made.made.begin(np.array([1, 2, 12, 12, 31], np.int64))
    assert [[time for _, time in made.made.through(stop)] for stop in (0, 1, 3, 5, 5)] == [[], [1], [12], [31], []]


def test_one_asked_for_at_a_record_is_called_behind_it(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.made.opened()
    made.made.begin(np.array([1, 2, 3], np.int64))
    assert list(made.made.through(1)) == []
    made.ask("late", 10)
    assert [time for _, time in made.made.through(3)] == [2]


def test_on_the_wall_from_an_interval_on(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.now_ms = 1_003
    made.made.schedule("step", "wall", 10, print)
    made.made.opened()
    assert made.made.next_wall_ms == 1_013
    assert [schedule.next_ms for schedule in made.made.due("wall", 1_050)] == [1_013]
    assert made.made.next_wall_ms == 1_053
