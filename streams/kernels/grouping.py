"""Grouping rows by integer ids: which ids occur, and which of them each row has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.arrays import Int64Array

_DENSE_FACTOR = 8
"""Up to this many possible ids for each row a table of all ids is cheaper than sorting: 5 ns against 60 to 100 ns a
row.
"""


def group_rows(ids: Int64Array, space: int) -> tuple[Int64Array, npt.NDArray[np.intp]]:
    """The distinct ids in ascending order, and for each row the position of its id among them.

    `ids` are in [0, space).

    >>> import numpy as np
    >>> unique, inverse = group_rows(np.array([5, 3, 5]), space=6)
    >>> unique.tolist(), inverse.tolist()
    ([3, 5], [1, 0, 1])
    """
    if space > max(_DENSE_FACTOR * len(ids), 1024):
        unique, inverse = np.unique(ids, return_inverse=True)
        return unique, inverse
    seen = np.zeros(space, np.bool_)
    seen[ids] = True
    unique = np.flatnonzero(seen)
    position = np.empty(space, np.intp)
    position[unique] = np.arange(len(unique))
    return unique, position[ids]
