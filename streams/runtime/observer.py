"""What a worker tells whoever watches it: plain facts, never live objects of the run time.

The worker calls an `Observer` from its event loop, in this order::

    started  (restoring | progress)*  [failed]  [ending]  stopped

A callback must return at once; what it raises stops the worker. The command line draws these as banner, progress bar
and rate line; tests collect them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

Reason = Literal["end", "signal", "failed"]


class Started(NamedTuple):
    """What the worker understood, known before anything is processed."""

    app_id: str
    transport: str  # "embedded broker in ./flights-data", "kafka://..."
    data_dir: str
    topics: tuple[str, ...]
    sources: tuple[str, ...]
    agents: tuple[str, ...]
    tables: tuple[str, ...]
    tasks: int  # and sources, of all workers of the app: more workers than these have nothing to do
    guarantee: str  # processing_guarantee
    workers: int = 1  # processes that share the tasks, those of this supervisor


class Restoring(NamedTuple):
    """One store of one partition catching up with its changelog.

    Sent as it begins (`records` 0), while it goes on, and at the end (`done`); never for a store that is whole. It
    begins when its task comes to this worker, at the start or later; if the task is taken away there is no end.
    """

    store: str
    partition: int
    records: int
    records_total: int  # an upper bound: offsets left, gaps included
    done: bool = False
    reason: str | None = None  # at the start: why the store was emptied, and is built again from the beginning


class Dropped(NamedTuple):
    """Records that a step has left out, and why.

    `reason` is what the error policy did ("skip", "dead_letter"), or what was wrong with them ("late", "null_key",
    "null_value", "no_window").
    """

    step: str
    reason: str
    records: int


class Progress(NamedTuple):
    """How far the worker is; about once a second, and with every figure counted since the start of the process."""

    records: int  # taken from topics by tasks, not counting repeats through repartition topics
    records_per_s: float  # since the progress before
    commits: int
    lag_records: int  # not yet processed, all partitions assigned here
    stream_time_ms: int | None  # of the task that is furthest; None before the first record
    elapsed_s: float
    dropped: tuple[Dropped, ...] = ()


class Failed(NamedTuple):
    """What ends the worker: a `streams.errors.StreamsError` knows its step, record and user's line."""

    error: BaseException
    task: str | None = None  # "flights-3": sub-topology and partition


class Stopped(NamedTuple):
    """The end: every store is closed, the data folder is free."""

    reason: Reason
    records: int
    commits: int
    elapsed_s: float
    dropped: tuple[Dropped, ...] = ()


class Observer(Protocol):
    """Somebody who watches a worker."""

    def started(self, info: Started) -> None:
        """Topics exist, the tasks there are are known, nothing is restored yet."""

    def restoring(self, event: Restoring) -> None:
        """A store catches up."""

    def progress(self, stats: Progress) -> None:
        """Called about once a second; tables may be read."""

    def failed(self, failure: Failed) -> None:
        """The worker is about to stop because of this."""

    def ending(self) -> None:
        """The last commit is done and nothing failed; tables may be read for the last time."""

    def stopped(self, summary: Stopped) -> None:
        """The last call."""


class Silent:
    """An observer that does nothing; override what is of interest.

    >>> class Count(Silent):
    ...     def stopped(self, summary: Stopped) -> None:
    ...         print(summary.records)
    >>> Count().stopped(Stopped("end", records=3, commits=1, elapsed_s=0.1))
    3
    """

    def started(self, info: Started) -> None: ...
    def restoring(self, event: Restoring) -> None: ...
    def progress(self, stats: Progress) -> None: ...
    def failed(self, failure: Failed) -> None: ...
    def ending(self) -> None: ...
    def stopped(self, summary: Stopped) -> None: ...
