"""A stream of a pipeline. Each method adds a step to the graph and gives the stream behind it; nothing runs while it
is written.

Long because each operator is a method with a signature of its own; what most of them do is in the modules beside this
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from streams.dsl.deduplicate import Deduplicating, deduplicate
from streams.dsl.hints import Hinting
from streams.dsl.joins import Joining, join
from streams.dsl.naming import step_fields, step_name, suffix, type_of
from streams.dsl.output import Printing, print_records, read_partitioner, through, to
from streams.dsl.processors import Processing, process, process_values
from streams.dsl.reading import Function, read_function
from streams.dsl.splitting import Split
from streams.durations import Duration
from streams.graph.definitions import TopicDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import (
    FilterNode,
    FlatMapNode,
    FlatMapValuesNode,
    ForEachNode,
    MapNode,
    MapValuesNode,
    MergeNode,
    Node,
    PeekNode,
    RepartitionNode,
    SelectKeyNode,
)
from streams.policies import Policy

if TYPE_CHECKING:
    from streams.dsl.builder import Builder
    from streams.dsl.global_table import GlobalTable
    from streams.dsl.grouped import GroupedStream
    from streams.dsl.table import Table
    from streams.join_window import JoinWindow
    from streams.topic import Topic


class Stream(Hinting):
    """Records of one or more topics, as they come.

    `key_changed` says that records may no longer lie in the partition of their key; the next step that needs them there
    puts a repartition topic in between.
    """

    def __init__(
        self,
        builder: Builder,
        node: Node,
        *,
        label: str,
        key_type: Any = None,
        value_type: Any = None,
        key_changed: bool = False,
    ) -> None:
        self._builder = builder
        self.node = node
        self.label = label
        self.key_type = key_type
        self.value_type = value_type
        self.key_changed = key_changed
        self._keyed: Stream | None = None

    def __repr__(self) -> str:
        return f"<Stream {self.label}>"

    # -- one record in, one or none or many out

    def filter(self, predicate: Function, *, name: str | None = None, on_error: Policy | None = None) -> Stream:
        """Records for which the predicate holds; an expression that is None drops the record."""
        return self._filter(predicate, negate=False, name=name, on_error=on_error)

    def filter_not(self, predicate: Function, *, name: str | None = None, on_error: Policy | None = None) -> Stream:
        """Records for which the predicate does not hold; an expression that is None drops the record."""
        return self._filter(predicate, negate=True, name=name, on_error=on_error)

    def _filter(self, predicate: Function, *, negate: bool, name: str | None, on_error: Policy | None) -> Stream:
        step = "filter_not" if negate else "filter"
        function = read_function(predicate, step, self.value_type)
        node = FilterNode(**step_fields(self, step, function, name, on_error), predicate=function, negate=negate)
        return self._behind(node)

    def map_values(
        self, function: Function, *, value_type: Any = None, name: str | None = None, on_error: Policy | None = None
    ) -> Stream:
        """A new value for each record; `value_type` says of what type, where the function does not."""
        read = read_function(function, "map_values", self.value_type)
        made = value_type or type_of(read)
        node = MapValuesNode(**step_fields(self, "map_values", read, name, on_error), function=read, value_type=made)
        return self._behind(node, value_type=made)

    def map(
        self,
        function: Callable[..., Any],
        *,
        key_type: Any = None,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """A new (key, value) for each record."""
        read = UserFunction(function, step="map", takes=2)
        node = MapNode(**step_fields(self, "map", read, name, on_error), function=read, value_type=value_type)
        return self._behind(node, key_type=key_type, value_type=value_type, key_changed=True)

    def flat_map(
        self,
        function: Callable[..., Any],
        *,
        key_type: Any = None,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """A list of (key, value) for each record."""
        read = UserFunction(function, step="flat_map", takes=2)
        node = FlatMapNode(**step_fields(self, "flat_map", read, name, on_error), function=read, value_type=value_type)
        return self._behind(node, key_type=key_type, value_type=value_type, key_changed=True)

    def flat_map_values(
        self,
        function: Callable[..., Any],
        *,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """A list of values for each record, under its key."""
        read = UserFunction(function, step="flat_map_values", takes=2)
        node = FlatMapValuesNode(
            **step_fields(self, "flat_map_values", read, name, on_error), function=read, value_type=value_type
        )
        return self._behind(node, value_type=value_type)

    def select_key(
        self, function: Function, *, key_type: Any = None, name: str | None = None, on_error: Policy | None = None
    ) -> Stream:
        """A new key for each record."""
        read = read_function(function, "select_key", self.value_type)
        node = SelectKeyNode(**step_fields(self, "select_key", read, name, on_error), function=read)
        label = f"{self.label}-by{suffix(read)}"
        return self._behind(node, label=label, key_type=key_type or type_of(read), key_changed=True)

    def peek(self, function: Callable[..., Any], *, name: str | None = None, on_error: Policy | None = None) -> Stream:
        """Calls the function with each record, and hands the record on as it is."""
        read = UserFunction(function, step="peek", takes=2)
        return self._behind(PeekNode(**step_fields(self, "peek", read, name, on_error), function=read))

    def for_each(
        self, function: Callable[..., Any], *, name: str | None = None, on_error: Policy | None = None
    ) -> None:
        """Calls the function with each record; nothing goes on."""
        read = UserFunction(function, step="for_each", takes=2)
        self._behind(ForEachNode(**step_fields(self, "for_each", read, name, on_error), function=read))

    def merge(self, *others: Stream, name: str | None = None) -> Stream:
        """The records of this and the other streams as one; a stream that is given twice comes once."""
        streams = (self, *others)
        where = caller()
        label = "-".join(dict.fromkeys(stream.label for stream in streams))
        node = MergeNode(
            name=name or step_name(self._builder.graph, label, "merge", None, where),
            parents=tuple(dict.fromkeys(stream.node for stream in streams)),
            where=where,
        )
        types = {stream.value_type for stream in streams}
        keys = {stream.key_type for stream in streams}
        return self._behind(
            node,
            label=label,
            key_type=keys.pop() if len(keys) == 1 else None,
            value_type=types.pop() if len(types) == 1 else None,
            key_changed=any(stream.key_changed for stream in streams),
        )

    def split(self, *, name: str | None = None, on_error: Policy | None = None) -> Split:
        """Each record into the first branch whose predicate holds:
        `split(name="by-size").branch(predicate, "big").default("small")` gives `{"by-size-big": ..., "by-size-small":
        ...}`.
        """
        return Split(self, name or f"{self.label}-split", on_error)

    # -- with state of the user's own

    def process(
        self,
        processor: Callable[[], Any],
        *,
        stores: Iterable[Any] = (),
        key_type: Any = None,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """Each record through a processor: a class with `process(record)`, and `init(ctx)` and `close()` if it likes;
        one is made for each task. Or a function of (record, ctx). What is handed to `ctx.forward` goes on, under any
        key.
        """
        told = Processing("process", processor, stores, name, on_error)
        return process(self, told, key_type, value_type)

    def process_values(
        self,
        processor: Callable[[], Any],
        *,
        stores: Iterable[Any] = (),
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """The same for a processor that keeps the key of each record, so that no repartition is needed behind it."""
        return process_values(self, Processing("process_values", processor, stores, name, on_error), value_type)

    def deduplicate(
        self,
        by: Function | None = None,
        *,
        within: Duration,
        grace: Duration | None = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """The first record of each key, or of each key and what `by` gives; those that follow less than `within` away
        from it, in event time, are left out and counted.

        A record is late, and left out, if its time is before stream time (the largest timestamp that came here, its own
        included) less `grace`, which is `within` unless told. Else it is a duplicate if its time is less than `within`
        from that of a record that was let through: before it, or after it, if they come out of order. Else it is let
        through, and kept, over restarts, until no record can repeat it that is not late. Records without a key, or for
        which `by` gives None, are left out and counted.
        """
        return deduplicate(self, Deduplicating(by, within, grace, name, on_error))

    # -- by key

    def repartition(
        self,
        *,
        name: str | None = None,
        partitions: int | None = None,
        key_type: Any = None,
        value_type: Any = None,
        partitioner: Callable[..., Any] | None = None,
    ) -> Stream:
        """Through an internal topic, so that records lie in the partition of their key, or in that which a
        `partitioner` chooses (see `to`); also the way to more partitions.
        """
        return self._repartitioned(name or self.label, partitions, key_type, value_type, partitioner)

    def _repartitioned(
        self,
        name: str,
        partitions: int | None = None,
        key_type: Any = None,
        value_type: Any = None,
        partitioner: Callable[..., Any] | None = None,
    ) -> Stream:
        builder, where = self._builder, caller()
        topic = builder.graph.add_topic(
            TopicDef(
                name=f"{builder.app_id}-{check_name(name, 'repartition')}-repartition",
                key_type=key_type or self.key_type,
                value_type=value_type or self.value_type,
                partitions=partitions,
                internal=True,
                where=where,
            )
        )
        builder.graph.add_node(
            RepartitionNode(
                name=f"{name}-repartition",
                parents=(self.node,),
                where=where,
                topic=topic,
                partitioner=read_partitioner(partitioner),
            )
        )
        source = builder.graph.source(topic, where)
        return Stream(builder, source, label=name, key_type=topic.key_type, value_type=topic.value_type)

    def by_key(self) -> Stream:
        """This stream with each record in the partition of its key: through a repartition topic if the key was
        changed, the same one for all that ask this stream.
        """
        if not self.key_changed:
            return self
        if self._keyed is None:
            self._keyed = self._repartitioned(self.label)
        return self._keyed

    def _by_key(self, name: str | None) -> Stream:
        """As `by_key`; a step that gives its repartition a name has one of its own."""
        return self._repartitioned(name) if name and self.key_changed else self.by_key()

    def group_by_key(self, *, name: str | None = None) -> GroupedStream:
        """The records by their key."""
        from streams.dsl.grouped import GroupedStream

        return GroupedStream(self._by_key(name))

    def group_by(
        self, function: Function, *, key_type: Any = None, name: str | None = None, on_error: Policy | None = None
    ) -> GroupedStream:
        """The records by what the function or expression gives, through a repartition topic; records for which it is
        None are left out.
        """
        from streams.dsl.grouped import GroupedStream

        keyed = self.select_key(function, key_type=key_type, on_error=on_error)
        return GroupedStream(keyed._repartitioned(name or keyed.label))

    def to_table(self, *, name: str | None = None, store: str | None = None, history: Duration | None = None) -> Table:
        """The stream as a table: the latest value of each key; a null value deletes. Through a repartition topic if the
        key was changed. `name` is that of the table, `store` of where it is kept, if that is to be another. With
        `history` it is versioned, as `topic.table(history=)`.
        """
        from streams.dsl.table_steps import kept

        return kept(self, name, store, history)

    # -- joins

    def join(
        self,
        other: Stream | Table | GlobalTable,
        joiner: Function,
        *,
        within: JoinWindow | None = None,
        key: Function | None = None,
        grace: Duration | None = None,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """Each record with what the other side has for its key; records that meet nothing there are left out. Two
        streams meet `within=JoinWindow(...)`; `key`, for a global table, says by what its rows are found; with `grace`,
        for a versioned table, a record waits so long, in stream time, for changes of the table that come late.
        """
        return join(self, other, Joining("join", joiner, value_type, name, on_error, key, within, grace))

    def left_join(
        self,
        other: Stream | Table | GlobalTable,
        joiner: Function,
        *,
        within: JoinWindow | None = None,
        key: Function | None = None,
        grace: Duration | None = None,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """Each record with what the other side has for its key, None where it has nothing; else as `join`. Of two
        streams a record without a match leaves when its window and grace have passed.
        """
        return join(self, other, Joining("left_join", joiner, value_type, name, on_error, key, within, grace))

    def outer_join(
        self,
        other: Stream,
        joiner: Callable[..., Any],
        *,
        within: JoinWindow | None = None,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """Records of two streams that meet `within=JoinWindow(...)`; on both sides a record without a match leaves,
        with None for the other, when its window and grace have passed.
        """
        return join(self, other, Joining("outer_join", joiner, value_type, name, on_error, within=within))

    # -- out

    def to(
        self,
        topic: Topic | str | Callable[..., str],
        *,
        partitioner: Callable[..., Any] | None = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> None:
        """Writes the records to a topic, or to the topic that the function names for each; a name alone makes an
        untyped topic.

        `partitioner(key, value, partitions)` chooses a partition of so many, or several; an empty list leaves the
        record out, and None leaves it to its key.
        """
        to(self, topic, partitioner, name, on_error)

    def through(
        self,
        topic: Topic | str,
        *,
        partitioner: Callable[..., Any] | None = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Stream:
        """`to(topic)`, and what that topic holds as a stream: what others write there comes as well. For a topic of the
        app's own there is `repartition`.
        """
        return through(self, topic, partitioner, name, on_error)

    def print(
        self,
        function: Callable[..., Any] | None = None,
        *,
        label: str | None = None,
        to: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> None:
        """Prints the records, `[label]: key, value` a line, or what the function makes of each instead of key and
        value; to standard output, a path, or something with `write`.
        """
        print_records(self, Printing(function, label, to), name, on_error)

    # -- steps

    def _behind(self, node: Node, **changed: Any) -> Stream:
        self._builder.graph.add_node(node)
        kept = {
            "label": self.label,
            "key_type": self.key_type,
            "value_type": self.value_type,
            "key_changed": self.key_changed,
        }
        return Stream(self._builder, node, **(kept | changed))
