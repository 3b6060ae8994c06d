"""table.group_by: the rows of a table on their way to their groups, with what each change takes back.

The function is asked about the new and the old value of a change. Where both belong to one group they travel together,
so that no one sees the group without the row; else the old one goes first (Kafka Streams' `KTableRepartitionMap`). A
row for which the function gives None, or a None for key or value, is in no group.
"""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.nodes import TableGroupNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import FAILED
from streams.operators.drops import latest_only
from streams.operators.pairs import checked
from streams.operators.table_function import TableFunction
from streams.serde.changes import Change


class TableGroupOperator(Operator[TableGroupNode]):
    def __init__(self, node: TableGroupNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._function = TableFunction(checked(node.function, "group_by", or_none=True), node, context)

    def process(self, batch: Batch) -> Batch | None:
        batch = latest_only(batch, self.node, self.context.failures)
        return self._function.run(batch, lambda news: self._grouped(batch, news))

    def _grouped(self, batch: Batch, news: list[Any]) -> Batch | None:
        assert batch.olds is not None, "the table above was asked for old values"
        olds = self._function.again(batch.with_values(batch.olds, batch.value_type))
        index: list[int] = []
        keys: list[Any] = []
        values: list[Change] = []
        for row, pair in enumerate(zip(news, olds, strict=True)):
            for key, change in _apart(*map(_in_a_group, pair)):
                index.append(row)
                keys.append(key)
                values.append(change)
        return batch.expand(index, keys, values) if index else None


def _in_a_group(pair: Any) -> tuple[Any, Any] | None:
    return None if pair is None or pair is FAILED or None in (pair[0], pair[1]) else pair


def _apart(new: tuple[Any, Any] | None, old: tuple[Any, Any] | None) -> list[tuple[Any, Change]]:
    """(group, change) of what leaves for one change of the table."""
    if new and old and type(new[0]) is type(old[0]) and new[0] == old[0]:
        return [(new[0], Change(new[1], old[1]))]
    leaving = [] if old is None else [(old[0], Change(None, old[1]))]
    return leaving if new is None else [*leaving, (new[0], Change(new[1], None))]
