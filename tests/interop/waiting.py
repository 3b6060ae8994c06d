"""What a broker has accepted it may show a little later: Apache Kafka's metadata goes through a controller."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 20.0


def eventually(read: Callable[[], T], expected: T) -> None:
    """`read()` is as expected, now or soon; fails with the last difference."""
    deadline = time.monotonic() + WAIT_S
    while (found := read()) != expected and time.monotonic() < deadline:
        pass
    assert found == expected
