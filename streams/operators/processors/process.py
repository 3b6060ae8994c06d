"""process: each record through a processor of the user's, with its stores, its schedules, and what it hands on.

What `ctx.forward` is given goes on when the call of the processor that gave it is over, in order. So a call that raises
has done nothing: what it handed on is dropped, and its stores are as before. Kafka Streams calls the steps behind
within `forward`, which only a step that shares a store with the processor can tell; where there is one, so do we.

Stream time is looked at after each record of the task, as Kafka's test driver does it, whether or not the record came
here: before a record of a batch this step makes the calls that fell due with the records before it, and the task makes
those that are left behind the batch (`Executor`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from streams.batch import Batch, no_offsets
from streams.graph.nodes import Node, ProcessNode
from streams.operators.base import Blocked, Operator, TaskContext
from streams.operators.failures import TryAgain
from streams.operators.processors.lifecycle import begin, end
from streams.operators.processors.processor_context import ProcessorContext
from streams.operators.punctuations import Schedule
from streams.processing import ProcessorRecord


class Forwarded(NamedTuple):
    """A record on its way to the steps behind, or to one of them."""

    record: ProcessorRecord
    offset: int
    to: str | None


class Punctuation:
    """A call that is due; the batch stands for its record where the error policy wants one."""

    def __init__(self, schedule: Schedule, time_ms: int) -> None:
        self.schedule = schedule
        self.time_ms = time_ms
        self.batch = Batch(offsets=no_offsets(1), timestamps=np.array([time_ms], np.int64), keys=[None], values=[None])


class PassedOn(BaseException):
    """What a step behind raised, on its way through a processor, which is not to take it for an error of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class ProcessOperator(Operator[ProcessNode]):
    record_type: type[ProcessorRecord] = ProcessorRecord
    """What the processor is given."""

    def __init__(self, node: ProcessNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._processor: Any = None
        self._ctx = ProcessorContext(self)
        self._batch: Batch | None = None
        self._row = 0
        self._places: list[int] = []
        """For each row of the batch, how many of the records at hand come before it."""
        self._due: Iterator[Punctuation] | None = None
        self._punctuation: Punctuation | None = None
        self._given: list[Forwarded] = []
        """What the call that runs now has handed on."""
        self._at_once = False
        self._source: Batch | None = None
        """What the record at hand is of; None in a scheduled call."""
        self._leaving: deque[tuple[Forwarded, Batch | None]] = deque()

    def open(self) -> None:
        self._processor = self.node.make()
        begin(self._processor, self._ctx, self.node.name)
        self._ctx.begun = True
        own = {store.name for store in self.node.stores}
        self._at_once = any(own & {store.name for store in node.stores} for node in self._behind())

    def _behind(self) -> list[Node]:
        """All steps to which something gets from here."""
        found: list[Node] = [self.node]
        for operator in self.context.operators.values():  # parents first
            if any(parent in found for parent in operator.node.parents):
                found.append(operator.node)
        return found[1:]

    def close(self) -> None:
        end(self._processor)

    # -- records

    def process(self, batch: Batch) -> Batch | None:
        self._batch, self._row = batch, 0
        self._places = self.context.places_at_hand(batch.offsets)
        return self._go_on()

    def _go_on(self) -> Batch | None:
        """The rows that are left, with the calls that fall due before each."""
        batch = self._batch
        assert batch is not None
        try:
            while self._row < len(batch):
                self._punctuate_before(self._row)
                self._one(batch, self._row)
                self._row += 1
        except TryAgain as again:
            raise Blocked(self.context.sleep(again.delay_s), self._go_on) from None
        self._batch = None
        return self.more()

    def _one(self, batch: Batch, row: int) -> None:
        headers = () if batch.headers is None else batch.headers[row]
        record = self.record_type(batch.keys[row], batch.values[row], int(batch.timestamps[row]), headers)
        self._source = batch
        self._ctx.at_record(record, batch, row)
        try:
            self._processor.process(record)
        except PassedOn as passed:
            raise passed.error from None
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises goes to the error policy
            self._ctx.undo()
            self._given.clear()
            self.context.failures.handle(self.node, batch, row, error)
        self._keep(batch)

    def forward(self, record: ProcessorRecord, offset: int, to: str | None) -> None:
        """Takes what the call that runs now hands on."""
        given = Forwarded(record, offset, to)
        if not self._at_once or self.context.run_within is None:
            self._given.append(given)
            return
        self.only_child = to
        try:
            self.context.run_within(self.node.name, self._made_of([given], self._source))
        except Exception as error:
            raise PassedOn(error) from error

    def children(self) -> list[str]:
        """The names of the steps behind."""
        return [name for name, other in self.context.operators.items() if self.node in other.node.parents]

    # -- schedules

    def _punctuate_before(self, row: int) -> None:
        punctuations = self.context.punctuations
        if self._due is None:
            if punctuations is None or not punctuations.queues["stream"]:
                return
            self._due = (Punctuation(*due) for due in punctuations.through(self._places[row]))
        while (due := self._punctuation or next(self._due, None)) is not None:
            self._punctuation = due  # kept while a retry backs off
            self._call(due)
            self._punctuation = None
        self._due = None

    def punctuate(self, schedule: Schedule, time_ms: int) -> Batch | None:
        """Makes a call that is due, and answers with what it hands on."""
        return self._punctuate(Punctuation(schedule, time_ms))

    def _punctuate(self, due: Punctuation) -> Batch | None:
        try:
            self._call(due)
        except TryAgain as again:
            raise Blocked(self.context.sleep(again.delay_s), lambda: self._punctuate(due)) from None
        return self.more()

    def _call(self, due: Punctuation) -> None:
        self._source = None
        self._ctx.at_time(due.time_ms, due.schedule.kind)
        try:
            due.schedule.callback(due.time_ms)
        except PassedOn as passed:
            raise passed.error from None
        except Exception as error:  # noqa: BLE001 - as for records
            self._ctx.undo()
            self._given.clear()
            self.context.failures.handle(self.node, due.batch, 0, error)
        self._keep(None)

    # -- answers

    def _keep(self, batch: Batch | None) -> None:
        """A call is over: what it handed on leaves, what it changed stays."""
        if self._given:
            self._leaving.extend((given, batch) for given in self._given)
            self._given.clear()
        self._ctx.done()

    def more(self) -> Batch | None:
        """The next records for the same children, of the same input."""
        if not self._leaving:
            return None
        first, source = self._leaving[0]
        rows: list[Forwarded] = []
        while self._leaving and self._leaving[0][0].to == first.to and self._leaving[0][1] is source:
            rows.append(self._leaving.popleft()[0])
        self.only_child = first.to
        return self._made_of(rows, source)

    def _made_of(self, rows: list[Forwarded], source: Batch | None) -> Batch:
        keys, values, timestamps, headers = zip(*(row.record for row in rows), strict=True)
        return Batch(
            offsets=np.array([row.offset for row in rows], np.int64),
            timestamps=np.array(timestamps, np.int64),
            keys=list(keys),
            values=list(values),
            headers=list(headers) if any(headers) else None,
            topic="" if source is None else source.topic,
            partition=self.context.partition,
            value_type=self.node.value_type,
            origin=None if source is None else source.origin,
        )

    def save(self) -> Iterator[None]:
        yield from self._ctx.save()
