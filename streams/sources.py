"""Sources: generators that feed a topic, exactly once (`@app.source`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams.graph.definitions import TopicDef


class Position:
    """Where a source stands after the row it comes with: any value that JSON takes.

    >>> Position(27_004).value
    27004
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Position({self.value!r})"


@dataclass(eq=False, slots=True)
class Source:
    """A function that yields rows for a topic: `Position(...), key, value`, or without a position; `key, value`, or the
    value alone.

    Called with `position=` the last position committed, if there is one and it takes it.
    """

    name: str
    function: Callable[..., Any]
    topic: TopicDef
    where: str
