"""Aggregates folded pair by pair: `values[rows[i]]` into `slots[i]`, as the kernels of `streams.kernels.aggregate` do.

`valid` says which rows have a value; with `nulls` of 0 all have, and it is not looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.arrays import Slots
from streams.columns import Column
from streams.kernels.aggregate import Arrays, Kernel
from streams.kernels.compiled.native import inner, native

_PAIRS = {"slots": "int64s", "rows": "int64s", "pairs": "count", "valid": "bytes", "nulls": "count"}
_FLOATS = _PAIRS | {"values": "float64s"}
_INTS = _PAIRS | {"values": "int64s"}
_SAFE = float(2**62)


@native(**_PAIRS, counts="int64s")
def count(slots, rows, pairs, valid, nulls, counts):  # type: ignore[no-untyped-def]
    for pair in range(pairs):
        if nulls == 0 or valid[rows[pair]]:
            counts[slots[pair]] += 1
    return 0


@inner
def _add_seen(slots, rows, pairs, valid, nulls, values, sums, seen):  # type: ignore[no-untyped-def]
    for pair in range(pairs):
        row = rows[pair]
        if nulls == 0 or valid[row]:
            sums[slots[pair]] += values[row]
            seen[slots[pair]] = 1
    return 0


@inner
def _add_counted(slots, rows, pairs, valid, nulls, values, sums, counts):  # type: ignore[no-untyped-def]
    for pair in range(pairs):
        row = rows[pair]
        if nulls == 0 or valid[row]:
            sums[slots[pair]] += values[row]
            counts[slots[pair]] += 1
    return 0


@native(**_FLOATS, sums="float64s", seen="bytes")
def sum_floats(slots, rows, pairs, valid, nulls, values, sums, seen):  # type: ignore[no-untyped-def]
    return _add_seen(slots, rows, pairs, valid, nulls, values, sums, seen)


@native(**_FLOATS, sums="float64s", counts="int64s")
def mean_floats(slots, rows, pairs, valid, nulls, values, sums, counts):  # type: ignore[no-untyped-def]
    return _add_counted(slots, rows, pairs, valid, nulls, values, sums, counts)


@inner
def _may_overflow(slots, rows, pairs, valid, nulls, values, sums):  # type: ignore[no-untyped-def]
    total, largest = 0.0, 0.0
    for pair in range(pairs):
        row = rows[pair]
        if nulls == 0 or valid[row]:
            total += abs(np.float64(values[row]))
            largest = max(largest, abs(np.float64(sums[slots[pair]])))
    return total + largest >= _SAFE


@native(**_INTS, sums="int64s", seen="bytes")
def sum_ints(slots, rows, pairs, valid, nulls, values, sums, seen):  # type: ignore[no-untyped-def]
    """1, with nothing changed, if a sum may leave 64 bits."""
    if _may_overflow(slots, rows, pairs, valid, nulls, values, sums):
        return 1
    return _add_seen(slots, rows, pairs, valid, nulls, values, sums, seen)


@native(**_INTS, sums="int64s", counts="int64s")
def mean_ints(slots, rows, pairs, valid, nulls, values, sums, counts):  # type: ignore[no-untyped-def]
    """1, with nothing changed, if a sum may leave 64 bits."""
    if _may_overflow(slots, rows, pairs, valid, nulls, values, sums):
        return 1
    return _add_counted(slots, rows, pairs, valid, nulls, values, sums, counts)


@native(**_FLOATS, least="float64s", seen="bytes")
def min_floats(slots, rows, pairs, valid, nulls, values, least, seen):  # type: ignore[no-untyped-def]
    """A NaN is the least of nothing but NaNs; -0.0 counts as 0.0."""
    for pair in range(pairs):
        row, slot = rows[pair], slots[pair]
        if nulls == 0 or valid[row]:
            value = values[row] + 0.0
            if not seen[slot] or value < least[slot] or least[slot] != least[slot]:
                least[slot] = value
                seen[slot] = 1
    return 0


@native(**_FLOATS, greatest="float64s", seen="bytes")
def max_floats(slots, rows, pairs, valid, nulls, values, greatest, seen):  # type: ignore[no-untyped-def]
    for pair in range(pairs):
        row, slot = rows[pair], slots[pair]
        if nulls == 0 or valid[row]:
            value = values[row] + 0.0
            if not seen[slot] or value > greatest[slot] or greatest[slot] != greatest[slot]:
                greatest[slot] = value
                seen[slot] = 1
    return 0


@native(**_INTS, least="int64s", seen="bytes")
def min_ints(slots, rows, pairs, valid, nulls, values, least, seen):  # type: ignore[no-untyped-def]
    for pair in range(pairs):
        row, slot = rows[pair], slots[pair]
        if (nulls == 0 or valid[row]) and (not seen[slot] or values[row] < least[slot]):
            least[slot] = values[row]
            seen[slot] = 1
    return 0


@native(**_INTS, greatest="int64s", seen="bytes")
def max_ints(slots, rows, pairs, valid, nulls, values, greatest, seen):  # type: ignore[no-untyped-def]
    for pair in range(pairs):
        row, slot = rows[pair], slots[pair]
        if (nulls == 0 or valid[row]) and (not seen[slot] or values[row] > greatest[slot]):
            greatest[slot] = values[row]
            seen[slot] = 1
    return 0


@native(**_INTS, firsts="int64s", seen="bytes")
def first(slots, rows, pairs, valid, nulls, values, firsts, seen):  # type: ignore[no-untyped-def]
    """Of ints, and of floats as the ints that have the same bits."""
    for pair in range(pairs):
        row, slot = rows[pair], slots[pair]
        if (nulls == 0 or valid[row]) and not seen[slot]:
            firsts[slot] = values[row]
            seen[slot] = 1
    return 0


@native(**_INTS, lasts="int64s", seen="bytes")
def last(slots, rows, pairs, valid, nulls, values, lasts, seen):  # type: ignore[no-untyped-def]
    """Of ints, and of floats as the ints that have the same bits."""
    for pair in range(pairs):
        row, slot = rows[pair], slots[pair]
        if nulls == 0 or valid[row]:
            lasts[slot] = values[row]
            seen[slot] = 1
    return 0


@native(**_FLOATS, counts="int64s", means="float64s", squares="float64s")
def spread(slots, rows, pairs, valid, nulls, values, counts, means, squares):  # type: ignore[no-untyped-def]
    """Welford's method, in the steps of `streams.aggregates`."""
    for pair in range(pairs):
        row, slot = rows[pair], slots[pair]
        if nulls == 0 or valid[row]:
            value: Any = values[row]
            delta = value - means[slot]
            counts[slot] += 1
            means[slot] += delta / np.float64(counts[slot])
            squares[slot] += abs(delta * (value - means[slot]))
    return 0


