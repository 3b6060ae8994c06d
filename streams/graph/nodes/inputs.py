"""Where records come in: a topic, and the table that one is."""

from __future__ import annotations

from dataclasses import dataclass

from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.nodes.base import Node


@dataclass(eq=False, slots=True, kw_only=True)
class SourceNode(Node):
    """Reads one topic: bytes become a batch."""

    topic: TopicDef


@dataclass(eq=False, slots=True, kw_only=True)
class TableSourceNode(Node):
    """Keeps the latest value of each key of its parent in `store`: a table's entrance."""

    store: StoreDef

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.store,)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.store,)
