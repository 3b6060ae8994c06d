"""table.map_values: another value for each row; a null value is a deletion, and the function is not asked about it."""

from __future__ import annotations

from typing import Any

from streams.graph.nodes import TableMapValuesNode
from streams.operators.base import TaskContext
from streams.operators.calls import FAILED
from streams.operators.tables.derived_table import DerivedTable


class TableMapValuesOperator(DerivedTable[TableMapValuesNode]):
    """A function that gives None deletes the row (Kafka Streams' `KTableMapValues`)."""

    def __init__(self, node: TableMapValuesNode, context: TaskContext) -> None:
        super().__init__(node, context, node.function, node.value_type)

    def _values(self, values: list[Any], answers: list[Any]) -> list[Any]:
        return [None if answer is FAILED else answer for answer in answers]
