"""The stores of one task: opened together, committed together.

Life of a commit:

    for _ in stores.commit_slices(): ...  # changes go to the changelog, in one transaction with outputs and offsets
    (the transaction commits)
    for _ in stores.finish_commit(checkpoints): ...  # then to the backend, the checkpoints with the last slice

or `abandon()` when the outcome is unknown: nothing of it is in the backend, and the log says what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain

from state.api import (
    Backend,
    Changelog,
    Changes,
    Checkpoint,
    Column,
    Stamped,
    StateError,
    StoreSpec,
    Times,
    UnknownStoreError,
)
from state.checkpoint import checkpoints, forget_changes, in_progress
from state.commit import SLICE_ENTRIES, write_slices
from state.format import check_format, forget_format
from state.layers.logged import CommitLog
from state.layers.pending import PendingStore
from state.layers.session import SessionLayer
from state.layers.versioned import VersionedLayer
from state.layers.window import WindowLayer
from state.ttl import TtlStore, index_name

MAX_PENDING_ENTRIES = 100_000
MAX_PENDING_BYTES = 64 << 20


class TaskStores:
    """Opens the stores `specs` in `backend`; `changelog` takes the changes of each commit.

    Raises StateError when a store is there with another kind, UnknownStoreError for a name not declared.

    >>> from state.backends.memory import MemoryBackend
    >>> log = []
    >>> stores = TaskStores(MemoryBackend(), [StoreSpec("late")], lambda *change: log.append(change))
    >>> stores.put("late", b"AA", b"1", timestamp=7)
    >>> stores.begin_commit()
    >>> log
    [('late', [b'AA'], [b'1'], [7])]
    >>> for _ in stores.finish_commit({"late": Checkpoint("topic-id", 1)}): pass
    >>> stores.checkpoints()
    {'late': Checkpoint(topic_id='topic-id', offset=1)}
    """

    def __init__(
        self,
        backend: Backend,
        specs: Iterable[StoreSpec],
        changelog: Changelog,
        *,
        max_pending_entries: int = MAX_PENDING_ENTRIES,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        slice_entries: int = SLICE_ENTRIES,
    ) -> None:
        self.backend = backend
        self.specs = {spec.name: spec for spec in specs}
        self._changelog = changelog
        self._max_entries, self._max_bytes = max_pending_entries, max_pending_bytes
        self.slice_entries = slice_entries
        self._pending: dict[str, PendingStore] = {}
        self._windows: dict[str, WindowLayer] = {}
        self._sessions: dict[str, SessionLayer] = {}
        self._expiring: dict[str, TtlStore] = {}
        self._versioned: dict[str, VersionedLayer] = {}
        self._committing: list[CommitLog] = []
        for spec in self.specs.values():
            self._open(spec)
        self._checkpoints = checkpoints(backend)
        self._marks = in_progress(backend)

    def key_value(self, store: str) -> PendingStore | TtlStore:
        """The key-value store of that name."""
        return self._expiring.get(store) or self._inner(store, "key_value")

    def window(self, store: str) -> WindowLayer:
        """The window store of that name."""
        self._inner(store, "window")
        return self._windows[store]

    def versioned(self, store: str) -> VersionedLayer:
        """The versioned store of that name."""
        self._inner(store, "versioned")
        return self._versioned[store]

    def session(self, store: str) -> SessionLayer:
        """The session store of that name."""
        self._inner(store, "session")
        return self._sessions[store]

    def scan(self, store: str) -> AbstractContextManager[Iterator[tuple[bytes, bytes, int]]]:
        """(store key, value, timestamp) of everything in a store of any kind, in the order of store keys."""
        return (self._versioned.get(store) or self._inner(store)).scan()

    def get(self, store: str, key: bytes) -> Stamped | None:
        """Value and timestamp under a store key; sees uncommitted changes."""
        return (self._expiring.get(store) or self._inner(store)).get_stamped(key)

    def get_many(self, store: str, keys: Sequence[bytes]) -> list[Stamped | None]:
        return (self._expiring.get(store) or self._inner(store)).get_many(keys)

    def put(self, store: str, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Set a value under a store key; None deletes."""
        self._inner(store).put(key, value, timestamp)

    def put_many(
        self, store: str, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> None:
        """Set many values under store keys at once."""
        self._inner(store).put_many(keys, values, timestamps)

    def put_block(self, store: str, keys: Column, values: Column, timestamps: Times, *, more: bool = False) -> None:
        """As `put_many`, of keys that differ from one another, and with `more` from those of the blocks put before.

        A commit of nothing but blocks makes no object for a record on its way to the changelog.
        """
        self._inner(store).put_block(keys, values, timestamps, more=more)

    def expire(self, store: str, time_ms: int) -> list[bytes]:
        """Remove what has outlived the `ttl_ms` of a key-value store at `time_ms`; returns its keys."""
        if store not in self._expiring:
            raise StateError(f"store {store} has no ttl_ms: nothing in it expires")
        return self._expiring[store].expire(time_ms)

    @property
    def pending_entries(self) -> int:
        """Changed keys since the last commit, over all stores."""
        return sum(store.pending_entries for store in self._pending.values())

    @property
    def pending_bytes(self) -> int:
        """Memory they take, estimated."""
        return sum(store.pending_bytes for store in self._pending.values())

    def over_bound(self) -> bool:
        """Whether the pending changes have reached the bound on entries or bytes: commit now."""
        return self.pending_entries >= self._max_entries or self.pending_bytes >= self._max_bytes

    def begin_commit(self) -> None:
        """Hand the coalesced changes of every store to the changelog, at once; `commit_slices` does it in steps."""
        for _ in self.commit_slices():
            pass

    def commit_slices(self) -> Iterator[None]:
        """Freeze the pending changes and hand them to the changelog, a step being a few milliseconds at most.

        Changes made after the first step belong to the next commit.
        """
        if self._committing:
            raise StateError("the last commit is not finished: run finish_commit() to its end, or abandon()")
        self._committing = [CommitLog(store, self._expiring.get(name)) for name, store in self._pending.items()]
        for part in self._committing:
            yield from part.log(self._changelog if self.specs[part.name].logged else None, self.slice_entries)

    def finish_commit(self, new: Mapping[str, Checkpoint]) -> Iterator[None]:
        """Write the committed changes to the backend, a slice a step, the new checkpoints with the last.

        Raises StateError when a logged store has changes and `new` no checkpoint for it.
        """
        for part in self._committing:
            if part.entries and self.specs[part.name].logged and part.name not in new:
                raise StateError(
                    f"store {part.name} has changes in this commit: finish_commit needs its new checkpoint"
                )
        changes = chain.from_iterable(part.changes() for part in self._committing)
        yield from write_slices(self.backend, changes, new, self._marks, slice_entries=self.slice_entries)
        self._checkpoints.update(new)
        for part in self._committing:
            part.settle()
        self._committing = []

    def abandon(self) -> None:
        """Forget all changes that are not in the backend; the log says which of them happened."""
        self._committing = []
        for store in self._pending.values():
            store.abandon()
        for expiring in self._expiring.values():
            expiring.abandon()
        for versioned in self._versioned.values():
            versioned.forget()

    def checkpoints(self) -> dict[str, Checkpoint]:
        """The checkpoint of each store that has one."""
        return dict(self._checkpoints)

    def in_progress(self) -> dict[str, Checkpoint]:
        """For each store with an unfinished write: how far its data may reach."""
        return dict(self._marks)

    def undeclared_stores(self, declared: Iterable[str] | None = None) -> list[str]:
        """Stores in the backend that `declared` (or this task's specs) does not name: renamed or left over."""
        known = set(self.specs if declared is None else declared)
        return [name for name in self.backend.stores() if ":" not in name and name not in known]

    def clear(self, store: str) -> None:
        """Empty a store and forget its checkpoint, in one atomic batch that outlives a power cut: a rebuild begins."""
        self._inner(store).abandon()
        if store in self._versioned:
            self._versioned[store].forget()
        cleared = [change for name in (store, index_name(store)) for change in self._everything(name)]
        self.backend.write([*cleared, forget_changes(store)], sync=True)
        self._checkpoints.pop(store, None)
        self._marks.pop(store, None)

    def forget(self, places: Iterable[str]) -> None:
        """Forget checkpoints of these names, for good at once."""
        for place in places:
            self.backend.write([forget_changes(place)], sync=True)
            self._checkpoints.pop(place, None)
            self._marks.pop(place, None)

    def drop_store(self, store: str) -> None:
        """Remove a store for good, declared or not; its changelog is not touched."""
        if store in self.specs:
            raise StateError(f"store {store} is declared by the topology: take it out of the app before removing it")
        # Emptied first, in one batch with its checkpoint: a crash here leaves no checkpoint without its data.
        names = [name for name in (store, index_name(store)) if name in self.backend.stores()]
        cleared = [change for name in names for change in self._everything(name)]
        self.backend.write([*cleared, forget_changes(store), forget_format(store)], sync=True)
        for name in names:
            self.backend.drop_store(name)
        self._checkpoints.pop(store, None)
        self._marks.pop(store, None)

    def write_restored(self, changes: Iterable[Changes], new: Mapping[str, Checkpoint]) -> Iterator[None]:
        """Write restored changes without the write-ahead log, a slice a step; `flush_steps` makes them last."""
        for store in new:
            if store in self._versioned:
                self._versioned[store].forget()
        yield from write_slices(
            self.backend, changes, new, self._marks, durable=False, slice_entries=self.slice_entries
        )
        self._checkpoints.update(new)

    def keep(self, owner: object, size_bytes: int) -> bool:
        """Whether a step may keep so much at hand of what is in the stores; if not, it is to let go of it."""
        return self.backend.keep(owner, size_bytes)

    def flush_steps(self) -> Iterator[None]:
        """Make all that was written to the backend outlive the process, a step at a time."""
        yield from self.backend.flush_steps()

    def size_bytes(self) -> int:
        """Bytes on disk and in write buffers."""
        return self.backend.size_bytes()

    def close(self) -> None:
        """Close the backend; pending changes are dropped."""
        self.abandon()
        self.backend.close()

    def _inner(self, store: str, kind: str | None = None) -> PendingStore:
        inner = self._pending.get(store)
        if inner is None:
            raise UnknownStoreError(
                f"store {store} is not declared; declared: {', '.join(sorted(self.specs)) or 'none'}"
            )
        if kind is not None and self.specs[store].kind != kind:
            raise StateError(f"store {store} is a {self.specs[store].kind} store, not {kind}")
        return inner

    def _open(self, spec: StoreSpec) -> None:
        name = spec.name
        self.backend.open_store(name)
        check_format(self.backend, spec)
        inner = self._pending[name] = PendingStore(name, self.backend)
        if spec.kind == "window":
            self._windows[name] = WindowLayer(inner)
        elif spec.kind == "session":
            self._sessions[name] = SessionLayer(inner)
        elif spec.history_ms is not None:
            self._versioned[name] = VersionedLayer(inner, spec.history_ms)
        elif spec.ttl_ms is not None:
            self._expiring[name] = TtlStore(inner, self.backend, spec.ttl_ms)

    def _everything(self, name: str) -> Iterator[Changes]:
        """A change that clears a whole map of the backend; none if it is empty or not there."""
        if name in self.backend.stores():
            with self.backend.scan(name, reverse=True) as entries:
                last = next(entries, None)
            if last is not None:
                yield Changes(name, [], [], (b"", last[0] + b"\0"))
