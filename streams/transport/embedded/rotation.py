"""Who is first."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class Rotation:
    """Lets each of many be first once in a while, or the last would starve behind a limit.

    >>> rotation = Rotation()
    >>> rotation.next(["a", "b", "c"]), rotation.next(["a", "b", "c"])
    (['b', 'c', 'a'], ['c', 'a', 'b'])
    """

    def __init__(self) -> None:
        self._first = 0

    def next(self, rows: list[T]) -> list[T]:
        """`rows` from another one on than the last time."""
        if rows:
            self._first = (self._first + 1) % len(rows)
        return rows[self._first :] + rows[: self._first]
