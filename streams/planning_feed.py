"""A dry start of an agent's function: up to its first iteration and not a step further, without an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any

from streams.agent_feed import Feed


class _Reached:
    """Awaited where the first record would come; what the function awaits before would be something else."""

    def __await__(self) -> Generator[_Reached, None, None]:
        yield self


class PlanningFeed(Feed):
    """A feed that never has records: whoever asks is left standing there."""

    def __init__(self) -> None:
        super().__init__(lambda: None, lambda: 0)

    async def rows(self, *_: Any) -> Any:
        await _Reached()

    async def piece(self, *_: Any) -> Any:
        await _Reached()


def start(function: Callable[..., Any], stream: Any) -> None:
    """Starts the function and ends it where it asks for its first record.

    Raises RuntimeError when it awaits something else before, and whatever the function raises.
    """
    made = function(stream)
    step = made.__anext__() if inspect.isasyncgen(made) else made
    try:
        waits_for = step.send(None)
    except (StopIteration, StopAsyncIteration):
        return  # it ended without a record; that is for the worker to complain about
    try:
        step.throw(GeneratorExit())
    except (GeneratorExit, StopIteration, StopAsyncIteration):
        pass
    else:
        raise RuntimeError("it awaits something in a `finally` before its first record")
    if not isinstance(waits_for, _Reached):
        raise RuntimeError("it awaits something before its first record")
