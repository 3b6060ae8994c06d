"""What every join of a stream with a table does with the rows that it has found (Kafka Streams'
`KStreamKTableJoinProcessor`): an inner join leaves out records that found none, the joiner is called with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import BufferedTableJoinNode, GlobalTableJoinNode, TableJoinNode
from streams.operators.base import TaskContext
from streams.operators.calls import Calls, holds, left_over


class JoinedRows:
    """The joiner of one step."""

    def __init__(self, node: TableJoinNode | BufferedTableJoinNode | GlobalTableJoinNode, context: TaskContext) -> None:
        self._node = node
        self._context = context
        self._calls = Calls(node.joiner, node, context)

    def present(self, batch: Batch, reason: str, column: Sequence[Any]) -> Batch:
        """The records for which `column` is not None; the others are counted under `reason`."""
        if not holds(column, NoneType):
            return batch
        present = np.fromiter((entry is not None for entry in column), np.bool_, len(column))
        self._context.failures.dropped(self._node, reason, len(column) - int(present.sum()))
        return batch.take(present)

    def run(self, batch: Batch, rights: list[Any]) -> Batch | None:
        """The results, with the table's row (or None) for each record. Raises Blocked while a retry backs off."""
        if not self._node.left and holds(rights, NoneType):
            found = np.fromiter((right is not None for right in rights), np.bool_, len(rights))
            batch = batch.take(found)
            rights = [right for right in rights if right is not None]
        if not len(batch):
            return None
        pair = [batch.values, rights]
        columns = pair if self._node.joiner.arity == 2 else [batch.keys, *pair]
        return self._calls.run(batch, lambda results: self._joined(batch, results), columns)

    def _joined(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, values = left_over(batch, results)
        return kept.with_values(values, self._node.value_type) if values else None
