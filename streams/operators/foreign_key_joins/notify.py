"""join, left_join by foreign key, the right side: each change goes to all that subscribed to its key (Kafka Streams'
`ForeignTableJoinProcessorSupplier`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from streams.batch import Batch
from streams.graph.nodes import NotifyNode
from streams.operators.base import PIECE_ROWS, Operator, TaskContext
from streams.operators.drops import latest_only
from streams.operators.foreign_key_joins.foreign_keys import (
    VERSION,
    Answer,
    block,
    encode,
    read_stored,
    transport_serde,
)
from streams.serde import key_serde_for

Sent = tuple[int, bytes, bytes]
"""Row of the change, key of the subscriber, answer."""


class NotifyOperator(Operator[NotifyNode]):
    def __init__(self, node: NotifyNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._keys = key_serde_for(node.key_type)
        self._values = transport_serde(node.value_type)
        self._changes: Batch | None = None
        self._left: Iterator[Sent] = iter(())

    def process(self, batch: Batch) -> Batch | None:
        self._changes = latest_only(batch, self.node, self.context.failures)
        self._left = self._subscribers(self._changes)
        return self.more()

    def more(self) -> Batch | None:
        sent = list(islice(self._left, PIECE_ROWS))
        if not sent or self._changes is None:
            self._changes = None
            return None
        rows, keys, answers = (list(column) for column in zip(*sent, strict=True))
        return self._changes.expand(rows, keys, answers)

    def _subscribers(self, batch: Batch) -> Iterator[Sent]:
        store = self.context.stores.key_value(self.node.subscriptions.name)
        for row, (key, value) in enumerate(zip(batch.encoded_keys(self._keys), batch.values, strict=True)):
            low, high = block(key)
            encoded = None
            with store.scan(low, high) as subscriptions:
                for subscribed, kept, _ in subscriptions:
                    if encoded is None and value is not None:
                        encoded = self._values.encode(value)
                    partition, hash_ = read_stored(kept)
                    yield row, subscribed[len(low) :], encode(Answer(VERSION, partition, hash_, encoded))
