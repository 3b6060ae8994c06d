"""What aggregations share that go record by record: sessions, sliding windows, cogroups.

A record's effects on windows are worked out first, by the user's functions, and take place when all of them have
answered: a record counts everywhere or nowhere. Each input has a time of its own, as in Kafka Streams each is a step of
its own; a window can be met as long as the store keeps it (`StoreDef.retention_ms`, counted from the latest time of a
window in it), as Kafka's stores have it.

Over 300 lines: what happens to a window, from its first record to its last write, is to be read in one place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from streams.batch import Batch
from streams.graph.nodes import KeyedAggregateNode, SessionAggregateNode
from streams.operators.aggregations.folding import Folding
from streams.operators.aggregations.held_windows import UNLOADED, Held, HeldWindows, by_start
from streams.operators.aggregations.row_results import Result, RowResults
from streams.operators.aggregations.state_form import form_of, read_state
from streams.operators.base import NO_TIME, PIECE_ROWS, Blocked, Found, Operator, TaskContext
from streams.operators.drops import with_key_and_value
from streams.operators.failures import TryAgain
from streams.operators.row_context import RowContext
from streams.serde import key_serde_for

HELD_MAX = 500_000
"""States kept in memory by one operator; beyond it those that are written are put aside after a commit."""


class Effect(NamedTuple):
    """A window gets a state (None: it goes) and a timestamp; `old` is the result before, None if it had none."""

    held: Held
    state: Any
    timestamp: int
    old: Any = None


class Side:
    """One input: its fold, its time, and the time up to which windows are closed for it."""

    __slots__ = ("closed_to", "folding", "observed")

    def __init__(self, folding: Folding) -> None:
        self.folding = folding
        self.observed = self.closed_to = NO_TIME


class Record(NamedTuple):
    """A record as effects are worked out of it; `key_bytes` as in the store."""

    side: Side
    key_bytes: bytes
    key: Any
    value: Any
    time: int


class RowAggregateOperator(Operator[KeyedAggregateNode]):
    """`effects` is what a subclass says of a record; `grace_ms` how long before its time is a window closed."""

    order_of = staticmethod(by_start)
    updates_have_headers = True
    """Whether a change leaves with the headers of the record that made it."""
    grace_ms = 0

    def __init__(self, node: KeyedAggregateNode, context: TaskContext) -> None:
        super().__init__(node, context)
        merge = node.merge if isinstance(node, SessionAggregateNode) else None
        self._sides = [Side(Folding(fold, merge, lambda: self._ctx)) for fold in node.folds]
        self._ctx: RowContext | None = None
        self._store = node.store.name
        self._emit = context.emission(node.name, node.emit)
        self._keys = key_serde_for(node.store.key_type)
        self._form = form_of(node)
        self._windows = HeldWindows(self.order_of)
        self._put_time = NO_TIME
        self._gone_to = NO_TIME
        self._expired_to = NO_TIME
        self._late = 0
        with_headers = self.updates_have_headers or self._emit == "close"
        self.results = RowResults(node, context.partition, with_headers=with_headers)
        self._changed: dict[Held, None] = {}
        self._dirty: dict[Held, None] = {}
        self._shared = self._store in context.shared_stores or node.store.ttl_ms is not None

    # -- what a subclass says

    @abstractmethod
    def effects(self, record: Record) -> list[Effect]:
        """What a record does, in the order in which it leaves. Windows it is too late for count as `_late`."""

    @abstractmethod
    def store_key(self, held: Held) -> bytes: ...

    @abstractmethod
    def stored(self, from_time: int) -> Iterator[tuple[Held, int]]:
        """The windows in the store from a time on, in the order in which they go, each with its timestamp."""

    @abstractmethod
    def closed_before(self, closed_to: int) -> int:
        """Windows are closed if their time is before this, as long as `closed_to` is their side's."""

    def remember(self, held: Held) -> None:
        """The window has a value from now on."""
        self._windows.add(held)

    def forget_window(self, held: Held) -> None:
        """The window has no value any more."""
        self._windows.remove(held)

    # -- start

    def open(self) -> None:
        clock = self.context.load_clock(self.node.name)
        if clock is not None:
            times, self._put_time, self._gone_to = clock
            for side, (observed, closed_to) in zip(self._sides, times, strict=False):
                side.observed, side.closed_to = observed, closed_to
        closed = self._closed()
        for held, timestamp in self.stored(min(self._gone_to + 1, closed)):
            held.state, held.timestamp, held.stored, held.shown = UNLOADED, timestamp, True, UNLOADED
            self._windows.add(held, closed=held.time < closed)

    # -- records

    def process(self, batch: Batch) -> Batch | None:
        return self.take(0, batch)

    def take(self, side: int, batch: Batch) -> Batch | None:
        batch = with_key_and_value(batch, self.node, self.context.failures)
        return self.fold_batch(self._sides[side], batch) if len(batch) else None

    def fold_batch(self, side: Side, batch: Batch) -> Batch | None:
        """Folds records with key and value; gives what leaves."""
        return self._from_row(side, batch, 0)

    def _from_row(self, side: Side, batch: Batch, first: int) -> Batch | None:
        rows = zip(batch.encoded_keys(self._keys), batch.keys, batch.values, batch.timestamps.tolist(), strict=True)
        for row, (key_bytes, key, value, time) in islice(enumerate(rows), first, None):
            if self.node.window is not None and time < 0:
                self.context.failures.dropped(self.node, "no_window", 1)
                continue
            self._observe(side, time)
            again = lambda row=row: self._from_row(side, batch, row)  # noqa: E731
            self._fold_row(batch, row, Record(side, key_bytes, key, value, time), again)
            if self._emit == "close":
                self._close(row)
        return self._answer(batch)

    def _fold_row(self, batch: Batch, row: int, record: Record, again: Callable[[], Batch | None]) -> None:
        """One record. If it fails and is to be tried again, `again` goes on with it."""
        self._late = 0
        if record.side.folding.wants_ctx:
            self._ctx = RowContext(batch, row, self.context)
        try:
            effects = self.effects(record)
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises goes to the error policy
            self._failed(batch, row, error, again)
        else:
            self.context.failures.dropped(self.node, "late", self._late)
            self._settle(row, effects)

    def _failed(self, batch: Batch, row: int, error: Exception, again: Callable[[], Batch | None]) -> None:
        try:
            self.context.failures.handle(self.node, batch, row, error)
        except TryAgain as later:
            raise Blocked(self.context.sleep(later.delay_s), again) from None

    def _observe(self, side: Side, time: int) -> None:
        """Closed stays closed, even if time is held back again by a writer that was idle."""
        side.observed = max(side.observed, time)
        side.closed_to = max(side.closed_to, self.context.stream_time(side.observed) - self.grace_ms)

    def _settle(self, row: int, effects: list[Effect]) -> None:
        for held, state, timestamp, old in effects:
            self._put_time = max(self._put_time, held.time)
            if held.live and state is None:
                self.forget_window(held)
            elif not held.live and state is not None:
                self.remember(held)
            if held.shown is UNLOADED and self.node.sends_old:
                held.shown = self._shown(self._state(held))
            held.state, held.timestamp = state, timestamp
            self._dirty[held] = None
            if self._emit == "update":
                self.results.add(Result(row, held, state, old, timestamp))
            elif self._emit == "commit":
                self._mark(held)
        self._move_on()

    def _mark(self, held: Held) -> None:
        """The commit is to emit the window, in the order of last changes."""
        self._changed.pop(held, None)
        self._changed[held] = None

    def _move_on(self) -> None:
        """What the store has left behind is met no more."""
        retention = self.node.store.retention_ms
        if retention is not None:
            self._gone_to = max(self._gone_to, self.context.stream_time(self._put_time) - retention)

    def _met(self, key: bytes, low: int, high: int) -> list[Held]:
        """The windows of a key whose time is in [low, high], and that are not gone."""
        return self._windows.between(key, max(low, self._gone_to + 1), high)

    def _state(self, held: Held) -> Any:
        if held.state is UNLOADED:
            found = self.context.stores.get(self._store, self.store_key(held))
            assert found is not None  # or it would not be known
            held.state = read_state(self.node, self._form.decode, found[0])
        return held.state

    def _checked(self, state: Any) -> Any:
        """A state that can be stored: when a commit finds out, no record can be named any more."""
        if type(state) not in self._form.storable:
            self._form.check(state)
        return state

    def _old(self, held: Held) -> Any:
        """The result before, where somebody asks for it."""
        return self._shown(self._state(held)) if self.node.sends_old else None

    def _shown(self, state: Any) -> Any:
        return None if state is None else self._form.result(state)

    # -- results

    def _answer(self, source: Batch | None) -> Batch | None:
        if self._shared:
            for _ in self._write_pieces():
                pass
        return self.results.answer(source)

    def more(self) -> Batch | None:
        return self.results.more()

    def flush(self) -> Batch | None:
        if not self._changed:
            return None
        for held in self._changed:
            state = self._state(held) if held.live else None
            if state is not None or held.shown is not None:
                old = held.shown if held.shown is not UNLOADED else None
                self.results.add(Result(-1, held, state, old, held.timestamp))
            held.shown = None if state is None else self._shown(state) if self.node.sends_old else UNLOADED
        self._changed.clear()
        return self._answer(None)

    # -- time

    def _closed(self) -> int:
        """Windows are closed if their time is before this. With several inputs nothing closes, it is only left behind:
        each has a time of its own.
        """
        if len(self._sides) > 1:
            return self._gone_to + 1
        return self.closed_before(self._sides[0].closed_to)

    def advance(self) -> Batch | None:
        for side in self._sides:
            if side.observed != NO_TIME:
                self._observe(side, side.observed)
        self._move_on()
        if self._emit != "close":
            return None
        self._close(-1)
        return self._answer(None)

    def _close(self, row: int) -> None:
        """The results of windows that have closed, in their order."""
        for held in self._windows.pop_closed(self._closed()):
            self.results.add(Result(row, held, self._state(held), None, held.timestamp))

    # -- commit

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        return self.context.view(self.node.store).stamped(keys)

    def save(self) -> Iterator[None]:
        """Writes what changed; what is past its retention goes, unwritten if it was never stored."""
        if self._emit != "close":
            for _ in self._windows.pop_closed(self._closed()):
                pass
        left = min(self._gone_to + 1, self._closed())
        self._windows.let_go(left)
        if self.node.store.retention_ms is not None and left > self._expired_to:
            self._expire(left)
        for held in [held for held in self._dirty if held.time < left]:
            del self._dirty[held]
        yield from self._write_pieces()
        self.put_aside()
        if self.node.window is not None:
            times = [(side.observed, side.closed_to) for side in self._sides]
            self.context.save_clock(self.node.name, [times, self._put_time, self._gone_to])

    def _expire(self, before: int) -> None:
        stores, self._expired_to = self.context.stores, before
        if self.node.store.sessions:
            stores.session(self._store).expire(before)
        else:
            stores.window(self._store).expire(before)
        if self._store in self.context.views:
            self.context.views[self._store].left_behind(before)

    def _write_pieces(self) -> Iterator[None]:
        """Puts what changed into the store, some at a step."""
        dirty, self._dirty = list(self._dirty), {}
        for at in range(0, len(dirty), PIECE_ROWS):
            self._write(dirty[at : at + PIECE_ROWS])
            yield

    def _write(self, changed: list[Held]) -> None:
        # One that went comes before one that came under the same key.
        changed.sort(key=lambda held: held.live)
        known = [held for held in changed if held.live or held.stored]
        keys = [self.store_key(held) for held in known]
        values = self._form.encode_all([held.state if held.live else None for held in known])
        self.context.stores.put_many(self._store, keys, values, [held.timestamp for held in known])
        for held in known:
            held.stored = held.live
        if self._store in self.context.views:
            self.context.view(self.node.store).forget(keys)

    def put_aside(self) -> None:
        """Too many states in memory: all are in the store now."""
        if len(self._windows) > HELD_MAX:
            for held in self._windows.all():
                held.state = UNLOADED
