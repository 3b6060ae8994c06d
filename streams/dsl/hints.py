"""What to write instead of a step that is not there: Kafka Streams' name for it, or one that something else has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from streams.errors import did_you_mean
from streams.graph.functions import caller

_RENAMED = {"foreach": "for_each", "transform": "process"}


class Hinting:
    """A class of steps that answers unknown ones with a hint."""

    _instead = ""
    """How to get to what has more steps: of a table `.to_stream()`."""

    if not TYPE_CHECKING:  # a type checker would read it as "any attribute exists"

        def __getattr__(self, name: str) -> Any:
            kind = type(self)
            if name.startswith("_"):
                raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
            raise AttributeError(f"{name} at {caller()}: a {kind.__name__} has no such step.{_hint(kind, name)}")


def _hint(kind: type[Hinting], name: str) -> str:
    from streams.dsl.stream import Stream

    ours = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    ours = _RENAMED.get(ours, ours)
    if hasattr(kind, ours):
        return f" It is called {ours!r} here."
    if kind._instead and hasattr(Stream, ours):
        return f" A stream has: write {kind._instead}.{ours}(...)."
    return did_you_mean(ours, [step for step in dir(kind) if not step.startswith("_")])
