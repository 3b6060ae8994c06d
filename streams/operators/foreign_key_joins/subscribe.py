"""join, left_join by foreign key, the left side: each change subscribes to the row that it refers to.

Which subscriptions begin and end is Kafka Streams' rule (`SubscriptionSendProcessorSupplier`). What goes out has the
bytes of the foreign key as key, and a `Subscription` as value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from streams.batch import Batch
from streams.graph.nodes import SubscribeNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import FAILED
from streams.operators.drops import latest_only
from streams.operators.foreign_key_joins.foreign_keys import (
    BY_KEY,
    END,
    END_AND_TELL,
    NO_HASH,
    TELL,
    TELL_IF_THERE,
    VERSION,
    Subscription,
    encode,
    fingerprint_for,
    transport_serde,
)
from streams.operators.table_function import TableFunction
from streams.partitioner import partition_for
from streams.serde import key_serde_for

Told = tuple[bytes | None, int]
"""A foreign key, as bytes, and an instruction."""


class Change(NamedTuple):
    """A change of the left table, row `row` of `batch`: what it asks, and the fingerprint of its value, or FAILED."""

    batch: Batch
    row: int
    key: bytes
    asks: list[Told]
    hash: Any


class SubscribeOperator(Operator[SubscribeNode]):
    """A change whose value refers to nothing is left out of an inner join, and counted."""

    def __init__(self, node: SubscribeNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._foreign_key = TableFunction(node.foreign_key, node, context)
        self._keys = key_serde_for(node.key_type)
        self._right_keys = key_serde_for(node.right_key_type)
        self._values = transport_serde(node.value_type)
        self._fingerprint = fingerprint_for(node.value_type)
        self._changes: list[Change] = []
        self._leaving: Iterator[Batch] = iter(())

    def process(self, batch: Batch) -> Batch | None:
        batch = latest_only(batch, self.node, self.context.failures)
        assert batch.olds is not None, "the table was asked for them"
        before = batch.with_values(batch.olds, batch.value_type)
        return self._refer(batch, lambda news: self._refer(before, lambda olds: self._told(batch, news, olds)))

    def _refer(self, batch: Batch, then: Callable[[list[Any]], Batch | None]) -> Batch | None:
        """`then(foreign keys)`, as bytes; None where there is no value, or it refers to nothing; FAILED."""
        return self._foreign_key.run(batch, lambda found: then(self._encoded(batch, found)))

    def _encoded(self, batch: Batch, found: list[Any]) -> list[Any]:
        return [
            key if key is None or key is FAILED else self._try(batch, row, self._right_keys.encode, key)
            for row, key in enumerate(found)
        ]

    def _try(self, batch: Batch, row: int, work: Callable[[Any], bytes], item: Any) -> Any:
        """What `work` makes of it; FAILED where the error policy left the record out."""
        try:
            return work(item)
        except Exception as error:  # noqa: BLE001 - a value that is not of the declared type, whatever a serde says to that
            self.context.failures.give_up(self.node, batch, row, error)
            return FAILED

    def _told(self, batch: Batch, news: list[Any], olds: list[Any]) -> Batch | None:
        """Notes what all changes ask; the subscriptions of a whole batch leave together, however its records came."""
        keys = batch.encoded_keys(self._keys)
        for row, (new, old) in enumerate(zip(news, olds, strict=True)):
            asks = self._said_by(batch, row, new, old)
            self._changes.append(Change(batch, row, keys[row], asks, self._hash(batch, row)))
        return None if self.context.by_row else self.more()

    def end_rows(self) -> Batch | None:
        return self.more()

    def more(self) -> Batch | None:
        """The subscriptions of all changes, in order; those of each batch that came at a time."""
        if self._changes:
            changes, self._changes = self._changes, []
            self._leaving = iter(self._subscriptions(changes))
        return next(self._leaving, None)

    def _subscriptions(self, changes: list[Change]) -> Iterator[Batch]:
        superseded = self._superseded(changes)
        for _, group in groupby(enumerate(changes), lambda item: id(item[1].batch)):
            told: list[tuple[int, bytes, bytes]] = []
            for at, change in group:
                last = superseded.get(at, at)
                for foreign_key, instruction in change.asks if changes[last].hash is not FAILED else ():
                    subscription = Subscription(
                        VERSION,
                        BY_KEY if foreign_key is not None else self.context.partition,
                        instruction,
                        self.context.partition,
                        changes[last].hash,
                        change.key,
                        *((True, self._value(change.batch.values[change.row])) if last != at else ()),
                    )
                    told.append((change.row, foreign_key or b"", encode(subscription)))
            if told:
                rows, foreign_keys, values = (list(column) for column in zip(*told, strict=True))
                yield change.batch.expand(rows, foreign_keys, values)

    def _hash(self, batch: Batch, row: int) -> Any:
        value = batch.values[row]
        return NO_HASH if value is None else self._try(batch, row, self._fingerprint, value)

    def _value(self, value: Any) -> bytes | None:
        return None if value is None else self._values.encode(value)

    def _superseded(self, changes: list[Change]) -> dict[int, int]:
        """Changes whose row changes again in the batch, each with the last of those: as far as their answers come
        before those of the later changes, because all of them are asked of one partition.
        """
        last = {change.key: at for at, change in enumerate(changes)}
        if len(last) == len(changes):
            return {}
        asked: dict[bytes, set[int]] = {key: set() for key in last}
        found: dict[int, int] = {}
        for at in range(len(changes) - 1, -1, -1):
            key, asks = changes[at].key, changes[at].asks
            # Of the two that a change may ask, the last is the one that answers.
            asked[key].update(self._partition(foreign_key) for foreign_key, _ in asks[-1:])
            if at != last[key] and len(asked[key]) == 1:
                found[at] = last[key]
        return found

    def _partition(self, foreign_key: bytes | None) -> int:
        count = self.context.outputs.partitions(self.node.topic.name)
        return self.context.partition % count if foreign_key is None else partition_for(foreign_key, count)

    def _said_by(self, batch: Batch, row: int, new: Any, old: Any) -> list[Told]:
        assert batch.olds is not None
        if new is FAILED:
            return []
        there, was_there = batch.values[row] is not None, batch.olds[row] is not None
        return self._said(there, new, was_there, None if old is FAILED else old)

    def _said(self, there: bool, new: bytes | None, was_there: bool, old: bytes | None) -> list[Told]:
        """The subscriptions that a change begins and ends, by whether there is and was a value, and what it refers and
        referred to.
        """
        if self.node.left:
            if not (there or was_there):
                return []
            ended = [(old, END)] if old is not None and old != new else []
            # A row that refers to nothing, or is deleted, asks as well: the answer makes or ends the joined row.
            return [*ended, (new, TELL)]
        if new is None:
            self.context.failures.dropped(self.node, "null_key", int(there))
            return [] if old is None else [(old, END_AND_TELL)]
        if old is None or old == new:
            # Nothing there: an insert has no row to end, and a row that refers to what it did had none.
            return [(new, TELL_IF_THERE)]
        return [(old, END), (new, TELL)]
