"""Windows in memory: which a record meets, which have closed, which are forgotten."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operators.aggregations import held_windows
from streams.operators.aggregations.held_windows import Held, HeldWindows, by_end, by_start


def held(key: bytes, start: int, end: int | None = None, time: int | None = None) -> Held:
    end = start + 10 if end is None else end
    return Held(key, start, end, start if time is None else time)


def test_windows_of_a_key_by_time_both_ends_included() -> None:
    windows = HeldWindows(by_start)
    for start in (5, 1, 9):
        windows.add(held(b"a", start))
    windows.add(held(b"b", 5))
    assert [one.start for one in windows.between(b"a", 1, 8)] == [1, 5]
    assert windows.between(b"a", 10, 20) == [] and windows.between(b"c", 0, 99) == []


def test_sessions_close_by_end_then_start_then_key() -> None:
    windows = HeldWindows(by_end)
    for key, start, end in ((b"b", 1, 5), (b"a", 2, 5), (b"c", 0, 5), (b"a", 1, 5), (b"z", 0, 4)):
        windows.add(held(key, start, end, end))
    assert [(one.end, one.start, one.key) for one in windows.pop_closed(6)] == [
        (4, 0, b"z"),
        (5, 0, b"c"),
        (5, 1, b"a"),
        (5, 1, b"b"),
        (5, 2, b"a"),
    ]


def test_a_window_that_went_and_came_again_closes_once() -> None:
    windows = HeldWindows(by_start)
    one = held(b"a", 0)
    windows.add(one)
    windows.remove(one)
    assert len(windows) == 0 and windows.between(b"a", 0, 9) == []
    windows.add(one)
    assert list(windows.pop_closed(1)) == [one] and list(windows.pop_closed(99)) == []


def test_what_went_does_not_wait_for_its_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_windows, "_DEAD_MIN", 2)
    windows = HeldWindows(by_end)
    grown = [held(b"a", 0, end, end) for end in range(50)]
    for one, longer in pairwise(grown):
        windows.add(one)
        windows.remove(one)
        windows.add(longer)
        windows.remove(longer)
    windows.add(grown[-1])
    assert len(windows._open) <= 4
    assert list(windows.pop_closed(99)) == [grown[-1]]


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.integers(0, 9), st.booleans())), st.integers(0, 10))
def test_only_closed_windows_are_let_go(rows: list[tuple[bytes, int, bool]], before: int) -> None:
    windows = HeldWindows(by_start)
    made = [held(key, start) for key, start, _ in rows]
    for one, (_, _, goes) in zip(made, rows, strict=True):
        windows.add(one)
        if goes:
            windows.remove(one)
    closed = list(windows.pop_closed(before))
    windows.let_go(before + 5)
    left = [one for one, (_, start, goes) in zip(made, rows, strict=True) if not goes and start >= before]
    assert len(closed) + len(left) == sum(not goes for _, _, goes in rows)
    assert sorted(map(id, windows.all())) == sorted(map(id, left)) and len(windows) == len(left)
