"""Who waits for more of a partition, and is told when there is more."""

from __future__ import annotations

from collections.abc import Callable

from broker_embedded.topics import Partition


class Progress:
    """Callbacks by partition.

    >>> progress, calls = Progress(), []
    >>> unsubscribe = progress.watch("flights", 0, lambda: calls.append("more"))
    >>> progress.made("flights", 0)
    >>> unsubscribe()
    >>> progress.made("flights", 0)
    >>> calls, len(progress)
    (['more'], 0)
    """

    def __init__(self) -> None:
        self._watchers: dict[Partition, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        """How many partitions are watched."""
        return len(self._watchers)

    def watch(self, topic: str, partition: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever more of the partition can be read; the returned function ends that."""
        callbacks = self._watchers.setdefault((topic, partition), [])
        callbacks.append(callback)

        def unsubscribe() -> None:
            callbacks.remove(callback)
            if not callbacks and self._watchers.get((topic, partition)) is callbacks:
                del self._watchers[topic, partition]

        return unsubscribe

    def made(self, topic: str, partition: int) -> None:
        """High watermark or last stable offset has moved, or the partition is gone."""
        if self._watchers:
            for callback in tuple(self._watchers.get((topic, partition), ())):
                callback()

    def end(self) -> None:
        """Call everybody: who looks again finds the broker closed."""
        for partition in list(self._watchers):
            self.made(*partition)
