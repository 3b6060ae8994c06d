"""Records of one side together with what the other side has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.graph.definitions import StoreDef
from streams.graph.functions import UserFunction
from streams.graph.nodes.base import Node, TableNode

if TYPE_CHECKING:
    from streams.expressions import Expression


@dataclass(eq=False, slots=True, kw_only=True)
class TableJoinNode(Node):
    """Each record of the stream together with the table's value for its key, as the table stands then. `table` is the
    table's step, `looked` the stores that answer for it.
    """

    table: TableNode
    looked: tuple[StoreDef, ...]
    joiner: UserFunction
    left: bool
    value_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return self.looked


@dataclass(eq=False, slots=True, kw_only=True)
class GlobalTableJoinNode(Node):
    """Each record of the stream together with a global table's value for what `key` gives, whatever its own key is."""

    table: StoreDef
    key: UserFunction | Expression
    joiner: UserFunction
    left: bool
    value_type: Any = None
