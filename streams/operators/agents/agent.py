"""Runs an agent's function in a task: records in through a list in memory, what it yields out as a batch.

The function runs in an asyncio task of its own, with its own context, for as long as the task lives. `process` puts a
batch into the function's feed and blocks until the function asks for more. A record that it raises at goes to the error
policy: what it yielded and changed in tables for that record is taken back, and the function starts anew with the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from operator import itemgetter
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from streams.agent_feed import Piece
from streams.arrays import Int64Array
from streams.batch import Batch
from streams.errors import RecordError, StreamsError, UserCodeError
from streams.graph.nodes import AgentNode
from streams.operators.agents.agent_run import AgentRun, Yielded
from streams.operators.base import NO_TIME, Blocked, Operator, TaskContext
from streams.operators.failures import TryAgain, described
from streams.operators.table_view import TableView
from streams.origin import Origin


class AgentOperator(Operator[AgentNode]):
    """With `concurrency` the function runs several times, and records are dealt out by key."""

    def __init__(self, node: AgentNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._views: dict[str, TableView] = {}
        self._runs: list[AgentRun] = []
        self._working: set[AgentRun] = set()
        self._settled: asyncio.Future[None] | None = None
        self._observed = NO_TIME

    # -- life

    def open(self) -> None:
        clock = self.context.load_clock(self.node.name)
        self._observed = NO_TIME if clock is None else clock
        # Not before: a view looks at once which windows there are, and now the stores are restored.
        self._views = {store.name: self.context.view(store) for store in self.node.tables}
        self._runs = [AgentRun(self, self.node, self.context, self._views) for _ in range(self.node.concurrency)]
        self._tell_time()
        for run in self._runs:
            run.start()

    def close(self) -> None:
        """Cancels the function; `closed` waits until it has come to its end."""
        for run in self._runs:
            run.close()

    async def closed(self) -> None:
        """Returns when nothing of the agent runs any more."""
        await asyncio.gather(*(run.ended() for run in self._runs))

    # -- records

    def process(self, batch: Batch) -> Batch | None:
        if not len(batch):
            return None
        for view in self._views.values():
            view.trim()
        times = np.maximum(np.maximum.accumulate(batch.timestamps), self._observed)
        self._observed = int(times[-1])
        self._deal(batch, np.minimum(times, self.context.time_bound))
        return self._go_on()

    def _deal(self, batch: Batch, times: Int64Array) -> None:
        if len(self._runs) == 1:
            self._runs[0].give(batch, times)
            return
        lanes = _lanes(batch, len(self._runs))
        for number, run in enumerate(self._runs):
            mask = lanes == number
            if mask.any():
                run.give(batch.take(mask), times[mask], (batch, np.flatnonzero(mask).tolist()))

    def flush(self) -> Batch | None:
        """Lists that `take` is collecting are handed over as they are."""
        holding = [run for run in self._runs if run.feed.holds]
        for run in holding:
            run.hand_over()
        return self._go_on() if holding or any(run.failure for run in self._runs) else None

    @property
    def collects(self) -> bool:
        """Whether the function is collecting a list."""
        return any(run.feed.holds for run in self._runs)

    @property
    def pending(self) -> int | None:
        """Up to when (wall clock, ms) a commit may be put off for a list to fill; None when no list asks for it."""
        return min((at for run in self._runs if (at := run.feed.deadline_ms) is not None), default=None)

    def save(self) -> Iterator[None]:
        self._tell_time()
        for view in self._views.values():
            yield from view.save()
        self.context.save_clock(self.node.name, self._observed)

    def _tell_time(self) -> None:
        for store in self.node.written:  # of what a pipeline keeps, windows go by the pipeline's time
            self._views[store.name].observe(self.node.name, self.context.stream_time(self._observed))

    # -- waiting for the function

    def working(self, run: AgentRun) -> None:
        """A run has something to do."""
        self._working.add(run)

    def idle(self, run: AgentRun) -> None:
        """A run asks for more, or has ended."""
        self._working.discard(run)
        if not self._working and self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def _go_on(self) -> Batch | None:
        for run in self._runs:
            if run.failure is not None:
                self._failed(run, run.failure)
        if self._working:
            raise Blocked(self._all_idle(), self._go_on)
        return self._output()

    def _all_idle(self) -> Awaitable[None]:
        self._settled = asyncio.get_running_loop().create_future()
        return self._settled

    def _failed(self, run: AgentRun, error: Exception) -> None:
        current = run.feed.current()
        if isinstance(error, StreamsError) and not isinstance(error, RecordError):
            self._tell_who_asked(run, current, error)
            raise error  # the app is at fault, not a record: no policy makes that good
        if not current:
            raise UserCodeError(error, step=self.node.name) from error
        try:
            self._ask_policy(current, error)
        except TryAgain as again:
            raise Blocked(self.context.sleep(again.delay_s), lambda: self._again(run)) from None
        except Exception:
            self._tell_who_asked(run, current, error)
            raise
        self._tell_who_asked(run, current, error)
        run.restart(again=False)

    def _tell_who_asked(self, run: AgentRun, current: list[Piece], error: Exception) -> None:
        """Of records that are not tried again."""
        if run.answers:
            for piece in current:
                for row in range(piece.start, piece.stop):
                    run.failed_at(piece.batch, row, described(UserCodeError(error), self.node, piece.batch, row))

    def _again(self, run: AgentRun) -> Batch | None:
        run.restart(again=True)
        return self._go_on()

    def _ask_policy(self, current: list[Piece], error: Exception) -> None:
        """Asks about every record of a list; retries are counted by its first, and the whole list is tried again."""
        rows = [(piece.batch, row) for piece in current for row in range(piece.start, piece.stop)]
        self.context.failures.handle(self.node, *rows[0], error)
        for batch, row in rows[1:]:
            self.context.failures.give_up(self.node, batch, row, error)

    # -- out

    def _output(self) -> Batch | None:
        for run in self._runs:
            run.take_sent()
        yielded = [one for run in self._runs for one in run.take_yielded()]
        if not yielded:
            return None
        parts = [self._part(rows) for rows in _by_batch(yielded)]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _part(self, yielded: list[Yielded]) -> Batch:
        """What was yielded at the rows of one batch, in the order of rows."""
        if len(self._runs) > 1:
            yielded.sort(key=itemgetter(1))
        batch = yielded[0][0]
        rows = [row for _, row, _ in yielded]
        keys = batch.keys
        values = [value for _, _, value in yielded]
        made = batch.expand(rows, [keys[row] for row in rows], values, self.node.agent.output_type)
        if made.headers is not None and any(run.answers for run in self._runs):
            from streams.rpc.messages import without_request

            made.headers = [without_request(headers) for headers in made.headers]
        return made


def _by_batch(yielded: list[Yielded]) -> list[list[Yielded]]:
    batches = {id(batch): batch for batch, _, _ in yielded}
    if len(batches) == 1:
        return [yielded]
    return [[one for one in yielded if one[0] is batch] for batch in batches.values()]


def _joined(parts: list[Batch]) -> Batch:
    with_headers = any(part.headers is not None for part in parts)
    return Batch(
        offsets=np.concatenate([part.offsets for part in parts]),
        timestamps=np.concatenate([part.timestamps for part in parts]),
        keys=[key for part in parts for key in part.keys],
        values=[value for part in parts for value in part.values],
        headers=[h for part in parts for h in part.headers or [()] * len(part)] if with_headers else None,
        topic=parts[-1].topic,
        partition=parts[-1].partition,
        value_type=parts[-1].value_type,
        origin=Origin.joined([part.origin for part in parts]),
    )


def _lanes(batch: Batch, count: int) -> npt.NDArray[np.int64]:
    """Which run gets each record: by key, the same in every process; records without a key by their offset."""
    lanes = [
        offset % count if key is None else crc32(_key_bytes(key)) % count
        for key, offset in zip(batch.keys, batch.offsets.tolist(), strict=True)
    ]
    return np.array(lanes, np.int64)


def _key_bytes(key: Any) -> bytes:
    if isinstance(key, bytes):
        return key
    return key.encode() if isinstance(key, str) else msgspec.json.encode(key, order="deterministic")
