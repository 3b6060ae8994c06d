"""Between an agent's operator and its running body: the records still to be given out, and how far the body has got.

The operator puts batches in (`give`); the views of `streams.agent_stream` take rows or pieces out. Which row the body
has at the moment is read off the list iterator that it is given rows from, so keeping track costs nothing per record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import islice
from operator import length_hint
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from streams.arrays import Int64Array
from streams.batch import Batch

T = TypeVar("T")

Face = Callable[[Batch, int, int], tuple[Iterator[Any], Iterator[Any]]]
"""Opens rows [start, stop) of a batch: an iterator over one of its lists, and the items; each item moves it by one."""

SLICE_S = 0.005
"""How long a body may run through its list before other tasks of the event loop get a turn."""

_SLICE_ROWS_MAX = 4096
_OPEN_ITERATORS_MAX = 16


class Piece(NamedTuple):
    """Rows [start, stop) of a batch; `stream_time` is the operator's time at each row of the batch."""

    batch: Batch
    stream_time: Int64Array
    start: int
    stop: int

    def cut(self, start: int, stop: int) -> Piece:
        return Piece(self.batch, self.stream_time, start, stop)


_NOTHING = Batch(offsets=np.zeros(0, np.int64), timestamps=np.zeros(0, np.int64))


class Watcher(Protocol):
    """Wants to know when certain rows are done."""

    def rows_until(self, piece: Piece) -> int:
        """How many rows of a piece are to be given out together, at most."""

    def done(self, pieces: list[Piece]) -> None:
        """The body had these, and asks for more."""


