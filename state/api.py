"""The contracts of state: what a backend offers to the layers above it, and what passes between them.

Bytes below, typed above: a backend knows named, ordered maps of bytes and atomic batches; the layers give them
timestamps, windows, types and a changelog. A stored value is `timestamp (int64, big-endian) + payload`; a changelog
record is `key = store key, value = payload, timestamp = timestamp`, a null value meaning deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, Self, TypeAlias

Stamped: TypeAlias = tuple[bytes, int]
"""A value and its timestamp in milliseconds."""


class Column(Protocol):
    """The bytes of many records, or None, which become objects when asked for."""

    def cut(self) -> list[bytes | None]:
        """The bytes of each record."""

    def rows(self, chosen: slice, /) -> Self:
        """Some of them; nothing is copied."""

    def size_bytes(self) -> int:
        """Bytes of all of them."""


class Times(Protocol):
    """Timestamps (ms) of many records, as an array has them."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice, /) -> Self: ...

    def tolist(self) -> list[int]: ...


class Block(NamedTuple):
    """Changes of one store as they were put: no key twice."""

    keys: Column
    values: Column
    timestamps: Times

    def rows(self, chosen: slice) -> Block:
        """Some of them."""
        return Block(self.keys.rows(chosen), self.values.rows(chosen), self.timestamps[chosen])

    def size_bytes(self) -> int:
        return self.keys.size_bytes() + self.values.size_bytes()


Changelog: TypeAlias = Callable[[str, list[bytes] | Column, list[bytes | None] | Column, list[int] | Times], None]
"""`changelog(store, keys, values, timestamps)`: takes the coalesced changes of one store, as lists of one length or as
the columns of a block; None means deleted.
"""


class StateError(Exception):
    """Something is wrong with a store; the message names the store or path and what to do."""


class StoreLockedError(StateError):
    """The folder of a task's stores is open elsewhere."""


class UnknownStoreError(StateError, KeyError):
    """A store name that was not opened."""

    def __str__(self) -> str:
        return str(self.args[0])


class Checkpoint(NamedTuple):
    """How far a changelog is contained in a store: `offset` is the next changelog offset that is *not* in it."""

    topic_id: str
    offset: int


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """What a task declares about one of its stores.

    `ttl_ms` (key-value only): an entry lives until its timestamp is that old. `history_ms` (versioned only): how far
    back versions are known. `logged=False`: changes reach no
    changelog, because the store is restored from its source topic.

    >>> StoreSpec("late")
    StoreSpec(name='late', kind='key_value', ttl_ms=None, logged=True, history_ms=None)
    """

    name: str
    kind: Literal["key_value", "window", "session", "versioned"] = "key_value"
    ttl_ms: int | None = None
    logged: bool = True
    history_ms: int | None = None

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "._-" for c in self.name):
            raise StateError(
                f"store name {self.name!r}: use letters, digits, '.', '_' and '-', as in the name of a Kafka topic"
            )
        if self.ttl_ms is not None and (self.kind != "key_value" or self.ttl_ms <= 0):
            raise StateError(
                f"store {self.name}: ttl_ms is for key-value stores and must be above 0; windows use expire()"
            )
        if (self.kind == "versioned") != (self.history_ms is not None) or (self.history_ms or 0) < 0:
            raise StateError(f"store {self.name}: a versioned store, and no other, has history_ms, at least 0")


class Version(NamedTuple):
    """What a key was from `valid_from` (ms) on, up to before `valid_to`; None: it still is."""

    value: bytes
    valid_from: int
    valid_to: int | None


class Changes(NamedTuple):
    """Changes of one store, sorted by key. `values` are stored values, None deletes.

    `cleared` is a range of keys (start inclusive, stop exclusive) that goes first: everything in it is deleted at once.
    """

    store: str
    keys: Sequence[bytes]
    values: Sequence[bytes | None]
    cleared: tuple[bytes, bytes] | None = None


META = "$meta"
"""The map every backend has beside its stores: for checkpoints, marks and what is known about each store."""


class Backend(Protocol):
    """All stores of one task in one place: named, ordered maps of bytes to bytes, written in atomic batches.

    `META` is always there and always open; `stores()` does not list it.

    After a crash a backend holds a prefix of the batches written to it; `write(..., durable=False)` may lose more than
    the process does, yet never one batch and keep a later one. `check_backend` and `check_store` in `state.testing` are
    the proof.
    """

    def stores(self) -> list[str]:
        """The names in this place, opened now or in an earlier run."""

    def open_store(self, store: str) -> None:
        """Make the store if it is not there."""

    def drop_store(self, store: str) -> None:
        """Remove a store and all that is in it."""

    def get(self, store: str, key: bytes) -> bytes | None: ...

    def get_many(self, store: str, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def scan(
        self, store: str, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> AbstractContextManager[Iterator[tuple[bytes, bytes]]]:
        """Entries with start <= key < stop in key order, as they were when the scan began."""

    def write(self, changes: Sequence[Changes], *, durable: bool = True, sync: bool = False) -> None:
        """One atomic batch.

        `durable=False` skips the write-ahead log until `flush_steps`; `sync=True` outlives a power cut.
        """

    def flush_steps(self) -> Iterator[None]:
        """Step by step, without holding up the caller: everything written before outlives the process afterwards."""

    def keep(self, owner: object, size_bytes: int) -> bool:
        """Whether someone may keep so much in memory of what is in the stores; if not, he is to let go of it."""

    def busy(self, store: str) -> bool:
        """Whether a large write to the store would now have to wait for the backend's own work."""

    def close(self) -> None: ...

    def size_bytes(self) -> int:
        """Bytes on disk and in write buffers."""


class Scanned(Protocol):
    """What can be gone through in the order of keys."""

    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> AbstractContextManager[Iterator[tuple[bytes, bytes, int]]]:
        """(key, value, timestamp) with start <= key < stop, in key order."""
