"""The write-back layer: changes of one store since the last commit, in memory, coalesced by key.

Reads see them. At a commit they are frozen, handed to the changelog, and after the transaction written to the backend;
new changes meanwhile gather beside the frozen ones.

Blocks of columns stay as they are for as long as nobody asks for a key; then they become entries as all others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from operator import gt, lt
from typing import NamedTuple, TypeAlias

from state.api import Backend, Block, Column, Stamped, StateError, Times
from state.keys import unstamp

Change: TypeAlias = tuple[bytes | None, int]
"""A new value (None: deleted) and its timestamp."""

_GONE: Change = (None, 0)

ENTRY_OVERHEAD_BYTES = 200
"""What a change costs in memory beyond its key and value: dict slot, tuple, two bytes objects, an int."""


class Frozen(NamedTuple):
    """Changes set aside for a commit, either by key or as blocks; `cleared` is a key below which all goes first, and
    the timestamp of that.
    """

    changes: dict[bytes, Change]
    blocks: list[Block]
    cleared: tuple[bytes, int] | None
    total_bytes: int


class PendingStore:
    """A key-value store over `backend`, its changes kept until `freeze` and `settle`.

    >>> from state.backends.memory import MemoryBackend
    >>> backend = MemoryBackend()
    >>> backend.open_store("late")
    >>> store = PendingStore("late", backend)
    >>> store.put(b"AA", b"1", timestamp=7)
    >>> store.get_stamped(b"AA"), backend.get("late", b"AA")
    ((b'1', 7), None)
    """

    def __init__(self, name: str, backend: Backend) -> None:
        self.name = name
        self._backend = backend
        self._changes: dict[bytes, Change] = {}
        self._frozen: dict[bytes, Change] = {}
        self._blocks: list[Block] = []
        self._frozen_blocks: list[Block] = []
        self._cleared: tuple[bytes, int] | None = None
        self._floor = b""  # what the backend has below it is deleted
        self._bytes = 0
        self._sorted: list[bytes] | None = None

    @property
    def pending_entries(self) -> int:
        """Changed keys since the last commit."""
        return len(self._changes) + sum(len(block.timestamps) for block in self._blocks)

    @property
    def pending_bytes(self) -> int:
        """Memory they take, estimated."""
        # What a block keeps of each record beside its bytes are five integers in arrays.
        blocks = sum(block.size_bytes() + 40 * len(block.timestamps) for block in self._blocks)
        return self._bytes + len(self._changes) * ENTRY_OVERHEAD_BYTES + blocks

    @property
    def clean(self) -> bool:
        """Whether all that was put is in the backend."""
        return not (self._changes or self._frozen or self._blocks or self._frozen_blocks or self._cleared)

    def get(self, key: bytes) -> bytes | None:
        self._spread()
        change = self._changes.get(key) or self._frozen.get(key)
        if change is not None:
            return change[0]
        stored = None if key < self._floor else self._backend.get(self.name, key)
        return None if stored is None else stored[8:]

    def get_stamped(self, key: bytes) -> Stamped | None:
        self._spread()
        change = self._changes.get(key) or self._frozen.get(key)
        if change is not None:
            return None if change[0] is None else change  # type: ignore[return-value]
        stored = None if key < self._floor else self._backend.get(self.name, key)
        return None if stored is None else unstamp(stored)

    def get_many(self, keys: Sequence[bytes]) -> list[Stamped | None]:
        self._spread()
        changes, frozen, floor = self._changes, self._frozen, self._floor
        found = [changes.get(key) or frozen.get(key) or (_GONE if key < floor else None) for key in keys]
        missing = [key for key, change in zip(keys, found, strict=True) if change is None]
        stored = iter(self._backend.get_many(self.name, missing) if missing else ())
        return [_live(change) if change is not None else _unstamped(next(stored)) for change in found]

    def put(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Set a value; None deletes."""
        self._spread_pending()
        old = self._changes.get(key)
        if old is None:
            self._sorted = None
            self._bytes += len(key)
        elif old[0] is not None:
            self._bytes -= len(old[0])
        if value is not None:
            self._bytes += len(value)
        self._changes[key] = (value, timestamp)

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]) -> None:
        """Set many values at once; of equal keys the last wins."""
        self._spread_pending()
        before = len(self._changes)
        self._changes.update(zip(keys, zip(values, timestamps, strict=True), strict=True))
        self._bytes += sum(map(len, keys)) + sum(map(len, filter(None, values)))
        written, kept = before + len(keys), len(self._changes)
        if kept != written:
            # Keys written twice were counted twice; what is kept has about the mean size of what was written.
            self._bytes = self._bytes * kept // written
        self._sorted = None

    def put_block(self, keys: Column, values: Column, timestamps: Times, *, more: bool = False) -> None:
        """Set many values at once, their keys different from one another; with `more` also from those of the blocks put
        since the last commit. Without it, or beside entries put one by one, a block is spread as those are.
        """
        if self._changes or (self._blocks and not more):
            self.put_many(keys.cut(), values.cut(), timestamps.tolist())  # type: ignore[arg-type]  # no key is None
        elif len(timestamps):
            self._blocks.append(Block(keys, values, timestamps))
            self._sorted = None

    @contextmanager
    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[bytes, bytes, int]]]:
        """(key, value, timestamp) with start <= key < stop in key order, as they were when the scan began."""
        mine = self._range(start, stop)
        low = self._floor if start is None else max(start, self._floor)
        with self._backend.scan(self.name, low, stop, reverse=reverse) as stored:
            rows = _merge(mine[::-1] if reverse else mine, stored, reverse)
            try:
                yield rows
            finally:
                rows.close()

    def delete_many(self, keys: Sequence[bytes], timestamps: Sequence[int]) -> None:
        """Delete keys; what was put since the last commit and never reached the backend goes without a trace."""
        self._spread()
        ours = [key for key in keys if key in self._changes and key not in self._frozen]
        stored = self._backend.get_many(self.name, ours) if ours else []
        unknown = {key for key, value in zip(ours, stored, strict=True) if value is None}
        for key in unknown:
            self._forget(key)
        for key, timestamp in zip(keys, timestamps, strict=True):
            if key not in unknown:
                self.put(key, None, timestamp)
        self._sorted = None

    def clear_before(self, stop: bytes, timestamp: int) -> None:
        """Delete every key below `stop`, with a tombstone of that timestamp for each that the changelog knows.

        What was put since the last commit goes without a trace. What the backend has is looked up at the commit, in
        steps. Looks at all pending changes, so call it once a commit, and before blocks are put.
        """
        self._spread()
        for key in [key for key in self._changes if key < stop]:
            self._forget(key)
        for key in [key for key, change in self._frozen.items() if key < stop and change[0] is not None]:
            self.put(key, None, timestamp)
        if self._cleared is None or stop > self._cleared[0]:
            self._cleared = stop, timestamp
        self._floor = max(self._floor, stop)
        self._sorted = None

    def stored_keys(self, start: bytes | None, stop: bytes, most: int) -> list[bytes]:
        """The first keys of the backend with start <= key < stop."""
        with self._backend.scan(self.name, start, stop) as entries:
            return [key for key, _ in islice(entries, most)]

    def scan_stored(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes, int]]:
        """What the backend has with start <= key < stop, without the changes since the last commit."""
        with self._backend.scan(self.name, max(start, self._floor), stop) as entries:
            return [(key, *unstamp(stored)) for key, stored in entries]

    def older_than(self, timestamp: int) -> list[bytes]:
        """Keys of changes not yet in the backend, frozen or not, whose value has that timestamp or an earlier one."""
        self._spread()
        changes = self._frozen | self._changes if self._frozen else self._changes
        return [key for key, (value, time) in changes.items() if time <= timestamp and value is not None]

    def freeze(self) -> Frozen:
        """Set the pending changes aside for a commit."""
        if self._frozen or self._frozen_blocks:
            raise StateError(
                f"store {self.name}: the last commit is not finished; run finish_commit() to its end or abandon()"
            )
        frozen = Frozen(self._changes, self._blocks, self._cleared, self._bytes)
        self._frozen, self._frozen_blocks = self._changes, self._blocks
        self._changes, self._blocks, self._cleared, self._bytes, self._sorted = {}, [], None, 0, None
        return frozen

    def settle(self) -> None:
        """The frozen changes are in the backend."""
        self._frozen, self._frozen_blocks, self._sorted = {}, [], None
        self._floor = b"" if self._cleared is None else self._cleared[0]

    def abandon(self) -> None:
        """Forget all that is not in the backend."""
        self._changes, self._frozen, self._bytes, self._sorted = {}, {}, 0, None
        self._blocks, self._frozen_blocks = [], []
        self._cleared, self._floor = None, b""

    def _spread(self) -> None:
        """Blocks become entries, so that keys can be looked up."""
        if self._frozen_blocks:
            # Not into the entries that a commit has in its hands: it has the blocks as well.
            self._frozen = dict(chain.from_iterable(map(_entries, self._frozen_blocks)))
            self._frozen_blocks, self._sorted = [], None
        self._spread_pending()

    def _spread_pending(self) -> None:
        blocks, self._blocks = self._blocks, []
        for block in blocks:
            self.put_many(block.keys.cut(), block.values.cut(), block.timestamps.tolist())  # type: ignore[arg-type]

    def _forget(self, key: bytes) -> bytes | None:
        value = self._changes.pop(key)[0]
        self._bytes = max(0, self._bytes - len(key) - (0 if value is None else len(value)))
        return value

    def _range(self, start: bytes | None, stop: bytes | None) -> list[tuple[bytes, Change]]:
        self._spread()
        changes = self._frozen | self._changes if self._frozen else self._changes
        if self._sorted is None or self._frozen:
            self._sorted = sorted(changes)
        keys = self._sorted
        low = 0 if start is None else bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        return [(key, changes[key]) for key in keys[low:high]]


