"""Steps with state of their own that give records: a processor of the user's, and what repeats nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.graph.definitions import StoreDef, kept_by_tasks
from streams.graph.functions import UserFunction
from streams.graph.nodes.base import Node

if TYPE_CHECKING:
    from streams.expressions import Expression


@dataclass(eq=False, slots=True, kw_only=True)
class ProcessNode(Node):
    """Each record through a processor, of which `make` gives one for each task; it may change the key.

    `used` are the stores it may read, `written` those that it may write as well.
    """

    make: Callable[[], Any]
    used: tuple[StoreDef, ...] = ()
    written: tuple[StoreDef, ...] = ()
    value_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return kept_by_tasks(self.used)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return self.written


@dataclass(eq=False, slots=True, kw_only=True)
class ProcessValuesNode(ProcessNode):
    """The same, but the key stays."""


@dataclass(eq=False, slots=True, kw_only=True)
class DeduplicateNode(Node):
    """The records that repeat none of the same key, and of the same `by`, within so many milliseconds."""

    by: UserFunction | Expression | None
    within_ms: int
    grace_ms: int
    store: StoreDef
    key_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.store,)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.store,)
