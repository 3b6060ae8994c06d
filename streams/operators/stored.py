"""How a table's keys and values stand in its store and changelog."""

from __future__ import annotations

from typing import Any, Literal

from state.api import StoreSpec
from streams.graph.definitions import StoreDef
from streams.serde import key_serde_for, serde_for


def store_spec(store: StoreDef) -> StoreSpec:
    """What the state of a task is told of a store."""
    kind: Literal["window", "versioned", "key_value"] = "key_value"
    if store.windowed:
        kind = "window"
    elif store.versioned:
        kind = "versioned"
    logged = store.source_topic is None
    return StoreSpec(store.name, kind, ttl_ms=store.ttl_ms, logged=logged, history_ms=store.history_ms)


class StoredForm:
    """Key serde, and values in both directions.

    A table of a topic holds the topic's own values; every other table MessagePack, and one of named aggregates their
    states, of which the user sees the results.
    """

    def __init__(self, store: StoreDef) -> None:
        self.keys = key_serde_for(store.key_type)
        self._values = serde_for(store.value_type, default="json" if store.source_topic is not None else "msgpack")
        self._groups = None
        if store.aggregates is not None:
            from streams.operators.named_aggregates import GroupForm

            self._groups = GroupForm(store.aggregates, store.value_type)

    def encode(self, value: Any) -> bytes:
        """A value as it is stored. Not for named aggregates, whose states only the aggregation knows."""
        return self._values.encode(value)

    def decode(self, payload: bytes) -> Any:
        """What the user sees of a stored value."""
        if self._groups is not None:
            return self._groups.result(self._groups.decode(payload))
        return self._values.decode(payload)
