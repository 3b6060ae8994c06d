"""Sliding windows: the rules one by one, and any history against a model. Expectations are those of Kafka Streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from streams.operators.aggregations import row_aggregates
from tests.streams.operators.aggregations.window_histories import Model, Out, Row, expected, histories, run


def sliding(difference: float = 10, grace: float = 0) -> Callable[[Any], Any]:
    return lambda stream: stream.group_by_key().windowed_by(streams.SlidingWindow(difference, grace))


def texts(grouped: Any, **options: Any) -> Any:
    """Who met whom, in which order."""
    return grouped.aggregate("", lambda text, value: f"{text}{value}", name="t", **options)


def seen(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [(row.key.key, row.key.start, row.key.end, row.value, row.timestamp) for row in rows]


def updates(bench: Callable[..., Any], rows: list[tuple[Any, ...]], **window: float) -> list[tuple[Any, ...]]:
    made = bench(lambda s: texts(sliding(**window)(s)).emit("update"))
    return seen(made.send(*rows))


def test_each_record_ends_a_window_and_opens_one_behind_the_record_before(bench: Callable[..., Any]) -> None:
    assert updates(bench, [("a", 1, 10_000), ("a", 2, 15_000), ("a", 3, 26_000)]) == [
        ("a", 0, 10_000, "1", 10_000),
        ("a", 10_001, 20_001, "2", 15_000),
        ("a", 5_000, 15_000, "12", 15_000),
        # 15 s is more than 10 s before 26 s: no window behind it
        ("a", 16_000, 26_000, "3", 26_000),
    ]


def test_both_ends_belong_to_a_window(bench: Callable[..., Any]) -> None:
    assert updates(bench, [("a", 1, 10_000), ("a", 2, 20_000)])[1:] == [
        ("a", 10_001, 20_001, "2", 20_000),
        ("a", 10_000, 20_000, "12", 20_000),
    ]


def test_a_window_that_is_right_and_left_leaves_twice(bench: Callable[..., Any]) -> None:
    """It begins behind the record before, and ends with this one."""
    assert updates(bench, [("a", 1, 9_999), ("a", 2, 20_000)])[1:] == [("a", 10_000, 20_000, "2", 20_000)] * 2


def test_out_of_order_records_make_their_right_window_of_what_is_there(bench: Callable[..., Any]) -> None:
    found = updates(bench, [("a", 1, 20_000), ("a", 2, 15_000)], grace=20)
    assert found == [
        ("a", 10_000, 20_000, "1", 20_000),
        ("a", 10_000, 20_000, "12", 20_000),
        ("a", 5_000, 15_000, "2", 15_000),
        ("a", 15_001, 25_001, "1", 20_000),
    ]


def test_records_of_the_first_difference_share_the_first_window(bench: Callable[..., Any]) -> None:
    assert updates(bench, [("a", 1, 3_000), ("a", 2, 7_000), ("a", 3, 5_000)]) == [
        ("a", 0, 10_000, "1", 3_000),
        ("a", 3_001, 13_001, "2", 7_000),
        ("a", 0, 10_000, "12", 7_000),
        ("a", 3_001, 13_001, "23", 7_000),
        ("a", 5_001, 15_001, "2", 7_000),
        ("a", 0, 10_000, "123", 7_000),
    ]


def test_each_window_of_a_late_record_is_tested_alone(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: texts(sliding()(s)).emit("update"))
    made.send(("a", 1, 20_000), ("a", 2, 31_000))
    # [12 s, 22 s] is closed; [20 s, 30 s] behind the first is, too; [22.001 s, 32.001 s] is not
    assert seen(made.send(("a", 3, 22_000))) == [
        ("a", 21_000, 31_000, "23", 31_000),
        ("a", 22_001, 32_001, "2", 31_000),
    ]
    assert made.send(("a", 4, 20_999)) == []
    assert made.counts == {"late": 3}


def test_records_without_key_value_or_with_times_before_1970_are_left_out(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: texts(sliding()(s)))
    made.send((None, 1, 0), ("a", None, 0), ("a", 1, -1))
    assert made.counts == {"null_key": 1, "null_value": 1, "no_window": 1} and made.commit() == []


def test_windows_that_close_in_one_jump_all_come_out_by_start_and_key(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: texts(sliding()(s)).emit("close"))
    rows = [("b", 1, 10_000), ("a", 2, 10_000), ("b", 3, 15_000), ("z", 4, 10**9, [("h", b"4")])]
    found = made.send(*rows)
    assert {(row.headers, row.offset) for row in found} == {((), 2), ((("h", b"4"),), 3)}
    assert [row[:4] for row in seen(found)] == [
        ("a", 0, 10_000, "2"),
        ("b", 0, 10_000, "1"),
        ("b", 5_000, 15_000, "13"),
        ("b", 10_001, 20_001, "3"),
    ]


@dataclass
class Sliding(Model):
    """`KStreamSlidingWindowAggregate`, in the order of its reverse iteration."""

    difference: int = 10

    def is_closed(self, start: int, end: int) -> bool:
        return end < self.time - self.grace

    def fold(self, key: str, value: Any, time: int) -> list[Out]:
        d = self.difference
        if time + d < self.time - self.grace:
            self.late += 1
            return []
        self.out: list[Out] = []
        self.record = key, value, time
        around = [s for s, _ in self.met(key) if max(0, time - 2 * d) <= s <= time + 1]
        before = {s: self.windows[key, s, s + d] for s in around}
        (self.early if time < d else self.on_time)(before, time, d)
        return self.out

    def on_time(self, before: dict[int, Any], time: int, d: int) -> None:
        holding = [s for s in before if s + d >= time and s <= time]
        for start in sorted(holding, reverse=True):
            self.update(start, before[start])
        if time - d in before and before[time - d][1] == time:
            return
        others = [s for s in before if s + d < time]
        left = before[max(others)] if others else None
        previous = left[1] if left else before[time - d][1] if time - d in before else None
        if previous is not None and previous + 1 not in before and previous + 1 + d >= time:
            self.update(previous + 1, ("", time))
        if time - d not in before:
            self.update(time - d, (left[0] if left and time - d <= previous else "", time))
        right = [s for s in holding if s + d > time]
        self.right(before, before[max(right)] if right else None, time, d)

    def early(self, before: dict[int, Any], time: int, d: int) -> None:
        shared = before.get(0)
        inside = sorted(s for s in before if 0 < s <= time)
        for start in inside:
            self.update(start, before[start])
        right = before[inside[-1]] if inside else shared if shared and shared[1] > time else None
        self.right(before, right, time, d)
        if shared and shared[1] < time and shared[1] + 1 not in before:
            self.update(shared[1] + 1, ("", time))
        self.update(0, shared or ("", time))

    def right(self, before: dict[int, Any], found: Any, time: int, d: int) -> None:
        if found and found[1] > time and time + 1 not in before:
            self.out.append(self.set(self.record[0], time + 1, time + 1 + d, *found))

    def update(self, start: int, state: tuple[str, int]) -> None:
        key, value, time = self.record
        end = start + self.difference
        if self.is_closed(start, end):
            self.late += 1
        else:
            self.out.append(self.set(key, start, end, f"{state[0]}{value}", max(time, state[1])))


@pytest.mark.parametrize("in_memory", [500_000, 0], ids=["all in memory", "put aside"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=histories(),
    difference=st.sampled_from([4, 10]),
    grace=st.sampled_from([0, 7, 30]),
    emit=st.sampled_from(["update", "commit", "close"]),
)
def test_cuts_commits_and_crashes_change_nothing(
    bench: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    in_memory: int,
    history: tuple[list[Row], list[tuple[int, str]]],
    difference: int,
    grace: int,
    emit: str,
) -> None:
    monkeypatch.setattr(row_aggregates, "HELD_MAX", in_memory)
    rows, events = history
    made = bench(lambda s: texts(sliding(difference / 1000, grace / 1000)(s)).emit(emit))
    model = Sliding(grace, emit, 2 * difference + grace, difference=difference)
    assert run(made, rows, list(events)) == expected(model, rows, events)
    if not any(event == "crash" for _, event in events):
        assert made.counts.get("late", 0) == model.late