class Feed:
    """`on_idle` is called when the body asks for more than there is, `on_turn` when it has other rows than those that
    `cursor` goes on with; `now_ms` is the wall clock.

    `piece_at_hand` is what rows are being given out from. `cursor`, while there is one, has `rows_max` minus the
    current row left to go; else `last_row` is the current one.
    """

    def __init__(
        self, on_idle: Callable[[], None], now_ms: Callable[[], int], on_turn: Callable[[], None] = lambda: None
    ) -> None:
        self._on_idle = on_idle
        self._on_turn = on_turn
        self._now_ms = now_ms
        self._waiting: deque[Piece] = deque()
        self._held: list[Piece] = []
        self._given: list[Piece] = []
        self.piece_at_hand = Piece(_NOTHING, _NOTHING.timestamps, 0, 0)
        self.cursor: Iterator[Any] | None = None
        self.last_row = -1
        self.rows_max = -1
        self._wake: asyncio.Future[None] | None = None
        self._hand_over = False
        self._closed = False
        self._iterators: list[AsyncGenerator[Any, None]] = []
        self._slice_rows = 256
        self._turn_began = self._slice_began = 0.0
        self.deadline_ms: int | None = None
        self._watcher: Watcher | None = None

    # -- for the operator

    def watch(self, watcher: Watcher | None) -> None:
        """Who is told what is done, from now on; None: nobody."""
        self._watcher = watcher

    def give(self, batch: Batch, stream_time: Int64Array) -> None:
        """More rows; a body that waits for them goes on at the event loop's next turn."""
        self._waiting.append(Piece(batch, stream_time, 0, len(batch)))
        self._wake_up()

    @property
    def holds(self) -> bool:
        """Whether rows are being collected for a list."""
        return bool(self._held)

    def hand_over(self) -> None:
        """The list that is being collected is to be handed to the body as it is."""
        self._hand_over = True
        self._wake_up()

    def current(self) -> list[Piece]:
        """The rows that the body has at the moment: one, or those of its list; none while it waits."""
        if self._given or self.cursor is None:
            return self._given
        row = self.row
        return [self.piece_at_hand.cut(row, row + 1)] if row >= self.piece_at_hand.start else []

    def rewind(self, *, again: bool) -> None:
        """The body is gone. What it had not come to waits for the next one; with `again`, what it had as well."""
        current = self.current()
        self._push_back_rest()
        self._waiting.extendleft(reversed([*self._held, *(current if again else ())]))
        self._held, self._given, self.deadline_ms = [], [], None
        self._hand_over = False

    def close(self) -> None:
        """Nothing is given out any more: who asks is cancelled."""
        self._closed = True

    def close_iterators(self) -> None:
        """Ends the iterators that the body left standing; call it when the body is gone."""
        for iterator in self._iterators:
            _finish(iterator)
        self._iterators = []

    # -- for whoever asks about the current record

    @property
    def row(self) -> int:
        """The row of `piece_at_hand.batch` that was given out last; -1 when there was none."""
        cursor = self.cursor
        return self.last_row if cursor is None else self.rows_max - length_hint(cursor)

    @property
    def has_list(self) -> bool:
        """Whether the body has a list, and not one row."""
        return bool(self._given)

    # -- for the views

    async def rows(self, face: Face) -> Iterator[Any]:
        """Items of the next rows, waiting until there are some."""
        self._settle()
        while not self._waiting:
            await self._ask()
        await self._breathe()
        piece = self._next(self._slice_rows)
        if self._watcher is not None and (rows := self._watcher.rows_until(piece)) < piece.stop - piece.start:
            self._waiting.appendleft(piece.cut(piece.start + rows, piece.stop))
            piece = piece.cut(piece.start, piece.start + rows)
        cursor, items = face(piece.batch, piece.start, piece.stop)
        self.piece_at_hand, self.cursor, self.rows_max = piece, cursor, len(piece.batch) - 1
        self._on_turn()
        return islice(items, piece.stop - piece.start)

    async def piece(self, limit: int | None = None, within_ms: int | None = None) -> Piece | None:
        """Up to `limit` of the next rows, to be held until `take_held`; None when what is held is to be handed over."""
        self._settle()
        while not self._waiting:
            if self._hand_over and self._held:
                self._hand_over = False
                return None
            await self._ask()
        await self._breathe()
        piece = self._next(limit)
        self._held.append(piece)
        if self.deadline_ms is None and within_ms is not None:
            self.deadline_ms = self._now_ms() + within_ms
        return piece

    def take_held(self) -> None:
        """The rows held become the current ones; the last of them is the current row."""
        self._given, self._held = self._held, []
        self.piece_at_hand, self.deadline_ms = self._given[-1], None
        self.last_row = self.piece_at_hand.stop - 1
        self._on_turn()

    def failed_at(self, piece: Piece, row: int) -> None:
        """A filter raised at a row of the piece held last: only that row is current."""
        self._held.pop()
        if row > piece.start:
            self._held.append(piece.cut(piece.start, row))
        if row + 1 < piece.stop:
            self._waiting.appendleft(piece.cut(row + 1, piece.stop))
        self._given = [piece.cut(row, row + 1)]
        self.piece_at_hand, self.last_row = piece, row
        self._on_turn()

    def iterator(self, made: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """Keeps an iterator, so that one the body breaks off is closed here and not by a task of the event loop."""
        self._iterators.append(made)
        if len(self._iterators) > _OPEN_ITERATORS_MAX:
            _finish(self._iterators.pop(0))
        return made

    # -- within

    def _settle(self) -> None:
        """The body asks for more: what it had is done."""
        if self._watcher is not None:
            self._watcher.done(self.current())
        self._given = []
        if self.cursor is not None:
            self.last_row = self.row
            self._push_back_rest()

    def _push_back_rest(self) -> None:
        if self.cursor is None:
            return
        row, piece = self.row, self.piece_at_hand
        if row + 1 < piece.stop:
            self._waiting.appendleft(piece.cut(row + 1, piece.stop))
            # Another iterator may still stand on this cursor; at its end it asks here for what comes next.
            self.cursor.__setstate__(len(piece.batch))  # type: ignore[attr-defined]
        self.last_row, self.cursor = row, None
        self._on_turn()

    def _next(self, limit: int | None) -> Piece:
        piece = self._waiting.popleft()
        if limit is not None and piece.start + limit < piece.stop:
            self._waiting.appendleft(piece.cut(piece.start + limit, piece.stop))
            return piece.cut(piece.start, piece.start + limit)
        return piece

    async def _ask(self) -> None:
        if self._closed:
            raise asyncio.CancelledError
        self._wake = asyncio.get_running_loop().create_future()
        self._on_idle()
        try:
            await self._wake
        finally:
            self._wake = None
        self._turn_began = self._slice_began = perf_counter()

    async def _breathe(self) -> None:
        """Lets others run when the body has had its time, and sizes the next slice so that it takes about that long."""
        now = perf_counter()
        took = now - self._slice_began
        if took > SLICE_S:
            self._slice_rows = max(1, self._slice_rows // 2)
        elif took < SLICE_S / 4:
            self._slice_rows = min(_SLICE_ROWS_MAX, self._slice_rows * 2)
        if now - self._turn_began > SLICE_S:
            await asyncio.sleep(0)
            self._turn_began = now = perf_counter()
        self._slice_began = now

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def iterate_from(column: list[T], row: int) -> Iterator[T]:
    """An iterator over a list that begins at a row.

    >>> list(iterate_from(["a", "b", "c"], 1))
    ['b', 'c']
    """
    iterator = iter(column)
    iterator.__setstate__(row)  # type: ignore[attr-defined]
    return iterator


def _finish(iterator: AsyncGenerator[Any, None]) -> None:
    """Closes an iterator here and now: on their way out the views await nothing."""
    try:
        iterator.aclose().send(None)
    except StopIteration:
        return
