"""The changelog layer: a commit's changes of one store as columns, handed to the changelog slice by slice."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from state.api import Block, Changelog, Changes
from state.commit import SLICE_BYTES, SLICE_ENTRIES
from state.keys import stamp_many
from state.layers.pending import PendingStore
from state.ttl import TtlStore, index_changes

SORT_RUN = 16_384


class Columns(NamedTuple):
    """Changes as three columns of one length, sorted by key."""

    keys: list[bytes]
    values: list[bytes | None]
    timestamps: list[int]


class CommitLog:
    """One store's part of a commit: `log` first, `changes` after the transaction, `settle` when they are written."""

    def __init__(self, store: PendingStore, expiring: TtlStore | None = None) -> None:
        self.name = store.name
        self._store = store
        self._indexed = expiring is not None
        self._index_cleared = None if expiring is None else expiring.take_cleared()
        self._slices: list[Columns | Block] = []
        self._changes, self._blocks, self._cleared, self._bytes = store.freeze()
        self._cleared_from: bytes | None = None
        self.entries = len(self._changes) + sum(len(block.timestamps) for block in self._blocks)
        """Changes for the changelog; all of them once `log` has run."""

    def log(self, changelog: Changelog | None, slice_entries: int = SLICE_ENTRIES) -> Iterator[None]:
        """Hand the changes to the changelog in steps of a few milliseconds at most: by key, blocks as they came."""
        yield from self._log_cleared(changelog, slice_entries)
        for block in self._blocks:
            yield from self._log_block(changelog, block, slice_entries)
        changes = self._changes
        keys = list(changes)
        for _ in sort_in_steps(keys):
            yield
        size = min(slice_entries, slice_size(len(keys), self._bytes))
        for at in range(0, len(keys), size):
            part = keys[at : at + size]
            values, timestamps = zip(*map(changes.__getitem__, part), strict=True)
            columns = Columns(part, list(values), list(timestamps))
            self._slices.append(columns)
            if changelog is not None:
                changelog(self.name, *columns)
            yield

    def changes(self) -> Iterator[Changes]:
        """The same changes for the backend, a slice at a time."""
        if self._cleared is not None and self._cleared_from is not None:
            yield Changes(self.name, [], [], (self._cleared_from, self._cleared[0]))
        if self._index_cleared is not None:
            yield self._index_cleared
        for part in self._slices:
            columns = _by_key(part) if isinstance(part, Block) else part
            yield Changes(self.name, columns.keys, stamp_many(columns.values, columns.timestamps))
            if self._indexed:
                yield index_changes(self.name, *columns)

    def settle(self) -> None:
        """All changes are in the backend."""
        self._store.settle()

    def _log_block(self, changelog: Changelog | None, block: Block, slice_entries: int) -> Iterator[None]:
        entries = len(block.timestamps)
        size = min(slice_entries, slice_size(entries, block.size_bytes()))
        for at in range(0, entries, size):
            part = block.rows(slice(at, at + size))
            self._slices.append(part)
            if changelog is not None:
                changelog(self.name, *part)
            yield

    def _log_cleared(self, changelog: Changelog | None, slice_entries: int) -> Iterator[None]:
        """A tombstone for each stored key of the cleared range that is not put again; the backend gets one range."""
        if self._cleared is None:
            return
        (stop, timestamp), at = self._cleared, None
        put_again: Container[bytes | None] | None = None
        while stored := self._store.stored_keys(at, stop, slice_entries):
            if self._cleared_from is None:
                self._cleared_from = stored[0]
            if put_again is None:
                put_again = self._changes or {key for block in self._blocks for key in block.keys.cut()}
            keys = [key for key in stored if key not in put_again]
            self.entries += len(keys)
            if keys and changelog is not None:
                changelog(self.name, keys, [None] * len(keys), [timestamp] * len(keys))
            at = stored[-1] + b"\0"
            yield


def _by_key(block: Block) -> Columns:
    keys: list[bytes] = block.keys.cut()  # type: ignore[assignment]  # none is None
    values, timestamps = block.values.cut(), block.timestamps.tolist()
    # To sort costs a tenth of a microsecond an entry, to write what is not sorted a third more.
    ordered = sorted(keys)
    if ordered != keys:
        row_of = dict(zip(keys, range(len(keys)), strict=True))
        rows = [row_of[key] for key in ordered]
        values, timestamps = [values[row] for row in rows], [timestamps[row] for row in rows]
    return Columns(ordered, values, timestamps)


def slice_size(entries: int, total_bytes: int) -> int:
    """Entries in a slice: SLICE_ENTRIES, fewer where their mean size would make it larger than SLICE_BYTES."""
    return SLICE_ENTRIES if total_bytes == 0 else max(1, min(SLICE_ENTRIES, SLICE_BYTES * entries // total_bytes))


def sort_in_steps(keys: list[bytes]) -> Iterator[None]:
    """Sort in place by runs, a run a step; the last sort then only merges, in a fraction of the time."""
    for at in range(0, len(keys) if len(keys) > SORT_RUN else 0, SORT_RUN):
        keys[at : at + SORT_RUN] = sorted(keys[at : at + SORT_RUN])
        yield
    keys.sort()
