"""Sessions of named aggregates on columns: the records of a batch that make one session are folded at once.

That is what the row form gives as long as the records of a key come in the order of time, and meet no session but the
latest of their key, which is open. The rows of other keys (`Cut.odd_rows`) go one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.aggregates import Aggregate
from streams.arrays import Int64Array
from streams.columns import Column
from streams.kernels.sessions import cut_runs
from streams.operators.aggregations.held_windows import Held
from streams.operators.aggregations.slot_states import SlotStates


class Times(NamedTuple):
    """Of each record, when it comes: the largest timestamp so far; the time before which sessions are closed; the
    latest end in the store before it, and after the last; and the time up to which sessions are gone.
    """

    observed: Int64Array
    closed: Int64Array
    put: Int64Array
    gone: Int64Array

    def closing_rows(self, ends: Sequence[int]) -> list[int]:
        """The records that close sessions with these ends."""
        rows: list[int] = np.searchsorted(self.closed, np.array(ends, np.int64), side="right").tolist()
        return rows


class Run(NamedTuple):
    """A session of this batch: what it goes on with, if anything, its first and last time, and its records: those from
    `first` to before `stop` in `Cut.order`.
    """

    held: Held | None
    key: bytes
    start: int
    end: int
    first: int
    stop: int


class Cut(NamedTuple):
    runs: list[Run]
    order: npt.NDArray[np.intp]
    odd_rows: list[int]


def cut(
    keys: Sequence[bytes], times: Int64Array, when: Times, gap: int, met: Callable[[bytes, int], list[Held]]
) -> Cut:
    """The runs of a batch; `met` gives the sessions of a key that end at a time or later."""
    first_row: dict[bytes, int] = {}
    codes = np.fromiter(map(first_row.setdefault, keys, range(len(keys))), np.int64, len(keys))
    order, first, odd = cut_runs(codes, times, when.closed, when.gone, gap)
    stops = np.append(first[1:], len(order))
    begin_rows = order[first]
    columns = (
        begin_rows,
        codes[begin_rows],
        times[begin_rows],
        times[order[stops - 1]],
        first,
        stops,
        odd[codes[begin_rows]],
    )
    runs: list[Run] = []
    last_code = -1
    for row, code, time, end, begin, stop, is_odd in zip(*(column.tolist() for column in columns), strict=True):
        if is_odd:
            continue
        held = None
        if code != last_code:
            last_code = code
            found = met(keys[row], time - gap)
            if found:
                held = found[0]
                odd[code] = len(found) > 1 or not _goes_on(held, time, when, row)
        if not odd[code]:
            runs.append(Run(held, keys[row], time if held is None else held.start, end, begin, stop))
    return Cut(runs, order, np.flatnonzero(odd[codes]).tolist())


def _goes_on(held: Held, time: int, when: Times, row: int) -> bool:
    return bool(held.end <= time and held.end >= when.closed[row] and held.end > when.gone[row])


def fold_runs(
    parts: Sequence[Aggregate], inputs: Sequence[Column], cut: Cut, state_of: Callable[[Held], Any]
) -> list[tuple[Any, ...]]:
    """The state of each run, as the row form has it. Raises what a fold raises."""
    runs = cut.runs
    first, stops = (np.array([run[at] for run in runs], np.intp) for at in (4, 5))
    lengths = stops - first
    slots = np.repeat(np.arange(len(runs)), lengths)
    rows = cut.order[np.arange(len(slots)) + np.repeat(first - np.cumsum(lengths) + lengths, lengths)]
    folded = [SlotStates(part) for part in parts]
    for states in folded:
        states.resize(len(runs))
    for slot, run in enumerate(runs):
        if run.held is not None:
            for states, state in zip(folded, state_of(run.held), strict=True):
                states.load(slot, state)
    for states, column in zip(folded, inputs, strict=True):
        states.update(slots, column, rows)
    every = np.arange(len(runs))
    return list(zip(*(states.states(every) for states in folded), strict=True))
