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
        idle = batch.idle if self.node.told is None else self._not_told(batch)
        if idle is None or not idle.any():
            return batch
        return None if idle.all() else batch.take(~idle).with_idle(None)

    def _not_told(self, batch: Batch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which changes delete rows that were not handed on."""
        assert self.node.told is not None
        view = self.context.view(self.node.told)
        idle = np.zeros(len(batch), np.bool_)
        for row, (key, value, timestamp) in enumerate(batch.rows()):
            entry = view.entry_of(key)
            idle[row] = value is None and view.read(entry, None) is None
            if not idle[row]:
                view.write(entry, None if value is None else True, timestamp, None)
        view.trim()
        return idle

    def save(self) -> Iterator[None]:
        if self.node.told is not None:
            yield from self.context.view(self.node.told).save()
