"""What every operator is: a step's run state in one task.

An operator is synchronous. `process` takes a batch and gives the batch for its children, or None. A step that has to
wait (an agent that awaits, a retry that backs off) raises `Blocked` with what to await and how to go on; the task then
waits without holding up the event loop or losing its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from streams.arrays import Int64Array
from streams.batch import Batch
from streams.graph.nodes import Emit, Node

if TYPE_CHECKING:
    from state.task_stores import TaskStores
    from streams.graph.definitions import StoreDef
    from streams.operators.clocks import Clocks
    from streams.operators.failures import Failures
    from streams.operators.outputs import Outputs
    from streams.operators.punctuations import Punctuations, Schedule
    from streams.operators.table_view import TableView

N = TypeVar("N", bound=Node)

Found = tuple[Any, int] | None
"""What a table holds for a key: value and timestamp (ms); None: nothing."""

NO_TIME = -(2**62)
"""Stream time before the first record; far enough from the end of int64 to subtract a window from it."""

UNKNOWN_TIME = -1
"""Kafka's timestamp of a row that is not there, or of which nobody knows the time."""

PIECE_ROWS = 4_096
"""Where there is much to answer or to write at once, it goes so many rows at a time: a few milliseconds."""


class Blocked(Exception):
    """The operator waits: await `awaitable`, then call `resume`, which answers as `process` would have."""

    def __init__(self, awaitable: Awaitable[Any], resume: Callable[[], Batch | None]) -> None:
        super().__init__("the step waits")
        self.awaitable = awaitable
        self.resume = resume


@dataclass(slots=True)
class TaskContext:
    """What the operators of a task share."""

    task: str
    partition: int
    stores: TaskStores
    outputs: Outputs
    failures: Failures
    now_ms: Callable[[], int]
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    """How a step waits so many seconds before it tries a record again."""
    emit: Emit = "commit"
    """When results leave of a step that does not say."""
    at_once: frozenset[str] = frozenset()
    """Names of the aggregations that tell each change at once, whatever they say (`streams.graph.emission`)."""
    stream_time_seen: int = NO_TIME
    """The largest timestamp of the records before the batch at hand."""
    at_hand: Batch | None = None
    """The records of a topic that the task is pushing through its steps."""
    idle_time: int = NO_TIME
    """Stream time goes at least so far, whatever the records say: the input is idle."""
    time_bound: int = 2**63 - 1
    """Stream time goes no further than this: the smallest stream time of the tasks that write what this one reads."""

    clocks: Clocks | None = None

    by_row: bool = False
    """Whether the records of a batch go through the task one at a time."""
    shared_stores: frozenset[str] = frozenset()
    """Stores that more than one step uses: what one writes the others see at once."""
    views: dict[str, TableView] = field(default_factory=dict)
    operators: dict[str, Operator[Any]] = field(default_factory=dict)
    """All steps of the task, by name: a join asks the operator of a table for what it has."""
    app_id: str = ""
    punctuations: Punctuations | None = None
    """The schedules of the task's processors, if it has any."""
    run_within: Callable[[str, Batch], None] | None = None
    """Hands a step's batch on at once, in the middle of its work."""
    commit_asked: bool = False
    """A processor wants a commit soon."""
    _times: tuple[Batch, Int64Array] | None = None

    def emission(self, name: str, asked: Emit | None) -> Emit:
        """When the results of an aggregation leave, given what it says itself."""
        emit = asked or self.emit
        return "update" if emit == "commit" and name in self.at_once else emit

    def view(self, store: StoreDef) -> TableView:
        """The task's one view of a table, whoever uses it: all see each other's changes at once."""
        found = self.views.get(store.name)
        if found is None:
            from streams.operators.table_view import TableView
            from streams.operators.versioned_view import VersionedView

            made = VersionedView if store.versioned else TableView
            found = self.views[store.name] = made(store, self)
        return found

    def load_clock(self, step: str) -> Any:
        """What the step saved with `save_clock` before the last commit; None if nothing."""
        return self.clocks.load(step) if self.clocks is not None else None

    def save_clock(self, step: str, clock: Any) -> None:
        """Keeps a step's times with the commit, so that a restart goes on exactly where it was."""
        if self.clocks is not None:
            self.clocks.save(step, clock)

    def time_at(self, offset: int) -> int | None:
        """The largest timestamp of the task's records up to the one at `offset` of those at hand, if there are any."""
        batch = self.at_hand
        if batch is None:
            return None
        if self._times is None or self._times[0] is not batch:
            self._times = batch, np.maximum.accumulate(batch.timestamps)
        # What came from no single record comes when all are done.
        upto = len(batch) if offset < 0 else int(np.searchsorted(batch.offsets, offset, "right"))
        return max(self.stream_time_seen, int(self._times[1][upto - 1])) if upto else self.stream_time_seen

    def places_at_hand(self, offsets: Int64Array) -> list[int]:
        """How many of the records at hand stand before each of these; none before what came from no single record."""
        if self.at_hand is None:
            return [0] * len(offsets)
        found: list[int] = np.searchsorted(self.at_hand.offsets, offsets).tolist()
        return found

    def times_at_hand(self) -> Int64Array:
        """Stream time at each of the records at hand."""
        assert self.at_hand is not None
        seen = np.maximum(np.maximum.accumulate(self.at_hand.timestamps), self.stream_time_seen)
        return np.minimum(seen, self.time_bound)

    def stream_time(self, observed: int) -> int:
        """The operator's time, given the largest timestamp it has observed."""
        held = min(observed, self.time_bound)
        return max(held, self.idle_time) if observed > NO_TIME else held

    def stream_times(self, observed: Int64Array) -> Int64Array:
        """`stream_time` of each."""
        held = np.minimum(observed, self.time_bound)
        if self.idle_time == NO_TIME:
            return held
        return np.where(observed > NO_TIME, np.maximum(held, self.idle_time), held)


