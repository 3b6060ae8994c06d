"""The pytest fixtures `driver` and `clock`. Installed with the package; `broker` comes with `broker_embedded`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from streams.app import App
    from streams.testing.driver import Clock, Driver


@pytest.fixture
def clock() -> Clock:
    """The virtual wall clock that the test's drivers go by; it begins at 0 and moves by `clock.advance("1h")`."""
    from streams.testing.driver import Clock

    return Clock()


@pytest.fixture
def driver(clock: Clock) -> Iterator[Callable[..., Driver]]:
    """`driver(app)` is an open `streams.testing.Driver` on the test's `clock`; it takes the same options, and ends with
    the test.
    """
    from streams.testing.driver import Driver

    with ExitStack() as opened:

        def start(app: App, **options: Any) -> Driver:
            return opened.enter_context(Driver(app, **{"clock": clock, **options}))

        yield start
