"""The times of a task's steps, kept in a store of the task: what a restart needs to go on exactly where it was."""

from __future__ import annotations

from typing import Any

import msgspec

from state.task_stores import TaskStores


class Clocks:
    """Step name to its saved times, as MessagePack in the store `store`. Written only when they changed."""

    def __init__(self, stores: TaskStores, store: str) -> None:
        self._stores = stores
        self._store = store
        self._saved: dict[str, bytes] = {}

    def load(self, step: str) -> Any:
        """What the step saved, or None."""
        found = self._stores.get(self._store, step.encode())
        if found is None:
            return None
        self._saved[step] = found[0]
        return msgspec.msgpack.decode(found[0])

    def save(self, step: str, clock: Any) -> None:
        """Keeps `clock` (anything MessagePack takes) for the step, with the next commit."""
        payload = msgspec.msgpack.encode(clock)
        if self._saved.get(step) != payload:
            self._saved[step] = payload
            self._stores.put(self._store, step.encode(), payload, 0)
