"""`ctx` of a processor: the record at hand, the steps behind, schedules and stores (`ProcessorContext` in Kafka
Streams).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, get_args

from streams.batch import Batch
from streams.durations import Duration, to_ms
from streams.errors import ConfigError, TopologyError, did_you_mean
from streams.graph.functions import caller
from streams.graph.nodes import ProcessNode
from streams.operators.base import NO_TIME
from streams.operators.processors.processor_stores import AnyStore, stores_of
from streams.operators.punctuations import Kind, Schedule
from streams.processing import KEEPS_KEY, FixedKeyRecord, Headers, ProcessorRecord

if TYPE_CHECKING:
    from streams.operators.base import TaskContext
    from streams.operators.processors.processor_stores import UserOfStores

_SAME: Any = object()


class Processing(Protocol):
    """The step that the context is of."""

    record_type: type[ProcessorRecord]

    @property
    def context(self) -> TaskContext: ...

    @property
    def node(self) -> UserOfStores: ...

    def forward(self, record: ProcessorRecord, offset: int, to: str | None) -> None:
        """Takes what the call that runs now hands on."""

    def children(self) -> list[str]:
        """The names of the steps behind."""


class ProcessorContext:
    """What a processor is given in `init`; it is the same object in every call."""

    def __init__(self, operator: Processing) -> None:
        self._operator = operator
        self._context = operator.context
        self._node = operator.node
        self._stores: dict[str, AnyStore] | None = None
        self._record: ProcessorRecord | None = None
        self._batch: Batch | None = None
        self._row = 0
        self._time_ms: int | None = None
        self._called_at = NO_TIME
        self.begun = False

    # -- where and when

    @property
    def topic(self) -> str | None:
        """The topic of the record at hand; None in a scheduled call, as are partition and offset."""
        return self._batch.topic if self._batch is not None and self.offset is not None else None

    @property
    def partition(self) -> int | None:
        return self._batch.partition if self._batch is not None and self.offset is not None else None

    @property
    def offset(self) -> int | None:
        offset = -1 if self._batch is None else int(self._batch.offsets[self._row])
        return None if offset < 0 else offset

    @property
    def timestamp(self) -> int | None:
        """Of the record at hand, or the time of the scheduled call; ms."""
        return self._time_ms

    @property
    def headers(self) -> Headers:
        return () if self._record is None else self._record.headers

    @property
    def stream_time(self) -> int | None:
        """The largest timestamp (ms) that the task has seen, the record at hand included; None before the first."""
        seen = max(self._context.stream_time_seen, self._called_at)
        if self._batch is not None:
            known = self._context.time_at(int(self._batch.offsets[self._row]))
            seen = max(seen, self._time_ms or 0) if known is None else known
        return None if seen == NO_TIME else seen

    @property
    def now_ms(self) -> int:
        """The clock on the wall, which is virtual in tests."""
        return self._context.now_ms()

    @property
    def task(self) -> str:
        return self._context.task

    @property
    def task_partition(self) -> int:
        """The partition that the task has of each of its topics."""
        return self._context.partition

    @property
    def app_id(self) -> str:
        return self._context.app_id

    @property
    def step(self) -> str:
        return self._node.name

    # -- what it may do

    def forward(
        self,
        record: ProcessorRecord | None = None,
        *,
        key: Any = _SAME,
        value: Any = _SAME,
        timestamp: int | None = None,
        headers: Headers | None = None,
        to: str | None = None,
    ) -> None:
        """Hands a record on, to all steps behind or to the one called `to`: the record given, or that at hand, with
        what is named put in its place.

        In a scheduled call there is no record at hand: key and value are None unless given, and the timestamp is the
        time of the call. Raises TypeError for something that is no record, ValueError for a negative timestamp.
        """
        given = self._record_of(record, key)
        time = given.timestamp if timestamp is None else timestamp
        if time < 0:
            raise ValueError(f"a record cannot have the timestamp {time}: it must be 0 or more")
        if to is not None:
            self._check_child(to)
        made = ProcessorRecord(
            given.key if key is _SAME else key,
            given.value if value is _SAME else value,
            int(time),
            given.headers if headers is None else headers,
        )
        offset = self.offset
        self._operator.forward(made, -1 if offset is None else offset, to)

    def _record_of(self, record: ProcessorRecord | None, key: Any) -> ProcessorRecord:
        if not self.begun:
            raise TopologyError(f"forward at {caller()}: there is nothing to hand on in init")
        if record is not None and not isinstance(record, ProcessorRecord):
            raise TypeError(f"forward takes a record, or key=, value= and timestamp=; not {record!r}")
        given = record if record is not None else self._record
        keeps_key = self._operator.record_type is FixedKeyRecord
        if keeps_key and (key is not _SAME or not isinstance(given, FixedKeyRecord)):
            raise TopologyError(f"forward at {caller()}: {KEEPS_KEY}")
        if given is None:
            assert self._time_ms is not None
            return ProcessorRecord(None, None, self._time_ms)
        return given

    def _check_child(self, name: str) -> None:
        children = self._operator.children()
        if name not in children:
            raise TopologyError(
                f"forward at {caller()}: no step behind {self.step} is called {name!r}.{did_you_mean(name, children)} "
                f"There is {', '.join(children) or 'none'}."
            )

    def schedule(
        self,
        interval: Duration,
        kind: Kind,
        callback: Callable[[int], Any],
        *,
        name: str | None = None,
        start: int | None = None,
    ) -> Schedule:
        """Has `callback(timestamp)` called every `interval` of "stream" time or of the clock on the "wall"; the answer
        has `cancel()`.

        In stream time the first call comes with the first record, then at multiples of the interval; on the wall an
        interval from now; with `start` (ms) at that time, then at whole intervals from it. Calls that were missed
        become one. The timestamp is the time when the call is made.

        Schedules are kept over a restart: one that is asked for again under the same `name` (or else with the same
        function name and interval) goes on where it was. So ask for them in `init`.
        """
        if kind not in get_args(Kind):
            raise ConfigError(f'schedule at {caller()}: "stream" or "wall", not {kind!r}')
        interval_ms = to_ms(interval, "interval")
        if interval_ms < 1 or (start is not None and start < 0):
            raise ConfigError(f"schedule at {caller()}: the interval is 1 ms or more, and start 0 or more")
        if not callable(callback) or inspect.iscoroutinefunction(callback):
            raise ConfigError(f"schedule at {caller()}: it calls a plain function of the timestamp, not {callback!r}")
        if not isinstance(self._node, ProcessNode):
            raise TopologyError(
                f"schedule at {caller()}: a transformer has no schedules; a processor does: .process(...)"
            )
        punctuations = self._context.punctuations
        assert punctuations is not None
        seen = self._context.stream_time(self.stream_time or 0)
        return punctuations.schedule(
            self.step, kind, interval_ms, callback, name=name, start_ms=start, stream_time=seen
        )

    def commit(self) -> None:
        """Asks for a commit soon."""
        self._context.commit_asked = True

    @property
    def stores(self) -> Mapping[str, AnyStore]:
        """The stores that the processor has been given, by name."""
        if self._stores is None:
            self._stores = stores_of(self._node, self._context)
            self._begin()  # in a call that is going on
        return self._stores

    def store(self, store: Any) -> Any:
        """One of them, by its name or what `app.store` gave.

        Raises TopologyError for one that the processor has not been given.
        """
        name = store if isinstance(store, str) else store.name
        found = self.stores.get(name)
        if found is None:
            raise TopologyError(
                f"store({name!r}) at {caller()}: {self.step} ({self._node.where}) was not given it; name it there, in "
                f"stores=[...].{did_you_mean(name, self.stores)}"
            )
        return found

    # -- for the operator

    def at_record(self, record: ProcessorRecord, batch: Batch, row: int) -> None:
        self._record, self._batch, self._row, self._time_ms = record, batch, row, record.timestamp
        self._begin()

    def at_time(self, time_ms: int, kind: Kind) -> None:
        self._record, self._batch, self._row, self._time_ms = None, None, 0, time_ms
        if kind == "stream":
            self._called_at = max(self._called_at, time_ms)
        self._begin()

    def _begin(self) -> None:
        for store in (self._stores or {}).values():
            store.begin(self._time_ms or 0)

    def undo(self) -> None:
        """Takes back what the call has changed."""
        for store in (self._stores or {}).values():
            store.take_back()

    def done(self) -> None:
        """The call is over, and what it changed stays."""
        for store in (self._stores or {}).values():
            store.keep()

    def save(self) -> Iterator[None]:
        for store in self.stores.values():
            yield from store.save()
