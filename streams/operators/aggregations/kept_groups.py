"""The groups that an aggregation keeps in memory with their states, and the store behind them.

A commit writes what changed; what is closed goes then, and everything when there are too many groups. A window that
opens, closes and leaves its retention between two commits is never written. `partial` names the windows of which some
groups may be in the store only: those found there at start, and those put aside to bound memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np

from state.api import Stamped
from streams.arrays import Int64Array, Slots
from streams.batch import Batch
from streams.graph.nodes import AggregateNode
from streams.kernels import compiled
from streams.operators.aggregations.fold_states import FoldStates
from streams.operators.aggregations.group_table import GroupTable
from streams.operators.aggregations.groups import Groups
from streams.operators.aggregations.state_form import read_state
from streams.operators.base import PIECE_ROWS, TaskContext
from streams.serde import key_serde_for
from streams.spans import CutSpans, Spans

GROUPS_IN_MEMORY_MAX = 5_000_000
"""Groups kept in memory by one operator, however much memory there is; beyond it, or where the stores' memory has
no more room, those that were written are put aside after a commit."""

ONE_WINDOW = 0
"""The window start under which groups without a window are kept."""


class KeptGroups:
    def __init__(self, node: AggregateNode, context: TaskContext, new_states: Callable[[], FoldStates]) -> None:
        self._node = node
        self._context = context
        self._new_states = new_states
        self._store = node.store.name
        self._keys = key_serde_for(node.store.key_type)
        self._windowed = node.window is not None
        self.partial: set[int] = set()
        self.deleted: set[int] = set()
        """Slots whose aggregate became None: they begin anew with their next record."""
        self._begin()

    def _begin(self) -> None:
        window = self._node.window
        self.groups: Groups | GroupTable = Groups(1 if window is None else window.step_ms)  # type: ignore[union-attr]
        self.states = self._new_states()
        self.deleted.clear()

    # -- records

    def locate(self, batch: Batch, rows: Slots, starts: Int64Array) -> Slots:
        """The slot of each (row, window start), with its state."""
        if compiled.ready() and isinstance(self.groups, Groups):
            self.groups = GroupTable.of(self.groups)
        slots, fresh = self.groups.locate(self._keys_of(batch), rows, starts)
        self.states.resize(self.groups.capacity)
        self._fill(fresh)
        return slots

    def _keys_of(self, batch: Batch) -> Spans | list[bytes]:
        """The keys as the store has them."""
        if batch.key_spans is not None and isinstance(self.groups, GroupTable) and batch.has_keys_of(self._keys):
            return batch.key_spans
        return batch.encoded_keys(self._keys)

    def _fill(self, fresh: Slots) -> None:
        """First states of slots: from the store where it may have them, else empty."""
        if not len(fresh):
            return
        self.states.start(fresh)
        if self.deleted:
            self.deleted.difference_update(fresh.tolist())
        if not self.partial:
            return
        stored = fresh[np.isin(self.groups.starts[fresh], list(self.partial))] if self._windowed else fresh
        if len(stored):
            keys: list[bytes] = self.groups.key_spans(stored, with_starts=self._windowed).cut()  # type: ignore[assignment]
            found = self._context.stores.get_many(self._store, keys)
            there = [(slot, entry) for slot, entry in zip(stored.tolist(), found, strict=True) if entry is not None]
            self._load([slot for slot, _ in there], [entry for _, entry in there])

    def _load(self, slots: list[int], entries: list[Stamped]) -> None:
        """These slots, just started, begin with what is stored."""
        if not slots:
            return
        at, payloads = np.array(slots, np.intp), [payload for payload, _ in entries]
        if not self.states.load_all(at, payloads):
            for slot, payload in zip(slots, payloads, strict=True):
                read_state(self._node, partial(self.states.load, slot), payload)
        self.groups.timestamps[at] = [timestamp for _, timestamp in entries]

    # -- windows

    def windows(self, after: int, upto: int) -> Iterator[Slots]:
        """The slots of the windows with after < start <= upto, earliest window first, by key within it."""
        starts = [start for start in {*self.groups.open_starts, *self.partial} if after < start <= upto]
        return map(self._whole_window, sorted(starts))

    def _whole_window(self, start: int) -> Slots:
        """The slots of a window in key order, with the groups that only the store has."""
        groups = self.groups
        if start in self.partial:
            with self._context.stores.window(self._store).block(start) as entries:
                stored = {key: (payload, timestamp) for key, payload, timestamp in entries}
            missing = [key for key in stored if not groups.holds(start, key)]
            if missing:
                slots, fresh = groups.locate(missing, np.arange(len(missing)), np.full(len(missing), start, np.int64))
                self.states.resize(groups.capacity)
                self.states.start(fresh)
                self._load(slots.tolist(), [stored[key] for key in missing])
        found = groups.of_start(start)
        # A group without a timestamp had no record but such as failed.
        found = found[groups.timestamps[found] >= 0]
        if self.deleted:
            found = np.array([slot for slot in found.tolist() if slot not in self.deleted], np.intp)
        return found

    # -- commit

    def write_pieces(self) -> Iterator[None]:
        """Puts the changed groups into the store, some at a step."""
        dirty = self.groups.dirty_slots()
        self.groups.dirty[dirty] = False
        for at in range(0, len(dirty), PIECE_ROWS):
            self._write(dirty[at : at + PIECE_ROWS], more=at > 0)
            yield

    def _write(self, slots: Slots, *, more: bool) -> None:
        stores, timestamps = self._context.stores, self.groups.timestamps[slots]
        spans = self.groups.key_spans(slots, with_starts=self._windowed)
        packed = self.states.pack(slots)
        if packed is not None:
            packed = packed if compiled.ready() else CutSpans.cutting(packed)
            stores.put_block(self._store, spans, packed, timestamps, more=more)
        else:
            keys: list[bytes] = spans.cut()  # type: ignore[assignment]  # none is null
            stores.put_many(self._store, keys, self.states.encode(slots), timestamps.tolist())
        if self._store in self._context.views:
            self._context.view(self._node.store).forget(spans.cut())  # type: ignore[arg-type]  # none is null

    def let_go(self, closed_to: int) -> None:
        """Frees what is written and not needed: closed windows, and everything when there are too many groups."""
        if self._windowed:
            self.groups.drop_starts(closed_to)
            self.partial = {start for start in self.partial if start > closed_to}
        too_many = max(len(self.groups), self.groups.keys_known // 2) > GROUPS_IN_MEMORY_MAX
        if too_many or not self._context.stores.keep(self, self.groups.size_bytes()):
            self.partial.update(self.groups.open_starts)
            self._begin()

    def forget(self, keys: Sequence[bytes]) -> list[int]:
        """These groups, without a window, are gone from the store; gives their slots."""
        return self.groups.drop(ONE_WINDOW, keys)


def in_pieces(parts: Iterable[Slots]) -> Iterator[Slots]:
    """The slots of all parts, in pieces of `PIECE_ROWS`; parts are asked for as they are needed.

    >>> [len(piece) for piece in in_pieces(np.arange(n) for n in (3, 0, 5_000))]
    [4096, 907]
    """
    waiting: list[Slots] = []
    count = 0
    for part in chain(parts, [None]):
        if part is not None:
            waiting.append(part)
            count += len(part)
        while count >= PIECE_ROWS or (part is None and count):
            whole = np.concatenate(waiting)
            yield whole[:PIECE_ROWS]
            waiting = [whole[PIECE_ROWS:]]
            count = len(waiting[0])
