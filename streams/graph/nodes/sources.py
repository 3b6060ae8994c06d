"""Where records come in: a topic, and the table that one is."""

from __future__ import annotations

from dataclasses import dataclass

from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.nodes.base import Node, TableNode


@dataclass(eq=False, slots=True, kw_only=True)
class SourceNode(Node):
    """Reads one topic: bytes become a batch.

    `fields_read` are the fields of its values that the steps behind it read, if all of them are column expressions.
    """

    topic: TopicDef
    fields_read: frozenset[str] | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class TableSourceNode(TableNode):
    """Keeps the latest value of each key of its parent in `store`: a table's entrance.

    `materialized`: the user named the table, or a step looks into it. Only then does it hand on old values to a step
    that makes use of them without needing them (Kafka's `KTableSource.materialized`).
    """

    store: StoreDef
    materialized: bool = True
