"""Sessions and sliding windows as users write them."""

from __future__ import annotations

from typing import Any

import pytest

from streams.errors import ConfigError
from streams.keyed_windows import SessionWindow, SlidingWindow


def test_they_read_as_they_are_written() -> None:
    for text in ("SessionWindow('30m', grace='5m')", "SessionWindow('1s')", "SlidingWindow('10m', grace='1m')"):
        assert repr(eval(text)) == text
    assert SessionWindow(1) == SessionWindow("1s") and SessionWindow(1) != SessionWindow(1, grace=1)


def test_how_long_they_are_of_use() -> None:
    assert SessionWindow(10, grace=3).retention_ms == 13_000
    assert SlidingWindow(10, grace=3).retention_ms == 23_000
    assert SlidingWindow(10).end(5) == 10_005 and SlidingWindow(0).end(5) == 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SessionWindow(0), "at least a millisecond"),
        (lambda: SessionWindow("soon"), "gap='soon' is not a duration"),
        (lambda: SessionWindow(1, grace=-1), "grace=-1 is negative"),
        (lambda: SlidingWindow(-1), "difference=-1 is negative"),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
