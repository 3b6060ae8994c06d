"""Records of one side together with what the other side has; changes of tables together with the other table's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.graph.definitions import StoreDef
from streams.graph.functions import UserFunction
from streams.graph.nodes.base import Node, TableNode

if TYPE_CHECKING:
    from streams.expressions import Expression
    from streams.expressions.sides import SidedExpression
    from streams.join_window import JoinWindow


@dataclass(eq=False, slots=True, kw_only=True)
class TableJoinNode(Node):
    """Each record of the stream together with the table's value for its key, as the table stands then. `table` is the
    table's step, `looked` the stores that answer for it.
    """

    table: TableNode
    looked: tuple[StoreDef, ...]
    joiner: UserFunction | SidedExpression
    left: bool
    value_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return self.looked


@dataclass(eq=False, slots=True, kw_only=True)
class BufferedTableJoinNode(Node):
    """Each record of the stream, once time has gone on by `grace_ms`, together with the value that a versioned table
    then knows for its key at its timestamp. Until then it waits in `buffer`.
    """

    table: TableNode
    looked: tuple[StoreDef, ...]
    buffer: StoreDef
    grace_ms: int
    joiner: UserFunction | SidedExpression
    left: bool
    value_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (*self.looked, self.buffer)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.buffer,)


@dataclass(eq=False, slots=True, kw_only=True)
class GlobalTableJoinNode(Node):
    """Each record of the stream together with a global table's value for what `key` gives, whatever its own key is."""

    table: StoreDef
    key: UserFunction | Expression
    joiner: UserFunction | SidedExpression
    left: bool
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class StreamJoinNode(Node):
    """Records of two streams that have one key and are near enough in time. The parents are the left and the right
    side, which may be one and the same; `keeps_left` and `keeps_right` say whose records leave alone when they meet
    none.
    """

    within: JoinWindow
    joiner: UserFunction
    keeps_left: bool
    keeps_right: bool
    left_store: StoreDef
    right_store: StoreDef
    value_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.left_store, self.right_store)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return self.stores


@dataclass(frozen=True, slots=True)
class TableJoiner:
    """What makes a row of two tables' values: the user's function, and which values there must be."""

    function: UserFunction
    needs_left: bool
    needs_right: bool
    value_type: Any = None

    def has_row(self, left: Any, right: Any) -> bool:
        """Whether the joined table may have a row for these values.

        >>> left_join = TableJoiner(UserFunction(max, step="left_join", takes=3), True, False)
        >>> left_join.has_row(1, None), left_join.has_row(None, 1)
        (True, False)
        """
        if left is None:
            return right is not None and not self.needs_left
        return right is not None or not self.needs_right


@dataclass(eq=False, slots=True, kw_only=True)
class TableTableJoinNode(Node):
    """One side of a join of two tables: each change of the parent together with what `other` has for its key.

    `is_left` says which side the parent is. `apart`: no record changes both tables, so that what a change replaces
    tells whether the join had a row.
    """

    other: TableNode
    looked: tuple[StoreDef, ...]
    joiner: TableJoiner
    is_left: bool
    apart: bool

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return self.looked


@dataclass(eq=False, slots=True, kw_only=True)
class TableMergeNode(TableNode):
    """Both sides of a join of two tables as one table. `store` is where it is kept if the user asked for that, `apart`
    as its sides have it.
    """

    left: TableNode
    right: TableNode
    joiner: TableJoiner
    apart: bool

    @property
    def keeps_old(self) -> bool:
        return False
