"""The least that every step is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.graph.definitions import StoreDef

if TYPE_CHECKING:
    from streams.policies import Policy


@dataclass(eq=False, slots=True, kw_only=True)
class Node:
    """A step. `name` is unique in the app; `where` is the user's line. `sends_old`: a table hands on, with each new
    value, the one that it replaces (`streams.graph.old_values` says who asks for it). `asked_old`: somebody asked who
    asks in Kafka Streams as well, where that shows in what a table says of rows that were never there.
    """

    name: str
    parents: tuple[Node, ...] = ()
    where: str = ""
    on_error: Policy | None = None
    sends_old: bool = False
    asked_old: bool = False

    @property
    def kind(self) -> str:
        """The step's word in drawings and messages: the class name without `Node`, in snake case."""
        words = type(self).__name__.removesuffix("Node")
        return "".join("_" + c.lower() if c.isupper() else c for c in words).lstrip("_")

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        """The stores that the step reads or writes."""
        return ()

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        """The stores that the step writes."""
        return ()


@dataclass(eq=False, slots=True, kw_only=True)
class TableNode(Node):
    """A step whose output is a table's changes. `store` is where the table is kept; a table without one is computed
    from those of its parents whenever somebody looks into it (`streams.graph.lookups`).
    """

    store: StoreDef | None = None

    @property
    def keeps_old(self) -> bool:
        """Whether the step knows by itself what its changes replace, and need not be told by its parents."""
        return self.store is not None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return () if self.store is None else (self.store,)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return () if self.store is None else (self.store,)
