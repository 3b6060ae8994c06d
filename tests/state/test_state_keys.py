"""Byte layouts keep the order of what they hold, and lose nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from state.keys import (
    TIME_MAX,
    TIME_MIN,
    session_key,
    split_session_key,
    split_window_key,
    stamp,
    stamp_many,
    time_prefix,
    unstamp,
    window_block,
    window_key,
)

times = st.integers(TIME_MIN, TIME_MAX)
keys = st.binary(max_size=6)


@given(times, keys, times, keys)
def test_window_keys_sort_by_start_then_key(start: int, key: bytes, other_start: int, other_key: bytes) -> None:
    one, other = window_key(start, key), window_key(other_start, other_key)
    assert (one < other) == ((start, key) < (other_start, other_key))
    assert (one == other) == ((start, key) == (other_start, other_key))


@given(times, keys)
def test_window_key_comes_apart_again(start: int, key: bytes) -> None:
    assert split_window_key(window_key(start, key)) == (start, key)


@given(st.tuples(times, times, keys), st.tuples(times, times, keys))
def test_session_keys_sort_by_end_then_start_then_key(
    one: tuple[int, int, bytes], other: tuple[int, int, bytes]
) -> None:
    assert split_session_key(session_key(*one)) == one
    in_order = ((end, start, key) for start, end, key in (one, other))
    assert (session_key(*one) < session_key(*other)) == (next(in_order) < next(in_order))


@given(times, times, keys)
def test_block_holds_its_window_and_no_other(start: int, other: int, key: bytes) -> None:
    low, high = window_block(start)
    store_key = window_key(other, key)
    assert (low <= store_key and (high is None or store_key < high)) == (other == start)


@given(times, times)
def test_prefix_sorts_as_the_time(one: int, other: int) -> None:
    assert (time_prefix(one) < time_prefix(other)) == (one < other)


@given(st.lists(st.tuples(st.none() | st.binary(max_size=5), times)))
def test_stamped_values_come_apart_again(entries: list[tuple[bytes | None, int]]) -> None:
    stored = stamp_many([payload for payload, _ in entries], [time for _, time in entries])
    assert stored == [None if payload is None else stamp(payload, time) for payload, time in entries]
    assert [unstamp(value) for value in stored if value is not None] == [e for e in entries if e[0] is not None]
