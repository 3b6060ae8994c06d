"""Changelog to store: fed with decoded chunks, writes what they leave, tells how far it is.

It knows no transport. It does not wait for the record before the end to arrive, which compaction, an aborted
transaction or a control record may have left out: whoever reads the log says what position the reading has reached, and
at `end` the store is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

from state.api import Changes, Checkpoint, StateError
from state.checkpoint import needs_rebuild
from state.commit import SLICE_ENTRIES
from state.keys import stamp_many
from state.layers.logged import slice_size
from state.task_stores import TaskStores
from state.ttl import index_changes

LOAD_RECORDS = 100_000
"""From this many offsets to read on, the backend is told to make writing cheap at the cost of reading."""


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
        self._loading = False
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
        """Write the records of one chunk, in offset order, and `next_offset` as how far it is; it may hold no records.

        Costs about half a microsecond a record when much is to be restored, a little over one otherwise: a few thousand
        a chunk keep an event loop responsive.
        """
        if keys and not self._loading and self.end - self.position >= LOAD_RECORDS:
            # Not before the first record: a long stretch of log may hold none, and then nobody has anything to save.
            self._loading = True
            self._stores.begin_load()
        latest = dict(zip(keys, stamp_many(values, timestamps), strict=True))
        size = sum(map(len, keys)) + sum(map(len, filter(None, values)))
        self.restored_records += len(keys)
        self.restored_bytes += size
        self.position = next_offset
        changes: Iterable[Changes] = self._slices(latest, min(slice_size(len(keys), size), self._stores.slice_entries))
        if self._indexed:
            changes = chain(changes, self._index(dict(zip(keys, timestamps, strict=True)), latest))
        for _ in self._stores.write_restored(changes, {self.store: Checkpoint(self.topic_id, next_offset)}):
            pass
        self._tell("progress")

    def skip(self, next_offset: int) -> None:
        """There is nothing more to read before `next_offset`: control records, aborted ones, or none.

        That is not written down: a checkpoint stands right behind a change, where it can be held against the log.
        """
        self.position = max(self.position, next_offset)

    def save(self) -> Iterator[None]:
        """Make what was read so far last, a step at a time: a later run goes on from `position`."""
        yield from self._stores.flush_steps()
        if self._loading:
            self._loading = False
            self._stores.end_load()

    def finish(self) -> Iterator[None]:
        """Save, a step at a time, and say that the store is ready. Raises StateError before the end is reached."""
        if not self.reached:
            raise StateError(
                f"store {self.store}: restored to offset {self.position}, not yet to {self.end}; feed it the rest"
            )
        yield from self.save()
        self._tell("done")

    def _slices(self, latest: dict[bytes, bytes | None], size: int) -> Iterator[Changes]:
        if self._loading:
            keys, values = list(latest), list(latest.values())
        else:
            # A sorted write costs a third of an unsorted one, where the backend sorts as it is written to.
            keys = sorted(latest)
            values = [latest[key] for key in keys]
        for at in range(0, len(keys), size):
            yield Changes(self.store, keys[at : at + size], values[at : at + size])

    def _index(self, timestamps: dict[bytes, int], latest: dict[bytes, bytes | None]) -> Iterator[Changes]:
        entries = iter(timestamps)
        while keys := list(islice(entries, SLICE_ENTRIES)):
            yield index_changes(self.store, keys, [latest[key] for key in keys], [timestamps[key] for key in keys])

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
