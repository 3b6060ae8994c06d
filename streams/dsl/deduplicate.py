"""deduplicate: the first of records that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.dsl.naming import step_fields, suffix
from streams.dsl.reading import Function, read_function
from streams.durations import Duration, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.nodes import DeduplicateNode
from streams.policies import Policy
from streams.windows import TumblingWindow

if TYPE_CHECKING:
    from streams.dsl.stream import Stream


class Deduplicating(NamedTuple):
    """What `deduplicate` is told."""

    by: Function | None
    within: Duration
    grace: Duration | None
    name: str | None
    on_error: Policy | None


def deduplicate(stream: Stream, told: Deduplicating) -> Stream:
    """The stream without the records that repeat another, each key in one partition."""
    stream = stream.by_key()
    by = told.by
    read = None if by is None else read_function(by, "deduplicate", stream.value_type)
    named = check_name(told.name or f"{stream.label}-deduplicate{suffix(read)}", "deduplicate")
    common = step_fields(stream, "deduplicate", read, named, told.on_error)
    within_ms = to_ms(told.within, "within")
    if within_ms < 1:
        raise TopologyError(f"deduplicate at {common['where']}: within= is 1 ms or more")
    grace_ms = within_ms if told.grace is None else to_ms(told.grace, "grace")
    store = StoreDef(
        name=named,
        changelog=stream._builder.changelog(named),
        key_type=bytes,
        value_type=int,
        window_size_ms=within_ms,
        window=TumblingWindow(told.within),
        # What a record that is not yet too late may repeat lies up to two windows before that.
        retention_ms=grace_ms + 2 * within_ms,
        where=common["where"],
    )
    stream._builder.graph.add_store(store)
    node = DeduplicateNode(
        **common, by=read, within_ms=within_ms, grace_ms=grace_ms, store=store, key_type=stream.key_type
    )
    return stream._behind(node)
