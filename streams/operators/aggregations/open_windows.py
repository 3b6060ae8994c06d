"""Which windows the records of a batch go to, of those that are open when they come."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streams.arrays import Int64Array, Slots
from streams.kernels import compiled
from streams.operators.base import NO_TIME, TaskContext
from streams.windows import AlignedWindow, HoppingWindow


class Assigned(NamedTuple):
    """(row, window start) pairs that are not too late, in the order of rows; how many were, and how many records are in
    no window; then the largest timestamp so far, and the latest start that is closed.
    """

    rows: Slots
    starts: Int64Array
    late: int
    without: int
    observed: int
    closed_to: int


def assign(
    window: AlignedWindow, timestamps: Int64Array, context: TaskContext, observed: int, closed_to: int
) -> Assigned:
    """`observed` and `closed_to` as they are before the records. Closed stays closed, even if time is held back again
    by a writer that was idle.
    """
    if isinstance(window, HoppingWindow) and compiled.ready():
        return _compiled(window, timestamps, context, observed, closed_to)
    closed = closed_starts(window, timestamps, context, observed)
    observed = max(observed, int(timestamps.max()))
    rows, starts = window.assign(timestamps)
    late = starts <= np.maximum(closed, closed_to)[rows]
    lates = int(np.count_nonzero(late))
    if lates:
        rows, starts = rows[~late], starts[~late]
    return Assigned(rows, starts, lates, window.without(timestamps), observed, max(closed_to, int(closed[-1])))


def closed_starts(window: AlignedWindow, timestamps: Int64Array, context: TaskContext, observed: int) -> Int64Array:
    """The latest start that is closed at each record."""
    times = np.maximum(np.maximum.accumulate(timestamps), observed)
    return window.closed_start(context.stream_times(times))


def closing_rows(
    window: AlignedWindow, timestamps: Int64Array, context: TaskContext, observed: int, starts: Int64Array
) -> Slots:
    """The records that close windows, each of which one of them does."""
    if not isinstance(window, HoppingWindow) or context.idle_time != NO_TIME or context.time_bound < timestamps.max():
        return np.searchsorted(closed_starts(window, timestamps, context, observed), starts)
    closing_times = (starts + window.size_ms + window.grace_ms).tolist()
    return np.array([0 if time <= observed else np.argmax(timestamps >= time) for time in closing_times], np.intp)


def _compiled(
    window: HoppingWindow, timestamps: Int64Array, context: TaskContext, observed: int, closed_to: int
) -> Assigned:
    from streams.kernels.compiled.window_pairs import assign as assign_pairs

    size, step = window.size_ms, window.step_ms
    room = len(timestamps) * -(-size // step)
    rows, starts = np.empty(room, np.int64), np.empty(room, np.int64)
    clock = np.array([observed, closed_to, 0, 0])
    times, keep = np.ascontiguousarray(timestamps), size + window.grace_ms
    pairs = assign_pairs(
        times, len(times), size, step, keep, context.time_bound, context.idle_time, NO_TIME, clock, rows, starts
    )
    observed, closed_to, late, without = clock.tolist()
    return Assigned(rows[:pairs], starts[:pairs], late, without, observed, closed_to)