class Operator(Generic[N]):
    """One step of one task. The methods here do nothing; an operator overrides what it needs."""

    only_child: str | None = None
    """The one step that the last answer is for; None: all children."""

    def __init__(self, node: N, context: TaskContext) -> None:
        self.node = node
        self.context = context
        asked = (getattr(node, name, None) for name in ("function", "predicate", "choose"))
        self._may_set_headers = any(getattr(one, "wants_ctx", False) for one in asked)

    def open(self) -> None:
        """Called once, when the stores are restored and before the first record."""

    def take(self, side: int, batch: Batch) -> Batch | None:
        """What the executor calls: `process`, unless it matters which parent (its place in `node.parents`) the batch
        is from.
        """
        return self.process(batch.with_own_headers() if self._may_set_headers else batch)

    def process(self, batch: Batch) -> Batch | None:
        """The batch for the children; None when there is nothing for them."""
        raise NotImplementedError

    def more(self) -> Batch | None:
        """What is left of the last answer, if that was cut short: asked for until it is None, so that no answer takes
        long.
        """
        return None

    def end_rows(self) -> Batch | None:
        """Called when the records of a batch have all gone through, one at a time (`context.by_row`)."""
        return None

    def advance(self) -> Batch | None:
        """Called when time moves without a record of its own: `context.time_bound` has grown."""
        return None

    def punctuate(self, schedule: Schedule, time_ms: int) -> Batch | None:
        """One of the step's schedules is due: makes the call, and answers with what comes of it."""
        return None

    def flush(self) -> Batch | None:
        """Called before a commit, parents first: what the commit is to emit (`emit("commit")`)."""
        return None

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        """Of a table: what it holds for each key, as it stands now, in order; nothing for a key of None. The values are
        shared: read only.
        """
        raise NotImplementedError(f"{self.node.name} is no table")

    def lookup_at(self, keys: Sequence[Any], times: Sequence[int]) -> list[Found]:
        """Of a versioned table (`streams.graph.versions`): what it held for each key at each time (ms), as `lookup`."""
        raise NotImplementedError(f"{self.node.name} is no versioned table")

    def forget(self, store: str, keys: Sequence[bytes]) -> None:
        """These keys have outlived the `ttl` of a store, and are gone from it."""

    def save(self) -> Iterable[None]:
        """Called before a commit, after every `flush`: writes what the operator keeps in memory to its stores, step by
        step; others may be served between two steps.
        """
        return ()

    @property
    def pending(self) -> int | None:
        """Up to when (wall clock, ms) a commit may be put off, because something is being collected; None: no need."""
        return None

    def close(self) -> None:
        """Called once, when the task stops."""

    async def closed(self) -> None:
        """Returns when nothing of the operator runs any more."""
