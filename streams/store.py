"""`app.store(...)`: state of a user's own, for processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from streams.durations import Duration, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import caller

if TYPE_CHECKING:
    from streams.dsl.builder import Builder

StoreKind = Literal["key_value", "window", "session"]


class Store:
    """A store by name and types, kept in a changelog as every table is. Processors are given it by `stores=[...]`, or
    name it in their own `stores`; those that share one run in one task.

    `kind="window"` has a value for each key and window start, "session" one for each key, start and end, for as long as
    `retention` says; `ttl` (of "key_value") lets an entry go when the record that wrote it is that old. Keys and values
    are written as those of a table.

    Raises TopologyError for settings that do not go together.

    >>> Store("seen", key_type=str, value_type=int)
    <Store seen>
    >>> Store("visits", kind="window")
    Traceback (most recent call last):
    streams.errors.TopologyError: store 'visits' at ...: a store of windows needs retention=, for how long it keeps each
    """

    def __init__(
        self,
        name: str,
        *,
        key_type: Any = None,
        value_type: Any = None,
        kind: StoreKind = "key_value",
        retention: Duration | None = None,
        size: Duration | None = None,
        ttl: Duration | None = None,
    ) -> None:
        self.name = check_name(name, "store")
        self.key_type = key_type
        self.value_type = value_type
        self.kind = kind
        self.where = caller()
        self.retention_ms = None if retention is None else to_ms(retention, "retention")
        self.size_ms = 1 if size is None else to_ms(size, "size")
        self.ttl_ms = None if ttl is None else to_ms(ttl, "ttl")
        wrong = self._wrong(size)
        if wrong:
            raise TopologyError(f"store {name!r} at {self.where}: {wrong}")

    def __repr__(self) -> str:
        return f"<Store {self.name}>"

    def _wrong(self, size: Duration | None) -> str | None:
        if self.kind not in get_args(StoreKind):
            return f"kind is one of {', '.join(get_args(StoreKind))}; not {self.kind!r}"
        if self.kind == "key_value":
            timed = self.retention_ms is not None or size is not None
            return (
                "retention= and size= are for windows and sessions; entries of others may have a ttl="
                if timed
                else None
            )
        if not self.retention_ms:
            return f"a store of {self.kind}s needs retention=, for how long it keeps each"
        return f"{self.kind}s go by their retention, so they take no ttl=" if self.ttl_ms is not None else None

    def declared_in(self, builder: Builder) -> StoreDef:
        """The store in an app's graph: put there when first asked for. Raises TopologyError if another has the name."""
        known = builder.user_stores.get(self)
        if known is None:
            known = builder.user_stores[self] = builder.graph.add_store(
                StoreDef(
                    name=self.name,
                    changelog=builder.changelog(self.name),
                    key_type=self.key_type,
                    value_type=self.value_type,
                    window_size_ms=None if self.kind == "key_value" else self.size_ms,
                    sessions=self.kind == "session",
                    retention_ms=self.retention_ms,
                    ttl_ms=self.ttl_ms,
                    where=self.where,
                )
            )
        return known