def _entries(block: Block) -> Iterator[tuple[bytes, Change]]:
    changes = zip(block.values.cut(), block.timestamps.tolist(), strict=True)
    return zip(block.keys.cut(), changes, strict=True)  # type: ignore[arg-type]  # no key is None


def _live(change: Change) -> Stamped | None:
    return None if change[0] is None else change  # type: ignore[return-value]


def _unstamped(stored: bytes | None) -> Stamped | None:
    return None if stored is None else unstamp(stored)


def _merge(
    mine: list[tuple[bytes, Change]], stored: Iterator[tuple[bytes, bytes]], reverse: bool
) -> Generator[tuple[bytes, bytes, int], None, None]:
    """Both sides in key order; a pending change hides the stored value."""
    below = gt if reverse else lt
    at, count = 0, len(mine)
    for key, value in stored:
        while at < count and below(mine[at][0], key):
            yield from _row(*mine[at])
            at += 1
        if at < count and mine[at][0] == key:
            yield from _row(*mine[at])
            at += 1
        else:
            yield (key, *unstamp(value))
    for entry in mine[at:]:
        yield from _row(*entry)


def _row(key: bytes, change: Change) -> tuple[tuple[bytes, bytes, int], ...]:
    value, timestamp = change
    return () if value is None else ((key, value, timestamp),)
