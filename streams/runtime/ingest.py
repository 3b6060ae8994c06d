"""Sources: the user's generator, its records and its position in one transaction.

The position is whatever the generator wraps in `Position`; the last one committed is handed back as `position=` after a
restart. It is kept as JSON in a compacted topic of its own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from itertools import count
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from streams.batch import Batch
from streams.errors import StreamsError, UserCodeError
from streams.models import timestamp_field
from streams.operators.encoding import RecordEncoder
from streams.operators.outputs import Outputs
from streams.runtime.executor import TURN_S
from streams.sources import Position, Source
from streams.transport.contract import TopicPartition

_NOTHING: Any = object()
_ROWS_A_LOOK = 64
"""The clock is looked at after this many rows."""
_INTS = (int, np.int64, np.int32)
_encode = msgspec.json.Encoder().encode


SOURCE = "source:"
"""How the name of a source begins, among those of tasks."""


def named(source: Source) -> str:
    """The name of a source among those of tasks."""
    return SOURCE + source.name


class Ingest:
    """One source, run by this worker."""

    def __init__(
        self,
        source: Source,
        outputs: Outputs,
        encoder: RecordEncoder,
        topic: str,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self.source = source
        self.name = named(source)
        self.outputs = outputs
        self.finished = False
        self.records = 0
        self._encoder = encoder
        self._topic = topic
        self._now_ms = now_ms
        self._event_time = timestamp_field(source.topic.value_type)
        self._rows: Iterator[Any] | AsyncIterator[Any] | None = None
        self._wake = wake
        self._waiting: asyncio.Future[Any] | None = None
        self._position: bytes | None = None
        self._committed: bytes | None = None
        self._position_end = 0
        self._wrote = False

    def open(self, position: Any, position_end: int = 0) -> None:
        """Starts the generator at a position (None: its own default); `position_end` is where the topic that keeps it
        ends.
        """
        self._position_end = position_end
        self._position = self._committed = None if position is None else self._encoded(position)
        takes = inspect.signature(self.source.function).parameters
        arguments = {"position": position} if position is not None and "position" in takes else {}
        try:
            made = self.source.function(**arguments)
        except Exception as error:
            raise UserCodeError(error, step=self.source.name) from error
        if hasattr(made, "__aiter__"):
            self._rows = aiter(made)
        elif hasattr(made, "__iter__"):
            self._rows = iter(made)
        else:
            if inspect.iscoroutine(made):
                made.close()
            raise self._not_iterable(made)

    def _not_iterable(self, made: Any) -> StreamsError:
        return StreamsError(
            f"{self.source.name} ({self.source.where}): a source is a generator, plain or async, that gives each row "
            f"with `yield`. This function gave {made!r}"
        )

    async def turn(self) -> int:
        """Takes the rows that are there, for about `TURN_S`; returns how many. Never waits for an async generator."""
        keys: list[Any] = []
        values: list[Any] = []
        times: list[int | None] = []
        stop_at = perf_counter() + TURN_S
        for taken in count():
            if taken % _ROWS_A_LOOK == 0 and perf_counter() >= stop_at:
                break
            row = await self._next_row()
            if row is _NOTHING:
                break
            self._take(row, keys, values, times)
        self._write(keys, values, times)
        self.records += len(keys)
        return len(keys)

    async def _next_row(self) -> Any:
        """The next row, or _NOTHING: at the end, and while an async generator has none yet."""
        if self.finished or self._rows is None:
            return _NOTHING
        try:
            if isinstance(self._rows, Iterator):
                return next(self._rows)
            return await self._awaited_row(self._rows)
        except (StopIteration, StopAsyncIteration):
            self.finished = True
            return _NOTHING
        except StreamsError:
            raise
        except Exception as error:
            raise UserCodeError(error, step=self.source.name) from error

    async def _awaited_row(self, rows: AsyncIterator[Any]) -> Any:
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(anext(rows))
            self._waiting.add_done_callback(lambda _: self._wake())
            await asyncio.sleep(0)
        if not self._waiting.done():
            return _NOTHING
        row, self._waiting = self._waiting, None
        return row.result()

    async def close(self) -> None:
        """Ends the generator, so that what it holds is let go."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
        if isinstance(self._rows, AsyncGenerator):
            await self._rows.aclose()
        elif isinstance(self._rows, Generator):
            self._rows.close()

    def _take(self, row: Any, keys: list[Any], values: list[Any], times: list[int | None]) -> None:
        parts = row if type(row) is tuple else (row,)  # a named tuple is a value
        if parts and isinstance(parts[0], Position):
            self._position, parts = self._encoded(parts[0].value), parts[1:]
            if not parts:
                return
        if not 1 <= len(parts) <= 3:
            raise StreamsError(
                f"{self.source.name} ({self.source.where}): yield [Position(...),] key, value[, timestamp], not {row!r}"
            )
        key, value, time = (None, *parts, None) if len(parts) == 1 else (*parts, None) if len(parts) == 2 else parts
        keys.append(key)
        values.append(value)
        times.append(time if time is None else self._checked(time))

    def _checked(self, time: Any) -> int:
        if type(time) in _INTS and -(2**63) <= time < 2**63:
            return int(time)
        raise StreamsError(
            f"{self.source.name} ({self.source.where}): a timestamp of {time!r}; give an int, ms since 1970"
        )

    def _encoded(self, position: Any) -> bytes:
        """As it is now: a generator may change the object that it gave as soon as it goes on."""
        try:
            return _encode(position)
        except Exception as error:
            raise StreamsError(
                f"{self.source.name} ({self.source.where}): a position is kept as JSON, which does not take "
                f"{position!r}: {error}"
            ) from error

    def _write(self, keys: list[Any], values: list[Any], times: list[int | None]) -> None:
        if not keys:
            return
        self._wrote = True
        now = self._now_ms()
        if self._event_time is not None:
            name = self._event_time
            times = [
                getattr(value, name, None) if time is None else time for value, time in zip(values, times, strict=True)
            ]
        stamps = np.array([now if time is None else time for time in times], np.int64)
        self._encoder.write(
            Batch(
                offsets=np.full(len(keys), -1),
                timestamps=stamps,
                keys=keys,
                values=values,
                topic=self.source.topic.name,
            )
        )

    def has_news(self) -> bool:
        return bool(self.outputs.pending_records) or self._position != self._committed

    def prepare(self) -> None:
        """Adds the position to what the commit sends."""
        if self._position != self._committed:
            self._wrote = True
            self.outputs.add(self._topic, [self.source.name.encode()], [self._position], [self._now_ms()])

    def news(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """How far the topic of its positions is read, if it has records in this commit. Nobody goes on from this, but
        who is not a member any more, or has another generation, cannot commit it.
        """
        if not self._wrote:
            return {}
        tp = TopicPartition(self._topic, 0)
        self._position_end = ends.get(tp, self._position_end)
        return {tp: self._position_end}

    def committed(self) -> None:
        self._committed, self._wrote = self._position, False
