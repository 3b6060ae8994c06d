"""A coroutine of the user's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams.graph.definitions import StoreDef, kept_by_tasks
from streams.graph.nodes.base import Node


@dataclass(eq=False, slots=True, kw_only=True)
class AgentNode(Node):
    """A coroutine of the user's over the records of its parent; `tables` are the stores it may read, `written` those
    that it may write as well.

    What it yields goes to the children. `agent` is the `streams.agent.Agent`, opaque to the graph. `columns` are the
    fields of its records, if it takes them as batches; None: it takes rows.
    """

    agent: Any
    function: Callable[..., Any]
    tables: tuple[StoreDef, ...] = ()
    written: tuple[StoreDef, ...] = ()
    concurrency: int = 1
    columns: frozenset[str] | None = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return kept_by_tasks(self.tables)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return self.written
