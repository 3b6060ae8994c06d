"""Keys by their bytes: a hash table with open addressing, whose keys stand one behind the other in an arena.

Hashes only say where to look; keys are compared byte for byte. Each table has secrets of its own, so that nobody can
send keys that all go to one place.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from streams.arrays import Int64Array
from streams.kernels.compiled.native import inner, native
from streams.spans import Spans

_FIRST_PLACES = 1 << 12
_FIRST_BYTES = 1 << 16
EMPTY = -1


@inner
def _word(buffer, at):  # type: ignore[no-untyped-def]
    """Eight bytes as a number; one load, to the compiler."""
    word = np.uint64(buffer[at])
    for byte in range(1, 8):
        word |= np.uint64(buffer[at + byte]) << np.uint64(8 * byte)
    return word


@inner
def _mixed(found, secret):  # type: ignore[no-untyped-def]
    """Of a product alone the highest bit would be known: it changes with the highest bit of what is multiplied."""
    turned = (found << np.uint64(32)) | (found >> np.uint64(32))
    mixed = (found * np.uint64(0x9E3779B97F4A7C15)) ^ (turned * np.uint64(secret))
    return mixed ^ (mixed >> np.uint64(32))


@inner
def _place(buffer, start, stop, mask, secrets):  # type: ignore[no-untyped-def]
    """Eight bytes at a time, as FNV-1a does one."""
    found, secret = np.uint64(secrets[0]), secrets[1]
    at = start
    while at + 8 <= stop:
        found = _mixed(found ^ _word(buffer, at), secret)
        at += 8
    rest = np.uint64(stop - start)
    while at < stop:
        rest = (rest << np.uint64(8)) | np.uint64(buffer[at])
        at += 1
    return np.int64(_mixed(found ^ rest, secret) & np.uint64(mask))


@inner
def _is_key(buffer, start, stop, arena, arena_start, arena_stop):  # type: ignore[no-untyped-def]
    length = stop - start
    if length != arena_stop - arena_start:
        return False
    at = 0
    while at + 8 <= length:
        if _word(buffer, start + at) != _word(arena, arena_start + at):
            return False
        at += 8
    while at < length:
        if buffer[start + at] != arena[arena_start + at]:
            return False
        at += 1
    return True


@native(
    buffer="bytes", starts="int64s", stops="int64s", first="count", rows="count",
    places="int64s", mask="count", arena="bytes", room="count", bounds="int64s", secrets="uint64s",
    known="int64s", codes="int64s",
)  # fmt: skip
def _encode(buffer, starts, stops, first, rows, places, mask, arena, room, bounds, secrets, known, codes):  # type: ignore[no-untyped-def]
    """The code of each key from row `first` on into `codes`; those that are not there get the next codes. The row at
    which the table is too full to go on, or `rows`. `known` has the number of keys, `room` is that of the arena.
    """
    for row in range(first, rows):
        start, stop = starts[row], stops[row]
        place = _place(buffer, start, stop, mask, secrets)
        code = places[place]
        while code != EMPTY and not _is_key(buffer, start, stop, arena, bounds[code], bounds[code + 1]):
            place = (place + 1) & mask
            code = places[place]
        if code == EMPTY:
            code = known[0]
            end = bounds[code]
            if 2 * code >= mask or end + stop - start > room:
                return row
            for at in range(start, stop):
                arena[end] = buffer[at]
                end += 1
            bounds[code + 1] = end
            places[place] = code
            known[0] = code + 1
        codes[row] = code
    return rows


@native(places="int64s", mask="count", arena="bytes", room="count", bounds="int64s", secrets="uint64s", keys="count")
def _place_all(places, mask, arena, room, bounds, secrets, keys):  # type: ignore[no-untyped-def]
    """Puts all keys into a table that is empty."""
    for code in range(keys):
        place = _place(arena, bounds[code], bounds[code + 1], mask, secrets)
        while places[place] != EMPTY:
            place = (place + 1) & mask
        places[place] = code
    return 0


class KeyTable:
    """Codes of keys, counted from 0 in the order in which they come.

    `arena[bounds[code]:bounds[code + 1]]` is the key of a code.

    >>> table = KeyTable()
    >>> table.encode(Spans(b"UAAA", np.array([0, 2]), np.array([2, 4]))).tolist()
    [0, 1]
    >>> table.encode(Spans(b"XXAA", np.array([0, 2]), np.array([2, 4]))).tolist(), len(table), table.key(2)
    ([2, 1], 3, b'XX')
    """

    def __init__(self) -> None:
        self._places = np.full(_FIRST_PLACES, EMPTY, np.int64)
        self._secrets = np.frombuffer(os.urandom(16), np.uint64) | np.uint64(1)
        self._known = np.zeros(1, np.int64)
        self.arena = np.empty(_FIRST_BYTES, np.uint8)
        self.bounds = np.zeros(_FIRST_PLACES, np.int64)

    def __len__(self) -> int:
        return int(self._known[0])

    def encode(self, keys: Spans) -> Int64Array:
        """The code of each key; one that was not there gets the next. None of them is null."""
        codes = np.empty(len(keys.starts), np.int64)
        buffer, starts, stops = keys.arrays()
        done = 0
        while True:
            done = _encode(buffer, starts, stops, done, len(codes), *self._table, self._known, codes)
            if done == len(codes):
                return codes
            self._grow(int(stops[done] - starts[done]))

    def key(self, code: int) -> bytes:
        return self.arena[self.bounds[code] : self.bounds[code + 1]].tobytes()

    def _grow(self, key_bytes: int) -> None:
        """Makes room for at least one key more."""
        known = len(self)
        if 2 * known >= len(self._places) - 1:
            self._places = np.full(2 * len(self._places), EMPTY, np.int64)
            self.bounds = np.concatenate([self.bounds, np.zeros_like(self.bounds)])
            _place_all(*self._table, known)
        used = int(self.bounds[known])
        if used + key_bytes > len(self.arena):
            arena = np.empty(max(2 * len(self.arena), used + key_bytes), np.uint8)
            arena[:used] = self.arena[:used]
            self.arena = arena

    @property
    def _table(self) -> tuple[Any, ...]:
        return self._places, len(self._places) - 1, self.arena, len(self.arena), self.bounds, self._secrets
