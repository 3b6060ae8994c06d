"""Sessions on arrays: which records of a batch make one session, where those of a key come in the order of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.arrays import Int64Array

Bools = npt.NDArray[np.bool_]


class Runs(NamedTuple):
    """Records by key, in their order within it: `order` has their rows. A run begins at `order[first]`, ends before the
    next, and is one session. `odd` says of each key code that its records are not to be cut this way.
    """

    order: npt.NDArray[np.intp]
    first: npt.NDArray[np.intp]
    odd: Bools


def cut_runs(codes: Int64Array, times: Int64Array, closed: Int64Array, gone: Int64Array, gap: int) -> Runs:
    """Runs of records that are no more than `gap` apart. `codes` are dense; `closed` and `gone` say of each record the
    times before which, and up to which, sessions are closed and gone when it comes.

    A key is odd if a record of it comes before an earlier one in time, is late, or would go to a session of this batch
    that is closed or gone by then.

    >>> runs = cut_runs(*np.array([[0, 1, 0, 0, 1], [1, 2, 3, 9, 1], [0] * 5, [0] * 5]), gap=5)
    >>> runs.order.tolist(), runs.first.tolist(), runs.odd.tolist()
    ([0, 2, 3, 1, 4], [0, 2, 3], [False, True])
    """
    order = np.argsort(codes, kind="stable")
    by_key, by_time = codes[order], times[order]
    same_key = np.zeros(len(order), np.bool_)
    same_key[1:] = by_key[1:] == by_key[:-1]
    before = np.empty_like(by_time)
    before[:1], before[1:] = 0, by_time[:-1]
    near = same_key & (by_time - before <= gap)
    wrong = by_time < closed[order]
    wrong |= same_key & (by_time < before)
    wrong |= near & ((before < closed[order]) | (before <= gone[order]))
    odd = np.zeros(int(by_key[-1]) + 1 if len(order) else 0, np.bool_)
    odd[by_key[wrong]] = True
    return Runs(order, np.flatnonzero(~near), odd)
