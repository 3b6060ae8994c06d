"""One run of an agent's function: its asyncio task, its feed, and what it has done for the record at hand."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from contextvars import copy_context
from itertools import repeat
from operator import length_hint
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from streams.agent_feed import Feed, Piece
from streams.agent_stream import Stream
from streams.arrays import Int64Array
from streams.batch import Batch
from streams.errors import RecordError, StreamsError
from streams.graph.nodes import AgentNode
from streams.operators.agents.table_front import fronts_for
from streams.operators.base import TaskContext
from streams.table import Row, running

if TYPE_CHECKING:
    from streams.operators.table_view import TableView, Undo
    from streams.rpc.answering import Answering


Yielded: TypeAlias = tuple[Batch, int, Any]
"""A batch, the row of it that was the current one, and the value that the function yielded then."""


class AgentEndedError(StreamsError):
    """An agent's function came to its end."""


class Owner(Protocol):
    """Who is told when a run begins and ends to work."""

    def working(self, run: AgentRun) -> None: ...

    def idle(self, run: AgentRun) -> None: ...


class AgentRun:
    """Is also what tables ask about the agent at work (`streams.table.Running`)."""

    def __init__(self, owner: Owner, node: AgentNode, context: TaskContext, views: dict[str, TableView]) -> None:
        self.views = views
        self.failure: Exception | None = None
        self.undo: Undo = []
        self.feed = Feed(self._idle, context.now_ms, self._turned)
        self._owner = owner
        self._node = node
        self._context = context
        self._sinks: list[Callable[[Any], Any]] = node.agent.functions
        self._stream: Stream[Any] = Stream(self.feed, node.agent.on_group_by)
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._yielded: list[Yielded] = []
        self._sent: list[tuple[Batch, int, Row]] = []
        self._is_working = False
        self._origin: tuple[Batch, Batch, list[int]] | None = None
        self._piece: Piece | None = None
        self._row = -1
        self._timestamps: list[int] = []
        self._times_by_left: list[int] = []
        self._answering: Answering | None = None
        self._fronts = fronts_for(node.agent.tables, self, context) if node.concurrency == 1 else []
        for front in self._fronts:
            front.view.front = front

    # -- life

    def start(self) -> None:
        """Starts the function, in a context where tables know this run."""
        context = copy_context()
        context.run(running.set, self)
        for front in self._fronts:
            context.run(front.table.at_hand.set, front)
        name = f"agent {self._node.name}, task {self._context.task}"
        self._work()
        self._task = asyncio.get_running_loop().create_task(self._body(), name=name, context=context)
        self._task.add_done_callback(self._done)

    def restart(self, *, again: bool) -> None:
        """Starts the function anew after a failure, for the next record or once more for the one that failed."""
        self._take_back()
        self.failure = None
        self.feed.rewind(again=again)
        self.start()

    def close(self) -> None:
        self._closing = True
        self.feed.close()
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Returns when the function has come to its end."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _body(self) -> None:
        made: Any = self._node.function(self._stream)
        if inspect.isasyncgen(made):
            await self._collect(made)
        else:
            await made
        raise AgentEndedError(
            f"agent {self._node.name!r} ({self._node.where}) came to its end. An agent runs as long as its worker: let "
            "it iterate over its stream, `async for value in stream`, and not leave the loop."
        )

    async def _collect(self, made: AsyncGenerator[Any, Any]) -> None:
        feed = self.feed
        try:
            async for value in made:
                self._yielded.append((feed.piece_at_hand.batch, feed.row, value))
                if self._answering is not None:
                    self._answering.yielded(value)
                for sink in self._sinks:
                    result = sink(value)
                    if inspect.isawaitable(result):
                        await result
        finally:
            await made.aclose()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.feed.close_iterators()
        if self._closing:
            return
        if task.cancelled():
            self.failure = AgentEndedError(f"agent {self._node.name!r} ({self._node.where}) was cancelled")
        else:
            error = task.exception()
            self.failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
        self._idle()

    def _work(self) -> None:
        self._is_working = True
        self._owner.working(self)

    def _idle(self) -> None:
        self._is_working = False
        self._owner.idle(self)

    # -- records

    def give(self, batch: Batch, times: Int64Array, origin: tuple[Batch, list[int]] | None = None) -> None:
        """Records for the function; `origin` is the batch that they are chosen from, and the chosen rows."""
        self._origin = None if origin is None else (batch, *origin)
        self._work()
        self.feed.give(batch, times)
        if batch.headers is not None:
            self._look_for_requests(batch)

    def _look_for_requests(self, batch: Batch) -> None:
        """Answers begin with the first of the records that is a request."""
        if self._answering is None:
            from streams.rpc.answering import Answering
            from streams.rpc.messages import request_of

            worker = self._node.agent.app.worker
            if worker is None or worker.rpc is None or not any(map(request_of, batch.headers or ())):
                return
            self._answering = Answering(self.feed, worker.rpc().replies_of(self._node.agent))
        self._answering.given(batch)

    @property
    def answers(self) -> bool:
        """Whether there may have been requests among its records."""
        return self._answering is not None

    def failed_at(self, batch: Batch, row: int, error: RecordError) -> None:
        """Tells who has asked that the function failed at a record and is not given it again."""
        if self._answering is not None:
            self._answering.failed(batch, row, error)

    def hand_over(self) -> None:
        self._work()
        self.feed.hand_over()

    def take_yielded(self) -> list[Yielded]:
        """What was yielded since the last time, by rows of the batch that was dealt out."""
        yielded, self._yielded = self._yielded, []
        if self._origin is None:
            return yielded
        part, whole, rows = self._origin
        return [(whole, rows[row], value) if batch is part else (batch, row, value) for batch, row, value in yielded]

    def take_sent(self) -> None:
        """Hands what was sent since the last time to the task's outputs."""
        for _, _, row in self._sent:
            self._pass_on(row)
        self._sent.clear()

    def _pass_on(self, row: Row) -> None:
        topic, key, value, time, headers = row
        self._context.outputs.add(topic, [key], [value], [time], [headers] if headers else None)

    def _take_back(self) -> None:
        """Undoes what the function did for the records it failed at."""
        if self._answering is not None:
            self._answering.take_back()
        for front in self._fronts:
            front.take_back()
            front.forget()
        for view, entry, old, timestamp, new in reversed(self.undo if self._at_hand() else []):
            view.undo(entry, old, timestamp, new)
        self.undo.clear()
        current = self.feed.current()
        while self._yielded and _is_among(self._yielded[-1], current):
            self._yielded.pop()
        while self._sent and _is_among(self._sent[-1], current):
            self._sent.pop()

    # -- for tables, for `app.send` and for `ask`

    @property
    def task(self) -> str:
        """The id of the task that it runs in."""
        return self._context.task

    def send(self, row: Row) -> None:
        """With the record at hand; at once by what goes on in the background after the last record was done."""
        if self._is_working:
            self._sent.append((self.feed.piece_at_hand.batch, self.feed.row, row))
        else:
            self._pass_on(row)

    def moment(self) -> int:
        feed = self.feed
        cursor = feed.cursor
        row = feed.last_row if cursor is None else feed.rows_max - length_hint(cursor)
        if feed.piece_at_hand is not self._piece:
            self._turn_to(feed.piece_at_hand)
        elif row != self._row:
            self.undo.clear()
        self._row = row
        return self._timestamps[row] if row >= 0 else max(0, self._context.stream_time_seen)

    def _turned(self) -> None:
        """The function has other rows."""
        if not self._fronts:
            return
        feed = self.feed
        if feed.piece_at_hand is not self._piece:
            self._turn_to(feed.piece_at_hand)
            self._row = -1
        for front in self._fronts:
            if feed.cursor is None:
                front.turn(self._timestamps[feed.last_row :][:1], repeat(None, 0))
            else:
                front.turn(self._times_by_left, feed.cursor)

    def _turn_to(self, piece: Piece) -> None:
        if self._piece is None or piece.batch is not self._piece.batch:
            self._timestamps = piece.batch.timestamps.tolist()
            self._times_by_left = self._timestamps[::-1] if self._fronts else []
        self._piece = piece
        self.undo.clear()

    def _at_hand(self) -> bool:
        """Whether what is noted in `undo` was done for the current record."""
        return self._row == self.feed.row and self._piece is self.feed.piece_at_hand

    def stream_time(self) -> int:
        row = self.feed.row
        return int(self.feed.piece_at_hand.stream_time[row]) if row >= 0 else self._context.stream_time_seen

    def now_ms(self) -> int:
        return self._context.now_ms()

    def late(self, table: str) -> None:
        self._context.failures.dropped(self._node, "late", 1)


def _is_among(done: tuple[Batch, int, Any], pieces: list[Piece]) -> bool:
    batch, row, _ = done
    return any(batch is piece.batch and piece.start <= row < piece.stop for piece in pieces)
