"""A table of a pipeline: the latest value of each key, or of each key and window."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from streams.dsl.stream import Stream
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef
from streams.graph.functions import caller
from streams.graph.nodes import AggregateNode, Emit, Node
from streams.windows import Windowed

if TYPE_CHECKING:
    from streams.dsl.builder import Builder


class Table:
    """What an aggregation or `topic.table()` keeps. `store` is where; `to_stream` gives its changes."""

    def __init__(self, builder: Builder, node: Node, store: StoreDef) -> None:
        self._builder = builder
        self.node = node
        self.store = store

    @property
    def name(self) -> str:
        return self.store.name

    def emit(self, when: Emit) -> Table:
        """When results leave: "commit" (the latest of each key, at each commit; the default), "update" (every change,
        one by one), "close" (of windows only: once, when the window is closed)."""
        if when not in get_args(Emit):
            raise TopologyError(f'emit at {caller()}: "update", "commit" or "close", not {when!r}')
        if not isinstance(self.node, AggregateNode):
            raise TopologyError(
                f"emit at {caller()}: {self.name} is a table of a topic and hands on every change as it comes"
            )
        if when == "close" and self.node.window is None:
            raise TopologyError(
                f'emit("close") at {caller()}: {self.name} has no windows that could close; put windowed_by(...) before'
            )
        self.node.emit = when
        return self

    def to_stream(self) -> Stream:
        """The table's changes as a stream; a null value is a deletion. Keys of a windowed table are `Windowed(key,
        start, end)`.
        """
        key_type = Windowed if self.store.windowed else self.store.key_type
        return Stream(self._builder, self.node, label=self.name, key_type=key_type, value_type=self.store.value_type)
