"""Whether a worker that is at the end of its input ends. One of several does not know by itself: what another commits
may yet come to it through a repartition topic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class EndOfInput(Protocol):
    """Asked by a worker that runs `until_end`."""

    def begin(self, wake: Callable[[], object]) -> None:
        """The worker runs; `wake`, called in any thread, lets it look again."""

    def reached(self, moved: int) -> bool:
        """At the end, with everything committed and nothing on its way here; true lets the worker end.

        `moved` grows with everything that the worker does.
        """


class Alone:
    """The end of one worker is the end of all.

    >>> Alone().reached(moved=5)
    True
    """

    def begin(self, wake: Callable[[], object]) -> None:
        """Nobody else has a word to say."""

    def reached(self, moved: int) -> bool:
        return True
