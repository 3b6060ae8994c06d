"""Changelog to store: fed with decoded chunks, writes what they leave, tells how far it is.

It knows no transport. It does not wait for the record before the end to arrive, which compaction, an aborted
transaction or a control record may have left out: whoever reads the log says what position the reading has reached, and
at `end` the store is ready.

Where much is to be read, it is gathered first, the last change of each key, and written sorted when it has grown large
enough: a changelog of two million updates of 500,000 keys is a quarter of the writes, and a sorted one costs a third.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from state.api import Changes, Checkpoint, StateError
from state.checkpoint import needs_rebuild
from state.commit import SLICE_ENTRIES
from state.keys import stamp_many, unstamp
from state.layers.logged import slice_size, sort_in_steps
from state.layers.pending import ENTRY_OVERHEAD_BYTES
from state.task_stores import TaskStores
from state.ttl import index_changes

LOAD_RECORDS = 100_000
"""From this many offsets to read on, what is read is gathered before it is written."""

GATHER_BYTES = 32 << 20
"""Memory that one restorer gathers in, unless it is told."""


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
    `undone` says that the log has taken back a change that the store has.

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
        undone: bool = False,
        gather_bytes: int = GATHER_BYTES,
        task: str = "",
        listener: Callable[[RestoreEvent], None] | None = None,
    ) -> None:
        self.store, self.task, self.topic_id = store, task, topic_id
        self.end = log_end if end is None else end
        self.restored_records = self.restored_bytes = 0
        self._stores, self._listener = stores, listener
        self._indexed = stores.specs[store].ttl_ms is not None
        checkpoint, mark = stores.checkpoints().get(store), stores.in_progress().get(store)
        self.reason = needs_rebuild(checkpoint, mark, topic_id, log_end, log_start, undone=undone)
        if self.reason is not None:
            stores.clear(store)
            checkpoint = None
        self.position = log_start if checkpoint is None else checkpoint.offset
        self._gather_bytes = gather_bytes
        self._gathers = False
        self._latest: dict[bytes, bytes | None] = {}
        self._read_to = self.position
        self._records = self._bytes = 0  # that were read into `_latest`
        self._writing: Iterator[None] = iter(())
        self._tell("started")

    @property
    def reached(self) -> bool:
        """Whether the reading has reached the end; `finish` then makes the store ready."""
        return self.position >= self.end

    @property
    def busy(self) -> bool:
        """Whether the backend is behind with what it was fed: wait a little, or `feed` does, holding all up."""
        return self._stores.backend.busy(self.store)

    def feed(
        self,
        next_offset: int,
        keys: Sequence[bytes] = (),
        values: Sequence[bytes | None] = (),
        timestamps: Sequence[int] = (),
    ) -> None:
        """Take the records of one chunk, in offset order, and `next_offset` as how far it is; it may hold no records.

        They are written at once, or gathered where much is to be read. A few thousand a chunk keep an event loop
        responsive.
        """
        self._gathers = self._gathers or self.end - self.position >= LOAD_RECORDS
        # As bytes, not as pairs: half a million tuples would have the garbage collector look through them all.
        self._latest.update(zip(keys, stamp_many(values, timestamps), strict=True))
        size = sum(map(len, keys)) + sum(map(len, filter(None, values)))
        self.restored_records += len(keys)
        self.restored_bytes += size
        self._records += len(keys)
        self._bytes += size
        self.position = self._read_to = next_offset
        if not self._gathers:
            _exhaust(self._write())
        elif len(self._latest) * (ENTRY_OVERHEAD_BYTES + self._bytes // max(1, self._records)) >= self._gather_bytes:
            _exhaust(self._writing)
            self._writing = self._write()
        # Twice as fast as it is read, so that it is long done when as much has been read again.
        for _ in islice(self._writing, 1 + 2 * len(keys) // SLICE_ENTRIES):
            pass
        self._tell("progress")

    def skip(self, next_offset: int) -> None:
        """There is nothing more to read before `next_offset`: control records, aborted ones, or none.

        That is not written down: a checkpoint stands right behind a change, where it can be held against the log.
        """
        self.position = max(self.position, next_offset)

    def save(self) -> Iterator[None]:
        """Make what was read so far last, a step at a time: a later run goes on from `position`."""
        yield from self._writing
        if self._gathers:
            self._gathers = False
            yield from self._write()
        yield from self._stores.flush_steps()

    def finish(self) -> Iterator[None]:
        """Save, a step at a time, and say that the store is ready. Raises StateError before the end is reached."""
        if not self.reached:
            raise StateError(
                f"store {self.store}: restored to offset {self.position}, not yet to {self.end}; feed it the rest"
            )
        yield from self.save()
        self._tell("done")

    def _write(self) -> Iterator[None]:
        """Write what was read so far, a slice of it a step, and how far that is."""
        latest, self._latest = self._latest, {}
        size = min(slice_size(self._records, self._bytes), self._stores.slice_entries)
        self._records = self._bytes = 0
        return self._write_sorted(latest, size, Checkpoint(self.topic_id, self._read_to))

    def _write_sorted(self, latest: dict[bytes, bytes | None], size: int, checkpoint: Checkpoint) -> Iterator[None]:
        # A sorted write costs a third of an unsorted one, as the backend sorts what it is given.
        keys = list(latest)
        yield from sort_in_steps(keys)
        yield from self._stores.write_restored(self._slices(keys, latest, size), {self.store: checkpoint})

    def _slices(self, keys: list[bytes], latest: dict[bytes, bytes | None], size: int) -> Iterator[Changes]:
        for at in range(0, len(keys), size):
            part = keys[at : at + size]
            values = list(map(latest.__getitem__, part))
            yield Changes(self.store, part, values)
            if self._indexed:
                timestamps = [0 if value is None else unstamp(value)[1] for value in values]
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


def _exhaust(steps: Iterator[None]) -> None:
    deque(steps, maxlen=0)
