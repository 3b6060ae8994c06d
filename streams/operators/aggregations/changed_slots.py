"""Which slots changed since a commit told of them, in the order of their first change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.arrays import Slots
from streams.kernels import compiled


class ChangedSlots:
    """
    >>> changed = ChangedSlots()
    >>> changed.mark(np.array([2, 0, 2]), capacity=4)
    >>> changed.mark(np.array([1, 0]), capacity=4)
    >>> changed.forget([0])
    >>> changed.take().tolist(), changed.take().tolist()
    ([2, 1], [])
    """

    def __init__(self) -> None:
        self._marked: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._parts: list[Slots] = []

    def mark(self, slots: Slots, capacity: int) -> None:
        """These have changed; all slots are below `capacity`."""
        if len(self._marked) < capacity:
            self._marked = np.concatenate([self._marked, np.zeros(capacity - len(self._marked), np.bool_)])
        new = self._newly(slots)
        if len(new):
            self._parts.append(new)

    def _newly(self, slots: Slots) -> Slots:
        if compiled.ready():
            from streams.kernels.compiled.window_pairs import newly

            found = np.empty(len(slots), np.intp)
            return found[: newly(slots, len(slots), self._marked, found)]
        unmarked = slots[~self._marked[slots]]
        self._marked[unmarked] = True
        return np.array(list(dict.fromkeys(unmarked.tolist())), np.intp)

    def forget(self, slots: list[int]) -> None:
        """These have not changed."""
        marked = [slot for slot in slots if slot < len(self._marked) and self._marked[slot]]
        if marked:
            self._marked[marked] = False
            self._parts = [part[self._marked[part]] for part in self._parts]

    def take(self) -> Slots:
        """All of them, and forgets them."""
        parts, self._parts = self._parts, []
        if not parts:
            return np.empty(0, np.intp)
        slots = np.concatenate(parts)
        self._marked[slots] = False
        return slots
