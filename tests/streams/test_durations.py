from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.durations import Duration, format_ms, retention_to_ms, to_ms
from streams.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("10s", 10_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("1d", 86_400_000),
        ("2w", 1_209_600_000),
        ("500ms", 500),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        ("1.5h", 5_400_000),
        (" 10s ", 10_000),
        ("10", 10_000),
        ("0.25", 250),
        (10, 10_000),
        (1.5, 1_500),
        (0, 0),
        ("0s", 0),
        (timedelta(minutes=1, milliseconds=1), 60_001),
    ],
)
def test_durations_as_users_write_them(written: Duration, ms: int) -> None:
    assert to_ms(written) == ms


@pytest.mark.parametrize(
    "written", ["", "ten", "10 sec", "s", "10s x", "1h-5m", "--1s", True, None, [], float("nan"), "inf"]
)
def test_what_is_no_duration_is_named_with_examples(written: Duration) -> None:
    with pytest.raises(ConfigError, match=r"^grace=.* is not a duration\. Write a number of seconds"):
        to_ms(written, "grace")


def test_less_than_a_millisecond_is_refused() -> None:
    with pytest.raises(ConfigError, match="less than a millisecond"):
        to_ms(0.0001)


@pytest.mark.parametrize("written", [-1, "-1s", timedelta(seconds=-1), "-1"])
def test_negative_only_where_it_means_something(written: Duration) -> None:
    with pytest.raises(ConfigError, match="negative"):
        to_ms(written)
    assert to_ms(written, negative=True) == -1_000


def test_retention() -> None:
    assert retention_to_ms("forever") == -1
    assert retention_to_ms("7d") == 604_800_000


@given(st.integers(-(10**12), 10**12))
def test_format_reads_back(ms: int) -> None:
    assert to_ms(format_ms(ms), negative=True) == ms
