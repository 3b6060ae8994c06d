"""Aggregates on arrays: one row of state a slot, folded in the order of the records, equal bit for bit to the row form.

A kernel works on a tuple of arrays that belongs to its caller. Inputs come without None. What an array can't hold
exactly raises `NeedsRows` before anything is changed; the caller goes on with Python objects then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.errors import NeedsRows

Array = npt.NDArray[Any]
Arrays = tuple[Array, ...]
Slots = npt.NDArray[np.intp]

_SAFE = float(2**62)
"""Sums below this in float64 are below 2^63 in int64, whatever was rounded."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One aggregate over inputs of one dtype.

    `columns`: dtype and initial value of each state array. `update(arrays, slots, values)` folds `values[i]` into
    `slots[i]`. `states(arrays, slots)` gives states as the row form has them, `load(arrays, slot, state)` takes one.
    """

    columns: tuple[tuple[type, Any], ...]
    update: Callable[[Arrays, Slots, Array], None]
    states: Callable[[Arrays, Slots], list[Any]]
    load: Callable[[Arrays, int, Any], None]

    def allocate(self, capacity: int) -> Arrays:
        """State arrays for `capacity` slots, each in its initial state.

        >>> KERNELS["count"]["b"].allocate(2)[0].tolist()
        [0, 0]
        """
        return tuple(np.full(capacity, initial, dtype) for dtype, initial in self.columns)

    def reset(self, arrays: Arrays, slots: Slots) -> None:
        """These slots begin anew."""
        for array, (_, initial) in zip(arrays, self.columns, strict=True):
            array[slots] = initial


def _count(arrays: Arrays, slots: Slots, values: Array) -> None:
    np.add.at(arrays[0], slots, 1)


def _sum(arrays: Arrays, slots: Slots, values: Array) -> None:
    _check_sum(arrays[0], slots, values)
    with np.errstate(all="ignore"):
        np.add.at(arrays[0], slots, values)
    arrays[1][slots] = True


def _mean(arrays: Arrays, slots: Slots, values: Array) -> None:
    _check_sum(arrays[0], slots, values)
    with np.errstate(all="ignore"):
        np.add.at(arrays[0], slots, values)
    np.add.at(arrays[1], slots, 1)


def _check_sum(sums: Array, slots: Slots, values: Array) -> None:
    if sums.dtype != np.int64 or not len(values):
        return
    reach = np.abs(values.astype(np.float64)).sum() + np.abs(sums[slots].astype(np.float64)).max()
    if reach >= _SAFE:
        raise NeedsRows("a sum may leave 64 bits")


def _extreme(ufunc: np.ufunc) -> Callable[[Arrays, Slots, Array], None]:
    def update(arrays: Arrays, slots: Slots, values: Array) -> None:
        ufunc.at(arrays[0], slots, values + 0.0 if values.dtype == np.float64 else values)
        arrays[1][slots] = True

    return update


def _first(arrays: Arrays, slots: Slots, values: Array) -> None:
    fresh = np.flatnonzero(~arrays[1][slots])[
        ::-1
    ]  # of several for one slot the assignment keeps the last, so backwards
    arrays[0][slots[fresh]] = values[fresh]
    arrays[1][slots] = True


def _last(arrays: Arrays, slots: Slots, values: Array) -> None:
    arrays[0][slots] = values
    arrays[1][slots] = True


def _plain_states(arrays: Arrays, slots: Slots) -> list[Any]:
    states: list[Any] = arrays[0][slots].tolist()
    return states


def _seen_states(arrays: Arrays, slots: Slots) -> list[Any]:
    pairs = zip(arrays[0][slots].tolist(), arrays[1][slots].tolist(), strict=True)
    return [value if seen else None for value, seen in pairs]


def _mean_states(arrays: Arrays, slots: Slots) -> list[Any]:
    pairs = zip(arrays[0][slots].tolist(), arrays[1][slots].tolist(), strict=True)
    return [(total, n) if n else (0, 0) for total, n in pairs]


def _load_plain(arrays: Arrays, slot: int, state: Any) -> None:
    arrays[0][slot] = state


def _load_seen(arrays: Arrays, slot: int, state: Any) -> None:
    if state is None:
        return
    _check_kind(arrays[0], state)
    arrays[0][slot], arrays[1][slot] = state, True


def _load_mean(arrays: Arrays, slot: int, state: Any) -> None:
    if state[1]:
        _check_kind(arrays[0], state[0])
        arrays[0][slot], arrays[1][slot] = state


def _check_kind(array: Array, state: Any) -> None:
    fits = type(state) is float if array.dtype == np.float64 else type(state) is int and abs(state) < 2**63
    if not fits:
        raise NeedsRows(f"a state of type {type(state).__name__} in a column of {array.dtype}")


_SEEN = (np.bool_, False)


def _seen(dtype: type, initial: Any, update: Callable[[Arrays, Slots, Array], None]) -> Kernel:
    return Kernel(((dtype, initial), _SEEN), update, _seen_states, _load_seen)


_COUNT = Kernel(((np.int64, 0),), _count, _plain_states, _load_plain)
_INT_SUM = _seen(np.int64, 0, _sum)
_INT_MEAN = Kernel(((np.int64, 0), (np.int64, 0)), _mean, _mean_states, _load_mean)
_FLOAT_MEAN = Kernel(((np.float64, 0.0), (np.int64, 0)), _mean, _mean_states, _load_mean)
_LIMITS = np.iinfo(np.int64)

KERNELS: Mapping[str, Mapping[str, Kernel]] = {
    "count": {"b": _COUNT, "i": _COUNT, "f": _COUNT, "O": _COUNT},
    "sum": {"b": _INT_SUM, "i": _INT_SUM, "f": _seen(np.float64, 0.0, _sum)},
    "mean": {"b": _INT_MEAN, "i": _INT_MEAN, "f": _FLOAT_MEAN},
    "min": {
        "i": _seen(np.int64, _LIMITS.max, _extreme(np.minimum)),
        "f": _seen(np.float64, np.nan, _extreme(np.fmin)),
    },
    "max": {
        "i": _seen(np.int64, _LIMITS.min, _extreme(np.maximum)),
        "f": _seen(np.float64, np.nan, _extreme(np.fmax)),
    },
    "first": {"i": _seen(np.int64, 0, _first), "f": _seen(np.float64, 0.0, _first)},
    "last": {"i": _seen(np.int64, 0, _last), "f": _seen(np.float64, 0.0, _last)},
}
"""By name of the aggregate and kind of the input's dtype; what is not here runs on rows."""