_NO_NULLS = np.ones(1, np.bool_)


def fold(kernel: Kernel, arrays: Arrays, slots: Slots, rows: Slots | None, inputs: Column) -> bool:
    """Folds row `rows[i]` of a column (row i, if `rows` is None) into `slots[i]`, in order; False, with nothing
    changed, if an array may not hold what comes of it.
    """
    rows = np.arange(len(slots)) if rows is None else rows
    nulls = inputs.valid is not None
    pairs = slots, rows, len(slots), _NO_NULLS if inputs.valid is None else np.ascontiguousarray(inputs.valid), nulls
    twin = _TWINS[kernel.twin]
    if twin is count:
        return twin(*pairs, *arrays) == 0
    values = np.ascontiguousarray(inputs.values, np.float64 if kernel.twin == "spread" else arrays[0].dtype)
    if twin is first or twin is last:
        return twin(*pairs, values.view(np.int64), arrays[0].view(np.int64), arrays[1]) == 0
    return twin(*pairs, values, *arrays) == 0


_TWINS = {
    "count": count, "sum_floats": sum_floats, "sum_ints": sum_ints, "mean_floats": mean_floats, "mean_ints": mean_ints,
    "min_floats": min_floats, "min_ints": min_ints, "max_floats": max_floats, "max_ints": max_ints, "first": first,
    "last": last, "spread": spread,
}  # fmt: skip
