"""Aggregates on arrays: one row of state a slot, folded in the order of the records, equal bit for bit to the row form.

A kernel works on a tuple of arrays that belongs to its caller. Inputs come without None. What an array can't hold
exactly raises `NeedsRows` before anything is changed; the caller goes on with Python objects then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.arrays import Slots
from streams.columns import Column
from streams.errors import NeedsRows
from streams.kernels.msgpack import ZERO, Item, Layout, array_of

Array = npt.NDArray[Any]
Arrays = tuple[Array, ...]

_EXACT = 2**53
"""Ints up to this are floats as well."""

_SAFE = float(2**62)
"""Sums below this in float64 are below 2^63 in int64, whatever was rounded."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One aggregate over inputs of one dtype.

    `columns`: dtype and initial value of each state array. `update(arrays, slots, values)` folds `values[i]` into
    `slots[i]`; `twin` is the name of the function of `compiled.folds` that does the same. `states(arrays, slots)` gives
    states as the row form has them, `layout` their elements as they are stored, `finals` what the user sees of them;
    `load(arrays, slot, state)` takes one.
    """

    columns: tuple[tuple[type, Any], ...]
    update: Callable[[Arrays, Slots, Array], None]
    twin: str
    states: Callable[[Arrays, Slots], list[Any]]
    layout: Callable[[Arrays, Slots], Layout]
    finals: Callable[[Arrays, Slots], Column]
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


def _spread(arrays: Arrays, slots: Slots, values: Array) -> None:
    """Row by row: each step goes on from the one before."""
    counts, means, squares = arrays
    for slot, value in zip(slots.tolist(), values.astype(np.float64).tolist(), strict=True):
        mean = float(means[slot])
        delta = value - mean
        counts[slot] += 1
        mean += delta / int(counts[slot])
        means[slot] = mean
        squares[slot] = float(squares[slot]) + abs(delta * (value - mean))


def _plain_states(arrays: Arrays, slots: Slots) -> list[Any]:
    states: list[Any] = arrays[0][slots].tolist()
    return states


def _seen_states(arrays: Arrays, slots: Slots) -> list[Any]:
    pairs = zip(arrays[0][slots].tolist(), arrays[1][slots].tolist(), strict=True)
    return [value if seen else None for value, seen in pairs]


def _mean_states(arrays: Arrays, slots: Slots) -> list[Any]:
    pairs = zip(arrays[0][slots].tolist(), arrays[1][slots].tolist(), strict=True)
    return [(total, n) if n else (0, 0) for total, n in pairs]


def _spread_states(arrays: Arrays, slots: Slots) -> list[Any]:
    return list(zip(*(array[slots].tolist() for array in arrays), strict=True))


def _plain_layout(arrays: Arrays, slots: Slots) -> Layout:
    return [Item(arrays[0][slots])]


def _seen_layout(arrays: Arrays, slots: Slots) -> Layout:
    return [Item(arrays[0][slots], arrays[1][slots])]


def _mean_layout(arrays: Arrays, slots: Slots) -> Layout:
    counts = arrays[1][slots]
    return [*array_of(2), Item(arrays[0][slots], counts > 0, ZERO), Item(counts)]


def _spread_layout(arrays: Arrays, slots: Slots) -> Layout:
    return [*array_of(3), *(Item(array[slots]) for array in arrays)]


def _plain_finals(arrays: Arrays, slots: Slots) -> Column:
    return Column(arrays[0][slots])


def _seen_finals(arrays: Arrays, slots: Slots) -> Column:
    return _present(arrays[0][slots], arrays[1][slots])


def _mean_finals(arrays: Arrays, slots: Slots) -> Column:
    sums, counts = arrays[0][slots], arrays[1][slots]
    some = counts > 0
    if sums.dtype == np.int64 and bool((np.abs(sums) > _EXACT).any() | (sums < -_EXACT).any()):
        pairs = zip(sums.tolist(), counts.tolist(), strict=True)
        return _present(np.array([total / n if n else 0.0 for total, n in pairs], np.float64), some)
    return _present(sums / np.maximum(counts, 1), some)


def _variance_finals(arrays: Arrays, slots: Slots) -> Column:
    counts = arrays[0][slots]
    return _present(arrays[2][slots] / np.maximum(counts - 1, 1), counts > 1)


def _deviation_finals(arrays: Arrays, slots: Slots) -> Column:
    variances = _variance_finals(arrays, slots)
    return Column(np.sqrt(variances.values), variances.valid)


def _present(values: Array, there: npt.NDArray[np.bool_]) -> Column:
    return Column(values, None if there.all() else there)


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


def _load_spread(arrays: Arrays, slot: int, state: Any) -> None:
    for array, part in zip(arrays, state, strict=True):
        _check_kind(array, part)
        array[slot] = part


def _check_kind(array: Array, state: Any) -> None:
    fits = type(state) is float if array.dtype == np.float64 else type(state) is int and abs(state) < 2**63
    if not fits:
        raise NeedsRows(f"a state of type {type(state).__name__} in a column of {array.dtype}")


def put_states(arrays: Arrays, slots: Slots, states: Sequence[Any]) -> bool:
    """Gives states, numbers or lists of them, to slots that are in their initial state; None leaves a slot as it is.
    False if they are of other types than the arrays.
    """
    there = [(slot, state) for slot, state in zip(slots.tolist(), states, strict=True) if state is not None]
    if not there:
        return True
    given = np.array([slot for slot, _ in there], np.intp)
    if arrays[-1].dtype == np.bool_ or len(arrays) == 1:
        parts: list[tuple[Any, ...]] = [tuple(state for _, state in there)]
    else:
        parts = list(zip(*(state for _, state in there), strict=True))
    for array, part in zip(arrays, parts, strict=False):
        if set(map(type, part)) != {float if array.dtype == np.float64 else int}:
            return False
    for array, part in zip(arrays, parts, strict=False):
        array[given] = part
    if arrays[-1].dtype == np.bool_:
        arrays[-1][given] = True
    return True


_SEEN = (np.bool_, False)


def _seen(dtype: type, initial: Any, update: Callable[[Arrays, Slots, Array], None], twin: str) -> Kernel:
    return Kernel(((dtype, initial), _SEEN), update, twin, _seen_states, _seen_layout, _seen_finals, _load_seen)


def _mean_of(dtype: type, twin: str) -> Kernel:
    return Kernel(((dtype, 0), (np.int64, 0)), _mean, twin, _mean_states, _mean_layout, _mean_finals, _load_mean)


def _spread_by(finals: Callable[[Arrays, Slots], Column]) -> Mapping[str, Kernel]:
    columns = (np.int64, 0), (np.float64, 0.0), (np.float64, 0.0)
    kernel = Kernel(columns, _spread, "spread", _spread_states, _spread_layout, finals, _load_spread)
    return {"b": kernel, "i": kernel, "f": kernel}


_COUNT = Kernel(((np.int64, 0),), _count, "count", _plain_states, _plain_layout, _plain_finals, _load_plain)
_INT_SUM = _seen(np.int64, 0, _sum, "sum_ints")
_INT_MEAN = _mean_of(np.int64, "mean_ints")
_LIMITS = np.iinfo(np.int64)

KERNELS: Mapping[str, Mapping[str, Kernel]] = {
    "count": {"b": _COUNT, "i": _COUNT, "f": _COUNT, "O": _COUNT},
    "sum": {"b": _INT_SUM, "i": _INT_SUM, "f": _seen(np.float64, 0.0, _sum, "sum_floats")},
    "mean": {"b": _INT_MEAN, "i": _INT_MEAN, "f": _mean_of(np.float64, "mean_floats")},
    "min": {
        "i": _seen(np.int64, _LIMITS.max, _extreme(np.minimum), "min_ints"),
        "f": _seen(np.float64, np.nan, _extreme(np.fmin), "min_floats"),
    },
    "max": {
        "i": _seen(np.int64, _LIMITS.min, _extreme(np.maximum), "max_ints"),
        "f": _seen(np.float64, np.nan, _extreme(np.fmax), "max_floats"),
    },
    "first": {"i": _seen(np.int64, 0, _first, "first"), "f": _seen(np.float64, 0.0, _first, "first")},
    "last": {"i": _seen(np.int64, 0, _last, "last"), "f": _seen(np.float64, 0.0, _last, "last")},
    "variance": _spread_by(_variance_finals),
    "stddev": _spread_by(_deviation_finals),
}
"""By name of the aggregate and kind of the input's dtype; what is not here runs on rows."""
