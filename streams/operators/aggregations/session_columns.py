"""Sessions of named aggregates on columns: the records of a batch that make one session are folded at once.

That is what the row form gives as long as the records of a key come in the order of time, and meet no session but the
latest of their key, which is open. The rows of other keys (`Cut.odd_rows`) go one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.aggregates import Aggregate
from streams.columns import Column
from streams.kernels.sessions import cut_runs
from streams.operators.aggregations.held_windows import Held
from streams.operators.aggregations.slot_states import SlotStates

Int64Array = npt.NDArray[np.int64]


class Times(NamedTuple):
    """Of each record, when it comes: the largest timestamp so far; the time before which sessions are closed; the
    latest end in the store before it; and the time up to which sessions are gone.
    """

    observed: Int64Array
    closed: Int64Array
    put: Int64Array
    gone: Int64Array

    def closing_row(self, end: int) -> int:
        """The record that closes a session with that end."""
        return int(np.searchsorted(self.closed, end, side="right"))


class Run(NamedTuple):
    """A session of this batch: what it goes on with, if anything, its first and last time, and its records' rows."""

    held: Held | None
    key: bytes
    start: int
    end: int
    rows: npt.NDArray[np.intp]


class Cut(NamedTuple):
    runs: list[Run]
    odd_rows: list[int]


def cut(
    keys: Sequence[bytes], times: Int64Array, when: Times, gap: int, met: Callable[[bytes, int], list[Held]]
) -> Cut:
    """The runs of a batch; `met` gives the sessions of a key that end at a time or later."""
    code_of: dict[bytes, int] = {}
    codes = np.fromiter((code_of.setdefault(key, len(code_of)) for key in keys), np.int64, len(keys))
    order, first, odd = cut_runs(codes, times, when.closed, when.gone, gap)
    edges = [*first.tolist(), len(order)]
    runs: list[Run] = []
    last_code = -1
    for begin, end in pairwise(edges):
        row = int(order[begin])
        code, time = int(codes[row]), int(times[row])
        held = None
        if code != last_code and not odd[code]:
            last_code = code
            found = met(keys[row], time - gap)
            odd[code] = not all(_goes_on(one, time, when, row) for one in found) or len(found) > 1
            held = found[0] if found else None
        if not odd[code]:
            start = time if held is None else held.start
            runs.append(Run(held, keys[row], start, int(times[order[end - 1]]), order[begin:end]))
    return Cut(runs, np.flatnonzero(odd[codes]).tolist())


def _goes_on(held: Held, time: int, when: Times, row: int) -> bool:
    return bool(held.end <= time and held.end >= when.closed[row] and held.end > when.gone[row])


def fold_runs(
    parts: Sequence[Aggregate], inputs: Sequence[Column], runs: Sequence[Run], state_of: Callable[[Held], Any]
) -> list[tuple[Any, ...]]:
    """The state of each run, as the row form has it. Raises what a fold raises."""
    rows = np.concatenate([run.rows for run in runs])
    slots = np.repeat(np.arange(len(runs)), [len(run.rows) for run in runs])
    folded = [SlotStates(part) for part in parts]
    for states in folded:
        states.resize(len(runs))
    for slot, run in enumerate(runs):
        if run.held is not None:
            for states, state in zip(folded, state_of(run.held), strict=True):
                states.load(slot, state)
    for states, column in zip(folded, inputs, strict=True):
        states.update(slots, column[rows])
    every = np.arange(len(runs))
    return list(zip(*(states.states(every) for states in folded), strict=True))
