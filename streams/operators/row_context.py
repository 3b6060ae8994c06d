"""What a user's function is given when it asks for `ctx`."""

from __future__ import annotations

from collections.abc import Sequence

from streams.batch import Batch
from streams.operators.base import TaskContext


class RowContext:
    """The record at hand: `topic`, `partition`, `offset`, `timestamp` (ms), `headers`, and the task it is processed
    in.
    """

    __slots__ = ("_batch", "_context", "_index")

    def __init__(self, batch: Batch, index: int, context: TaskContext) -> None:
        self._batch = batch
        self._index = index
        self._context = context

    @property
    def topic(self) -> str:
        return self._batch.topic

    @property
    def partition(self) -> int:
        return self._batch.partition

    @property
    def offset(self) -> int:
        return int(self._batch.offsets[self._index])

    @property
    def timestamp(self) -> int:
        return int(self._batch.timestamps[self._index])

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        return () if self._batch.headers is None else self._batch.headers[self._index]

    @property
    def task(self) -> str:
        return self._context.task

    @property
    def stream_time(self) -> int:
        """The largest timestamp the task has seen up to this record."""
        seen = self._context.time_at(self.offset)
        if seen is not None:
            return seen
        return max(int(self._batch.timestamps[: self._index + 1].max()), self._context.stream_time_seen)
