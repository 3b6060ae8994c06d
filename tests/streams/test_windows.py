from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ConfigError
from streams.windows import HoppingWindow, TumblingWindow, Windowed


@pytest.mark.parametrize(
    ("window", "timestamp", "starts"),
    [
        (TumblingWindow(10), 0, [0]),
        (TumblingWindow(10), 9_999, [0]),
        (TumblingWindow(10), 10_000, [10_000]),
        (TumblingWindow(10), -1, []),
        (HoppingWindow(10, 5), 0, [0]),
        (HoppingWindow(10, 5), 4_999, [0]),
        (HoppingWindow(10, 5), 5_000, [0, 5_000]),
        (HoppingWindow(10, 5), 10_000, [5_000, 10_000]),
        (HoppingWindow(10, 3), 12_000, [3_000, 6_000, 9_000, 12_000]),
        (HoppingWindow(10, 3), 13_000, [6_000, 9_000, 12_000]),
        (HoppingWindow(10, 10), 13_000, [10_000]),
    ],
)
def test_windows_that_hold_a_timestamp(window: HoppingWindow, timestamp: int, starts: list[int]) -> None:
    assert window.windows_for(timestamp) == [(start, start + 10_000) for start in starts]


windows = st.builds(
    lambda size, step, tumbling: (
        TumblingWindow(size / 1000) if tumbling else HoppingWindow(size / 1000, min(step, size) / 1000)
    ),
    st.integers(1, 50),
    st.integers(1, 50),
    st.booleans(),
)


@given(windows, st.lists(st.integers(-20, 500) | st.sampled_from([-(2**63), 2**63 - 1]), max_size=30))
def test_array_form_equals_one_by_one(window: HoppingWindow, timestamps: list[int]) -> None:
    rows, starts = window.assign(np.array(timestamps, np.int64))
    expected = [(row, start) for row, ts in enumerate(timestamps) for start, _ in window.windows_for(ts)]
    assert list(zip(rows.tolist(), starts.tolist(), strict=True)) == expected
    assert rows.dtype == starts.dtype == np.int64


@given(windows, st.integers(0, 500))
def test_windows_hold_their_timestamp_and_are_aligned(window: HoppingWindow, timestamp: int) -> None:
    for start, end in window.windows_for(timestamp):
        assert start <= timestamp < end
        assert start % window.step_ms == 0


def test_closed_when_stream_time_reaches_end_and_grace() -> None:
    window = HoppingWindow("10s", "5s", grace="2s")
    assert [window.closed_start(time) >= 5_000 for time in (15_000, 16_999, 17_000)] == [False, False, True]
    assert window.retention_ms == 12_000
    assert TumblingWindow("1h").grace_ms == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TumblingWindow(0), "size of at least"),
        (lambda: HoppingWindow(10, 0), "more than zero"),
        (lambda: HoppingWindow(10, 11), "leaves gaps"),
        (lambda: HoppingWindow(10, 5, grace=-1), "grace=-1 is negative"),
        (lambda: TumblingWindow("soon"), "size='soon' is not a duration"),
    ],
)
def test_bounds_are_checked(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


def test_windows_are_values() -> None:
    assert TumblingWindow("1h") == TumblingWindow(3600) != TumblingWindow("1h", grace="1m")
    assert len({TumblingWindow("1h"), TumblingWindow("60m")}) == 1
    assert TumblingWindow("1h") != HoppingWindow("1h", "1h")
    assert repr(TumblingWindow("1h", grace="10m")) == "TumblingWindow('1h', grace='10m')"


def test_windowed_keys_order_hash_and_travel() -> None:
    key = Windowed("AA", 0, 10)
    assert key < Windowed("AA", 10, 20) < Windowed("BB", 0, 10)
    assert len({key, Windowed("AA", 0, 10)}) == 1
    wire = msgspec.json.encode(key)
    assert wire == b'["AA",0,10]'
    assert msgspec.json.decode(wire, type=Windowed[str]) == key
