"""branch: the records of one branch of a split."""

from __future__ import annotations

from streams.batch import Batch
from streams.graph.nodes import BranchNode
from streams.operators.base import Operator


class BranchOperator(Operator[BranchNode]):
    def process(self, batch: Batch) -> Batch | None:
        return batch
