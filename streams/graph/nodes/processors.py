"""A processor of the user's: a class with its own state and schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams.graph.definitions import StoreDef
from streams.graph.nodes.base import Node


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
        return self.used

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return self.written


@dataclass(eq=False, slots=True, kw_only=True)
class ProcessValuesNode(ProcessNode):
    """The same, but the key stays."""
