"""A dry start of an agent's function: up to its first iteration and not a step further, without an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from streams.agent_feed import Feed


class _Reached(GeneratorExit):
    """Raised where the first record would come, so that every generator on the way there ends by itself: one that is
    left standing in the middle of a step can't be closed from outside (CPython 3.11 takes it for running).
    """


class PlanningFeed(Feed):
    """A feed that never has records: whoever asks is sent home. `reached` says whether somebody has asked."""

    def __init__(self) -> None:
        super().__init__(lambda: None, lambda: 0)
        self.reached = False

    async def rows(self, *_: Any) -> Any:
        self.reached = True
        raise _Reached

    async def piece(self, *_: Any) -> Any:
        self.reached = True
        raise _Reached


def start(function: Callable[..., Any], stream: Any, feed: PlanningFeed) -> None:
    """Starts the function and ends it where it asks the feed for its first record.

    Raises RuntimeError when it awaits something else before or after, and whatever the function raises.
    """
    made = function(stream)
    step = made.__anext__() if inspect.isasyncgen(made) else made
    try:
        step.send(None)
    except (_Reached, StopIteration, StopAsyncIteration):
        return  # one that ended without asking is for the worker to complain about
    step.close()
    raise RuntimeError(
        "it awaits something in a `finally` before its first record"
        if feed.reached
        else "it awaits something before its first record"
    )
