"""What a pipeline is written into: the graph of one app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.graph.definitions import StoreDef
from streams.graph.plan import Graph

if TYPE_CHECKING:
    from streams.store import Store


@dataclass(slots=True)
class Builder:
    """The graph that grows while an app is written, and the app's id, which internal topics carry in their names."""

    app_id: str
    graph: Graph = field(default_factory=Graph)
    unfinished: dict[int, str] = field(default_factory=dict)
    """What was begun and would do nothing as it stands, by whom."""
    user_stores: dict[Store, StoreDef] = field(default_factory=dict)

    def changelog(self, store: str) -> str:
        """The name of a store's changelog topic."""
        return f"{self.app_id}-{store}-changelog"
