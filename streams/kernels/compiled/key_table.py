"""Keys by their bytes: a hash table with open addressing, whose keys stand one behind the other in an arena.

Hashes only say where to look; keys are compared byte for byte. Codes are given by who adds the keys.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streams.kernels.compiled.native import inner, native
from streams.spans import Spans

Int64Array = npt.NDArray[np.int64]

_FIRST_PLACES = 1 << 12
_FULL = 0.6
EMPTY = -1


@inner
def _place(buffer, start, stop, mask):  # type: ignore[no-untyped-def]
    """FNV-1a, with its high bits folded in: the low ones alone repeat in keys that end alike."""
    found = np.uint64(14695981039346656037)
    for at in range(start, stop):
        found = (found ^ np.uint64(buffer[at])) * np.uint64(1099511628211)
    return np.int64((found ^ (found >> np.uint64(32))) & np.uint64(mask))


@inner
def _is_key(buffer, start, stop, arena, arena_start, arena_stop):  # type: ignore[no-untyped-def]
    if stop - start != arena_stop - arena_start:
        return False
    for at in range(stop - start):  # noqa: SIM110 - numba has no generators here
        if buffer[start + at] != arena[arena_start + at]:
            return False
    return True


@native(
    buffer="bytes", starts="int64s", stops="int64s", rows="count",
    places="int64s", mask="count", arena="bytes", bounds="int64s", codes="int64s",
)  # fmt: skip
def _find(buffer, starts, stops, rows, places, mask, arena, bounds, codes):  # type: ignore[no-untyped-def]
    """The code of each key into `codes`, `EMPTY` for one that is not there; how many those are."""
    unknown = 0
    for row in range(rows):
        start, stop = starts[row], stops[row]
        place = _place(buffer, start, stop, mask)
        code = places[place]
        while code != EMPTY and not _is_key(buffer, start, stop, arena, bounds[code], bounds[code + 1]):
            place = (place + 1) & mask
            code = places[place]
        codes[row] = code
        unknown += code == EMPTY
    return unknown


@native(places="int64s", mask="count", arena="bytes", bounds="int64s", first="count", stop="count")
def _add(places, mask, arena, bounds, first, stop):  # type: ignore[no-untyped-def]
    """Puts the keys of these codes into the table."""
    for code in range(first, stop):
        place = _place(arena, bounds[code], bounds[code + 1], mask)
        while places[place] != EMPTY:
            place = (place + 1) & mask
        places[place] = code
    return 0


class KeyTable:
    """Codes of keys, counted from 0 in the order in which they are added.

    >>> table = KeyTable()
    >>> table.add([b"AA", b"UA"])
    >>> table.find(Spans(b"UAAAXX", np.array([0, 2, 4]), np.array([2, 4, 6]))).tolist()
    [1, 0, -1]
    """

    def __init__(self) -> None:
        self._places = np.full(_FIRST_PLACES, EMPTY, np.int64)
        self._arena = np.empty(0, np.uint8)
        self._bounds = np.zeros(1, np.int64)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def find(self, keys: Spans) -> Int64Array:
        """The code of each key, -1 for those that were not added."""
        codes = np.empty(len(keys.starts), np.int64)
        buffer = np.frombuffer(keys.buffer, np.uint8)
        starts, stops = np.ascontiguousarray(keys.starts), np.ascontiguousarray(keys.stops)
        _find(buffer, starts, stops, len(codes), *self._table, codes)
        return codes

    def add(self, keys: list[bytes]) -> None:
        """Gives the next codes to keys that are not there."""
        first, joined = len(self), np.frombuffer(b"".join(keys), np.uint8)
        self._arena = np.concatenate([self._arena, joined])
        stops = self._bounds[-1] + np.cumsum(np.fromiter(map(len, keys), np.int64, len(keys)))
        self._bounds = np.concatenate([self._bounds, stops])
        if len(self) > _FULL * len(self._places):
            places = len(self._places)
            while len(self) > _FULL / 2 * places:
                places *= 2
            self._places, first = np.full(places, EMPTY, np.int64), 0
        _add(*self._table, first, len(self))

    @property
    def _table(self) -> tuple[Any, ...]:
        return self._places, len(self._places) - 1, self._arena, self._bounds
