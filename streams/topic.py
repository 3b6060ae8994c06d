"""`app.topic(...)`: a topic by name and types, from which streams and tables begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

from streams.dsl.global_table import GlobalTable
from streams.dsl.stream import Stream
from streams.dsl.table import Table
from streams.durations import Duration, retention_to_ms, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, TopicDef, check_name
from streams.graph.functions import caller
from streams.graph.nodes import SourceNode, TableSourceNode

if TYPE_CHECKING:
    from streams.app import App


TimestampRule = Literal["fail", "skip", "partition_time", "wall"] | Callable[[Any, int | None], int]
"""What time a record is of; a function is given a `streams.processing.SourceRecord` and the partition's time."""


class Topic:
    """A topic of an app. `definition` is what the plan knows of it."""

    def __init__(self, app: App, definition: TopicDef) -> None:
        self._app = app
        self.definition = definition

    @property
    def name(self) -> str:
        return self.definition.name

    def __repr__(self) -> str:
        return f"<Topic {self.name}>"

    def stream(self) -> Stream:
        """The topic's records as a stream."""
        builder, topic = self._app.builder, self.definition
        node = builder.graph.source(topic, caller())
        return Stream(builder, node, label=topic.name, key_type=topic.key_type, value_type=topic.value_type)

    def table(self, *, name: str | None = None, ttl: Duration | None = None, history: Duration | None = None) -> Table:
        """The topic as a table: the latest value of each key; a null value deletes. The topic itself is the table's
        changelog, unless `topology_optimization` leaves that out.

        With `history` it is versioned: it knows what each key was at any time so far back, and its latest value is that
        with the largest timestamp. Then it has a changelog of its own.
        """
        builder, topic, where = self._app.builder, self.definition, caller()
        named = check_name(name or topic.name, "table")
        if ttl is not None and history is not None:
            raise TopologyError(
                f"table at {where}: ttl= and history= do not go together; a versioned table keeps its keys"
            )
        store = StoreDef(
            name=named,
            changelog=builder.changelog(named),
            key_type=topic.key_type,
            value_type=topic.value_type,
            ttl_ms=None if ttl is None else to_ms(ttl, "ttl"),
            history_ms=None if history is None else to_ms(history, "history"),
            where=where,
        )
        builder.graph.add_store(store)
        source = builder.graph.source(topic, where)
        node = TableSourceNode(
            name=f"{named}-table",
            parents=(source,),
            where=where,
            store=store,
            materialized=name is not None or history is not None,
        )
        builder.graph.add_node(node)
        return Table(builder, node, store)

    def global_table(self, *, name: str | None = None) -> GlobalTable:
        """The topic as a global table: all its partitions on every instance, to be joined with by any key. The topic
        itself is the table's changelog.
        """
        topic, where = self.definition, caller()
        named = check_name(name or topic.name, "table")
        store = StoreDef(
            name=named,
            changelog=topic.name,
            key_type=topic.key_type,
            value_type=topic.value_type,
            source_topic=topic,
            is_global=True,
            where=where,
        )
        source = SourceNode(name=f"{named}-global-source", topic=topic, where=where)
        node = TableSourceNode(name=f"{named}-global-table", parents=(source,), where=where, store=store)
        self._app.builder.graph.add_global(node)
        return GlobalTable(store)

    async def send(
        self,
        key: Any = None,
        value: Any = None,
        *,
        timestamp: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Sends one record; inside a worker it goes into the worker's transaction."""
        await self._app.send(self, key=key, value=value, timestamp=timestamp, headers=headers)


def topic_config(retention: Duration | str | None, compacting: bool, config: dict[str, str] | None) -> dict[str, str]:
    """A topic's settings under Kafka's names.

    Retention goes by the records' own time, so records of a replay could vanish as they come: unless told, a topic that
    an app makes keeps them.

    >>> topic_config("1d", False, {"compression.type": "zstd"})
    {'retention.ms': '86400000', 'compression.type': 'zstd'}
    """
    made = {"retention.ms": str(retention_to_ms("forever" if retention is None else retention))}
    if compacting:
        made["cleanup.policy"] = "compact"
    return made | (config or {})


def checked_rule(topic: str, rule: TimestampRule | None) -> TimestampRule | None:
    """The rule, None for the default one. Raises TopologyError for one that does not exist.

    >>> checked_rule("flights", "fail") is None
    True
    """
    names = get_args(get_args(TimestampRule)[0])
    if not callable(rule) and rule not in (None, *names):
        raise TopologyError(
            f"topic {topic!r} at {caller()}: timestamp={rule!r} is none of {', '.join(names)}, nor a function of "
            "(record, partition_time)"
        )
    return None if rule == "fail" else rule
