"""A global table: all partitions of a topic on every instance, there to be joined with by any key."""

from __future__ import annotations

from typing import NoReturn

from streams.errors import TopologyError
from streams.graph.definitions import StoreDef
from streams.graph.functions import caller


class GlobalTable:
    """What `topic.global_table()` keeps. It is loaded before processing starts, and changes when its topic does,
    whatever time the tasks have come to; all tasks of a worker share it. It has no operators of its own: it is joined
    with (`stream.join(table, joiner, key=...)`), and read as `app.tables[name]` or by a client.

    Kafka Streams' GlobalKTable.
    """

    def __init__(self, store: StoreDef) -> None:
        self.store = store

    @property
    def name(self) -> str:
        return self.store.name

    def __repr__(self) -> str:
        return f"<GlobalTable {self.name}>"

    def __getattr__(self, attribute: str) -> NoReturn:
        """Raises TopologyError for what streams and other tables can do."""
        from streams.dsl.stream import Stream
        from streams.dsl.table import Table

        if not attribute.startswith("_") and (hasattr(Table, attribute) or hasattr(Stream, attribute)):
            raise TopologyError(
                f"{attribute} at {caller()}: a global table has no operators, and {self.name!r} is one "
                f"({self.store.where}). Join it, stream.join(table, joiner, key=...), or make the topic a table() or a "
                "stream()"
            )
        raise AttributeError(f"{type(self).__name__} has no attribute {attribute!r}")
