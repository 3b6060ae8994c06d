"""join, left_join by foreign key, the right side: subscriptions are kept, and answered with the row as it stands.

The rules are Kafka Streams' (`SubscriptionReceiveProcessorSupplier`, `SubscriptionJoinProcessorSupplier`): an answer's
timestamp is the later of the subscription and the row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import SubscriptionNode
from streams.operators.base import Found, Operator, TaskContext
from streams.operators.foreign_key_joins.foreign_keys import (
    BY_KEY,
    END,
    END_AND_TELL,
    TELL_IF_THERE,
    VERSION,
    Answer,
    Subscription,
    encode,
    read_subscription,
    stored_key,
    stored_value,
    transport_serde,
)
from streams.serde import key_serde_for


class SubscriptionOperator(Operator[SubscriptionNode]):
    def __init__(self, node: SubscriptionNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._right_keys = key_serde_for(node.right_key_type)
        self._right_values = transport_serde(node.right_value_type)

    def open(self) -> None:
        self._right = self.context.operators[self.node.right.name]

    def process(self, batch: Batch) -> Batch | None:
        asked = [read_subscription(value) for value in batch.values]
        foreign_keys = [key if one.to == BY_KEY else None for key, one in zip(batch.keys, asked, strict=True)]
        self._keep(foreign_keys, asked, batch.timestamps.tolist())
        found = self._right.lookup(self._right_keys.decode_each(foreign_keys))
        return self._answered(batch, asked, found)

    def _keep(self, foreign_keys: list[Any], asked: list[Subscription], times: list[int]) -> None:
        keys: list[bytes] = []
        values: list[bytes | None] = []
        stamps: list[int] = []
        for foreign_key, one, time in zip(foreign_keys, asked, times, strict=True):
            if foreign_key is not None:
                keys.append(stored_key(foreign_key, one.key))
                values.append(None if one.instruction in (END, END_AND_TELL) else stored_value(one))
                stamps.append(time)
        self.context.stores.put_many(self.node.subscriptions.name, keys, values, stamps)

    def _answered(self, batch: Batch, asked: list[Subscription], found: list[Found]) -> Batch | None:
        rows: list[int] = []
        times: list[int] = []
        answers: list[bytes] = []
        for row, (one, right, time) in enumerate(zip(asked, found, batch.timestamps.tolist(), strict=True)):
            if one.instruction == END or (one.instruction == TELL_IF_THERE and right is None):
                continue
            tells = right is not None and one.instruction != END_AND_TELL
            value = self._right_values.encode(right[0]) if tells and right is not None else None
            rows.append(row)
            times.append(time if right is None else max(time, right[1]))
            answers.append(encode(Answer(VERSION, one.partition, one.hash, value, one.superseded, one.left)))
        if not rows:
            return None
        made = batch.expand(rows, [asked[row].key for row in rows], answers)
        made.timestamps = np.array(times, np.int64)
        return made
