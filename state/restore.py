"""Changelog to store: fed with decoded chunks, writes what they leave, tells how far it is.

It knows no transport. It does not wait for the record before the end to arrive, which compaction, an aborted
transaction or a control record may have left out: whoever reads the log says what position the reading has reached, and
at `end` the store is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from state.api import Changes, Checkpoint, StateError
from state.checkpoint import needs_rebuild
from state.commit import SLICE_ENTRIES
from state.keys import stamp_many
from state.layers.logged import slice_size
from state.layers.pending import Change
from state.task_stores import TaskStores
from state.ttl import index_changes

GATHER_ENTRIES = 32_768
GATHER_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class RestoreEvent:
    """How far one store is: the reading at offset `position` of `end`, records and bytes read in this run.

    `reason` says, in the "started" event, why the store was emptied and starts from the beginning.
    """

    store: str
    task: str
    state: Literal["started", "progress", "done"]
    position: int
    end: int
    restored_records: int
    restored_bytes: int
    reason: str | None = None


class Restorer:
    """Brings one store to offset `end` of its changelog.

    `log_start` and `log_end` are the changelog's first and next offsets; `end` (default `log_end`) is where to stop.
    Reading starts at `position`: the store's checkpoint, or the beginning when the store is new or cannot be continued;
    then it is emptied, and the "started" event says why.

    >>> from state.api import StoreSpec
    >>> from state.backends.memory import MemoryBackend
    >>> stores = TaskStores(MemoryBackend(), [StoreSpec("late")], lambda *change: None)
    >>> restorer = Restorer(stores, "late", topic_id="t", log_end=10)
    >>> restorer.feed(7, [b"AA", b"UA", b"AA"], [b"1", b"2", None], [0, 0, 5])
    >>> restorer.feed(10)                      # nothing but control records up to the end
    >>> for _ in restorer.finish(): pass
    >>> stores.get("late", b"UA"), stores.get("late", b"AA"), stores.checkpoints()["late"].offset
    ((b'2', 0), None, 10)
    """

    def __init__(
        self,
        stores: TaskStores,
        store: str,
        *,
        topic_id: str,
        log_end: int,
        log_start: int = 0,
        end: int | None = None,
        task: str = "",
        listener: Callable[[RestoreEvent], None] | None = None,
    ) -> None:
        self.store, self.task, self.topic_id = store, task, topic_id
        self.end = log_end if end is None else end
        self.restored_records = self.restored_bytes = 0
        self._stores, self._listener = stores, listener
        self._indexed = stores.specs[store].ttl_ms is not None
        self._gathered: dict[bytes, Change] = {}
        self._gathered_bytes = 0
        self._writing: Iterator[None] = iter(())
        checkpoint, mark = stores.checkpoints().get(store), stores.in_progress().get(store)
        self.reason = needs_rebuild(checkpoint, mark, topic_id, log_end, log_start)
        if self.reason is not None:
            stores.clear(store)
            checkpoint = None
        self.position = log_start if checkpoint is None else checkpoint.offset
        self._tell("started")

    @property
    def reached(self) -> bool:
        """Whether the reading has reached the end; `finish` then makes the store ready."""
        return self.position >= self.end

    def feed(
        self,
        next_offset: int,
        keys: Sequence[bytes] = (),
        values: Sequence[bytes | None] = (),
        timestamps: Sequence[int] = (),
    ) -> None:
        """Take the records of one chunk, in offset order, and the position after it; a chunk may hold no records.

        Costs about a microsecond a record, so a few thousand records a chunk keep an event loop responsive.
        """
        before = len(self._gathered)
        self._gathered.update(zip(keys, zip(values, timestamps, strict=True), strict=True))
        size = sum(map(len, keys)) + sum(map(len, filter(None, values)))
        self.restored_records += len(keys)
        self.restored_bytes += size
        fresh = len(self._gathered) - before
        self._gathered_bytes += size * fresh // len(keys) if keys else 0
        self.position = next_offset
        for _ in range(1 + 2 * len(keys) // SLICE_ENTRIES):
            next(self._writing, None)
        if len(self._gathered) >= GATHER_ENTRIES or self._gathered_bytes >= GATHER_BYTES:
            self._write()

    def save(self) -> Iterator[None]:
        """Write what was read so far, a slice a step, and make it last: a later run goes on from `position`."""
        self._write()
        yield from self._writing
        self._stores.flush()

    def finish(self) -> Iterator[None]:
        """Save, and say that the store is ready. Raises StateError when the reading has not reached the end."""
        if not self.reached:
            raise StateError(
                f"store {self.store}: restored to offset {self.position}, not yet to {self.end}; feed it the rest"
            )
        yield from self.save()
        self._tell("done")

    def _write(self) -> None:
        for _ in self._writing:
            pass
        gathered, size = self._gathered, self._gathered_bytes
        self._gathered, self._gathered_bytes = {}, 0
        self._writing = self._stores.write_restored(
            self._changes(gathered, size), {self.store: Checkpoint(self.topic_id, self.position)}
        )
        self._tell("progress")

    def _changes(self, gathered: dict[bytes, Change], total_bytes: int) -> Iterator[Changes]:
        keys = sorted(gathered)
        size = slice_size(len(keys), total_bytes)
        for at in range(0, len(keys), size):
            part = keys[at : at + size]
            values, timestamps = zip(*map(gathered.__getitem__, part), strict=True)
            yield Changes(self.store, part, stamp_many(values, timestamps))
            if self._indexed:
                yield index_changes(self.store, part, values, timestamps)

    def _tell(self, state: Literal["started", "progress", "done"]) -> None:
        if self._listener is not None:
            self._listener(
                RestoreEvent(
                    self.store,
                    self.task,
                    state,
                    self.position,
                    self.end,
                    self.restored_records,
                    self.restored_bytes,
                    self.reason if state == "started" else None,
                )
            )
