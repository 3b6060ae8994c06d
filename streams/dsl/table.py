"""A table of a pipeline: the latest value of each key, or of each key and window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from streams.dsl.grouped_table import GroupedTable, group
from streams.dsl.hints import Hinting
from streams.dsl.joins import Joining, join_of_table
from streams.dsl.joins.table_table import leaving
from streams.dsl.reading import Function
from streams.dsl.stream import Stream
from streams.dsl.suppressing import suppressed
from streams.dsl.table_steps import filtered, mapped, transformed
from streams.durations import Duration
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import caller
from streams.graph.nodes import AggregateNode, CogroupNode, Emit, TableAggregateNode, TableNode, WhenFull
from streams.windows import UnlimitedWindow, Windowed

if TYPE_CHECKING:
    from streams.dsl.builder import Builder
    from streams.policies import Policy


class Table(Hinting):
    """What an aggregation, `topic.table()` or a step on a table gives. `to_stream` gives its changes.

    `store` is where the table is kept; None for one that is computed from others whenever somebody looks into it.
    `like` says how its keys would stand in a store: their type, and their windows.
    """

    _instead = ".to_stream()"

    def __init__(
        self,
        builder: Builder,
        node: TableNode,
        store: StoreDef | None,
        *,
        like: StoreDef | None = None,
        label: str | None = None,
        value_type: Any = None,
    ) -> None:
        keys = like or store
        assert keys is not None, "a table without a store is like another table"
        self._builder = builder
        self.node = node
        self.store = store
        self.like = keys
        self.label = label or (node.name if store is None else store.name)
        self.value_type = value_type if store is None else store.value_type

    @property
    def name(self) -> str:
        return self.label

    @property
    def key_type(self) -> Any:
        """The type of keys as records have them: `Windowed` where there are windows."""
        return Windowed if self.like.windowed else self.like.key_type

    def emit(self, when: Emit) -> Table:
        """When results leave: "commit" (the latest of each key, at each commit; the default), "update" (every change,
        one by one), "close" (of windows only: once, when the window is closed).

        Each change leaves also where the table is joined with another, and a step behind takes rows of the join back: a
        filter or `group_by`, unless the join has a `store=`.
        """
        if when not in get_args(Emit):
            raise TopologyError(f'emit at {caller()}: "update", "commit" or "close", not {when!r}')
        if not isinstance(self.node, AggregateNode | TableAggregateNode):
            raise TopologyError(
                f"emit at {caller()}: {self.name} is no aggregation, and hands on every change as it comes; "
                "put emit(...) right behind the aggregation"
            )
        if when == "close":
            self._check_closes(self.node)
        self.node.emit = when
        return self

    # -- row by row

    def filter(
        self,
        predicate: Function,
        *,
        name: str | None = None,
        store: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """The rows for which the predicate holds; one that no longer does is deleted. An expression that is None does
        not hold. Nothing is kept unless `store` gives it a name.
        """
        return filtered(self, predicate, False, name, store, on_error)

    def filter_not(
        self,
        predicate: Function,
        *,
        name: str | None = None,
        store: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """The rows for which the predicate does not hold; an expression that is None drops the row here too."""
        return filtered(self, predicate, True, name, store, on_error)

    def map_values(
        self,
        function: Function,
        *,
        value_type: Any = None,
        name: str | None = None,
        store: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """Another value for each row; a null value is a deletion, and the function is not asked about it."""
        return mapped(self, function, value_type, name, store, on_error)

    def transform_values(
        self,
        transformer: Callable[..., Any],
        *,
        stores: Iterable[Any] = (),
        value_type: Any = None,
        name: str | None = None,
        store: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """Another value for each row, and for each deletion, by a transformer: a class with `transform(key, value)`,
        and `init(ctx)` and `close()` if it likes; or a function of the value, or of key and value. One is made for each
        task, and one more for lookups.

        A transformer that does not always say the same of the same row needs `store=`, or nobody knows what it said.
        """
        return transformed(self, transformer, stores, value_type, name, store, on_error)

    def group_by(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        key_type: Any = None,
        value_type: Any = None,
        on_error: Policy | None = None,
    ) -> GroupedTable:
        """The rows by another key, through a repartition topic: `function` gives (group, value) for each, or None for
        a row that is in no group.
        """
        return group(self, function, name, key_type, value_type, on_error)

    def suppress(
        self,
        until: Duration,
        *,
        max_records: int | None = None,
        max_bytes: int | None = None,
        when_full: WhenFull | None = None,
        name: str | None = None,
    ) -> Table:
        """Fewer changes: of each key the latest only, `until="close"` once its window is closed, `until="5s"` so long
        (stream time) after the first that was held back.

        A buffer that would hold more than `max_records` keys, or `max_bytes` of keys, values and headers, emits the
        oldest before their time (`when_full="emit"`, the default for a time), or stops the app with `BufferFullError`
        (`when_full="stop"`, all there is for "close").
        """
        return suppressed(self, until, max_records, max_bytes, when_full, name)

    def to_stream(
        self,
        key: Function | None = None,
        *,
        key_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """The table's changes as a stream; a null value is a deletion. Keys of a windowed table are `Windowed(key,
        start, end)`. `key` gives each record another key, as `select_key` does.
        """
        node = leaving(self)
        stream = Stream(self._builder, node, label=self.name, key_type=self.key_type, value_type=self.value_type)
        return stream if key is None else stream.select_key(key, key_type=key_type, name=name, on_error=on_error)

    # -- joins

    def join(
        self,
        other: Table,
        joiner: Function,
        *,
        foreign_key: Function | None = None,
        value_type: Any = None,
        name: str | None = None,
        store: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """A row for each key that both tables have. With `foreign_key`, an expression or a function of (value) or (key,
        value): for each key of this table whose value refers to a key of the other.
        """
        return join_of_table(self, other, Joining("join", joiner, value_type, name, on_error), foreign_key, store)

    def left_join(
        self,
        other: Table,
        joiner: Function,
        *,
        foreign_key: Function | None = None,
        value_type: Any = None,
        name: str | None = None,
        store: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """A row for each key of this table, with None where the other has nothing."""
        return join_of_table(self, other, Joining("left_join", joiner, value_type, name, on_error), foreign_key, store)

    def outer_join(
        self,
        other: Table,
        joiner: Function,
        *,
        foreign_key: Function | None = None,
        value_type: Any = None,
        name: str | None = None,
        store: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """A row for each key that one of the tables has, with None for the other's; there is none by foreign key."""
        return join_of_table(self, other, Joining("outer_join", joiner, value_type, name, on_error), foreign_key, store)

    # -- steps

    def _check_closes(self, node: AggregateNode | TableAggregateNode) -> None:
        if isinstance(node, TableAggregateNode) or node.window is None:
            what = "has no windows that could close; put windowed_by(...) before"
        elif isinstance(node.window, UnlimitedWindow):
            what = "has one window without an end, which never closes"
        elif isinstance(node, CogroupNode) or len(node.parents) > 1:
            what = "has several streams, each with a time of its own: there is no one time at which a window closes"
        else:
            return
        raise TopologyError(f'emit("close") at {caller()}: {self.name} {what}')

    def _kept(self, name: str | None, value_type: Any) -> StoreDef | None:
        """A store for a table with keys as in this one; None without a name."""
        if name is None:
            return None
        made = replace(
            self.like,
            name=check_name(name, "store"),
            changelog=self._builder.changelog(name),
            value_type=value_type,
            source_topic=None,
            ttl_ms=None,
            history_ms=None,
            is_global=False,
            aggregates=None,
            where=caller(),
        )
        return self._builder.graph.add_store(made)

    def _behind(self, node: TableNode, store: StoreDef | None, *, value_type: Any) -> Table:
        """The table that the step makes of this one."""
        self._builder.graph.add_node(node)
        return Table(self._builder, node, store, like=store or self.like, label=node.name, value_type=value_type)
