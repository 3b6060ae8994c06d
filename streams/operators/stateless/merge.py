"""merge: the records of several streams as one, as they come."""

from __future__ import annotations

from streams.batch import Batch
from streams.graph.nodes import MergeNode
from streams.operators.base import Operator


class MergeOperator(Operator[MergeNode]):
    def process(self, batch: Batch) -> Batch | None:
        return batch
