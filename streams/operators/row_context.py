"""What a user's function is given when it asks for `ctx`."""

from __future__ import annotations

from collections.abc import Sequence

from streams.batch import Batch
from streams.errors import StreamsError
from streams.operators.base import TaskContext


class RowContext:
    """The record at hand: `topic`, `partition`, `offset`, `timestamp` (ms), `headers`, which can be set, and the task
    it is processed in.
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

    @headers.setter
    def headers(self, headers: Sequence[tuple[str, bytes | None]]) -> None:
        """Sets the headers under which the record goes on, where the step's function is asked of each record alone."""
        if not self._batch.headers_are_own:
            raise StreamsError("this step does not take headers from its function: set them in one before or behind")
        self._batch.set_headers(self._index, tuple(headers))

    def add_header(self, name: str, value: bytes | None) -> None:
        """Puts a header behind those that the record has."""
        self.headers = [*self.headers, (name, value)]

    def forward(self, *_: object, **__: object) -> None:
        """Only a processor hands records on by itself."""
        raise StreamsError("forward is for processors: stream.process(function) calls it as function(record, ctx)")

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
