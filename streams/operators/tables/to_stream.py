"""table.to_stream, where a join of tables may have deleted what was not there: such changes are for tables only.

Kafka Streams hands them on to everybody.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import ToStreamNode
from streams.operators.base import Operator


class ToStreamOperator(Operator[ToStreamNode]):
    def process(self, batch: Batch) -> Batch | None:
        no_ops = batch.no_ops if self.node.told is None else self._not_told(batch)
        if no_ops is None or not no_ops.any():
            return batch
        return None if no_ops.all() else batch.take(~no_ops).with_no_ops(None)

    def _not_told(self, batch: Batch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which changes delete rows that were not handed on."""
        assert self.node.told is not None
        view = self.context.view(self.node.told)
        no_ops = np.zeros(len(batch), np.bool_)
        for row, (key, value, timestamp) in enumerate(batch.rows()):
            entry = view.entry_of(key)
            no_ops[row] = value is None and view.read(entry, None) is None
            if not no_ops[row]:
                view.write(entry, None if value is None else True, timestamp, None)
        view.trim()
        return no_ops

    def save(self) -> Iterator[None]:
        if self.node.told is not None:
            yield from self.context.view(self.node.told).save()
