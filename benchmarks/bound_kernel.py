"""The loop of `windowed`, compiled: JSON parsed, users to codes, counts and sums by user and window, nothing around it.

`bound-kernel` has the kernels that our workers have, over values that lie one behind the other in memory: no log, no
state on disk, no results, no commit. What the parser leaves is decoded by msgspec, so that the answer is exact.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.plain import PlainEvent
from benchmarks.workload import WINDOW_MS, Answer
from streams.kernels.compiled.json_kinds import FLOAT, INT, PRESENT, TEXT
from streams.kernels.compiled.json_parser import parse
from streams.kernels.compiled.key_table import KeyTable
from streams.kernels.compiled.native import inner, native
from streams.spans import Spans

CHUNK = 16_384
"""Rows at a time, so that their columns stay in the processor's cache."""
_NAMES = ("user", "ts", "amount")
_USER, _TS, _AMOUNT = range(3)
_FULL = 0.6

_Array = npt.NDArray[Any]


@inner
def _place(code, window, mask):  # type: ignore[no-untyped-def]
    mixed = np.uint64(code) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(window) * np.uint64(0xC2B2AE3D27D4EB4F)
    return np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(mask))


@native(
    codes="int64s", windows="int64s", amounts="float64s", has_amount="bytes", rows="count", places="int64s",
    mask="count", groups="int64s", used="count", counts="int64s", added="int64s", sums="float64s",
)  # fmt: skip
def _fold(  # type: ignore[no-untyped-def]
    codes, windows, amounts, has_amount, rows, places, mask, groups, used, counts, added, sums
):  # fmt: skip
    """Adds rows to their groups, which are pairs of code and window; how many groups there are then."""
    for row in range(rows):
        code, window = codes[row], windows[row]
        if code < 0:
            continue
        place = _place(code, window, mask)
        group = places[place]
        while group >= 0 and (groups[2 * group] != code or groups[2 * group + 1] != window):
            place = (place + 1) & mask
            group = places[place]
        if group < 0:
            group = used
            used += 1
            places[place] = group
            groups[2 * group], groups[2 * group + 1] = code, window
        counts[group] += 1
        if has_amount[row]:
            added[group] += 1
            sums[group] += amounts[row]
    return used


@native(groups="int64s", used="count", places="int64s", mask="count")
def _enter(groups, used, places, mask):  # type: ignore[no-untyped-def]
    """Puts the groups into an empty table."""
    for group in range(used):
        place = _place(groups[2 * group], groups[2 * group + 1], mask)
        while places[place] >= 0:
            place = (place + 1) & mask
        places[place] = group
    return 0


def _longer(array: _Array, size: int) -> _Array:
    """With zeros behind it."""
    return np.concatenate([array, np.zeros(size - len(array), array.dtype)])


class Groups:
    """Count and sum by code and window."""

    def __init__(self) -> None:
        self.used = 0
        self._places = self.groups = self.counts = self.added = np.empty(0, np.int64)
        self.sums = np.empty(0)
        self._make(1 << 16)

    def _make(self, places: int) -> None:
        room = int(places * _FULL)
        self.groups, self.counts = _longer(self.groups, 2 * room), _longer(self.counts, room)
        self.added, self.sums = _longer(self.added, room), _longer(self.sums, room)
        self._places = np.full(places, -1, np.int64)
        _enter(self.groups, self.used, self._places, places - 1)

    def fold(self, codes: _Array, windows: _Array, amounts: _Array, has_amount: _Array) -> None:
        """Adds rows; one whose code is -1 is left out."""
        while self.used + len(codes) > len(self.counts):
            self._make(2 * len(self._places))
        table = (self._places, len(self._places) - 1, self.groups, self.used, self.counts, self.added, self.sums)
        self.used = _fold(codes, windows, amounts, has_amount, len(codes), *table)


class Loop:
    """What goes from chunk to chunk."""

    def __init__(self) -> None:
        self.users = KeyTable()
        self.groups = Groups()
        joined = "".join(_NAMES).encode()
        self._layout = (
            np.frombuffer(joined, np.uint8),
            np.cumsum([len(name) for name in _NAMES], dtype=np.int64),
            np.array([int.from_bytes(name.encode(), "little") for name in _NAMES], np.uint64),
            np.array([TEXT, INT, FLOAT], np.uint8),
            np.array([0, 0, 1], np.uint8),
            np.array([0, 0, 1], np.uint8),
            np.arange(3, dtype=np.int64),
            3,
        )
        self._decode = msgspec.json.Decoder(PlainEvent).decode

    def run(self, values: Spans) -> None:
        """Adds all values."""
        buffer = np.frombuffer(values.buffer, np.uint8)
        for first in range(0, len(values.starts), CHUNK):
            chunk = values.rows(slice(first, first + CHUNK))
            self._add(buffer, chunk)

    def _add(self, buffer: _Array, values: Spans) -> None:
        rows = len(values.starts)
        states, left = np.zeros((3, rows), np.uint8), np.empty(rows, np.uint8)
        integers, floats = np.empty((3, rows), np.int64), np.empty((3, rows))
        texts = np.empty((2, 3, rows), np.int64)
        outputs = (states, integers, floats, *texts, left)
        if parse(buffer, len(buffer), values.starts, values.stops, rows, *self._layout, *outputs):
            codes = self._with_left(values, np.flatnonzero(left), states, integers, floats, texts)
        else:
            codes = self.users.encode(Spans(values.buffer, texts[0, _USER], texts[1, _USER]))
        windows = integers[_TS] - integers[_TS] % WINDOW_MS
        self.groups.fold(codes, windows, floats[_AMOUNT], (states[_AMOUNT] == PRESENT).view(np.uint8))

    def _with_left(
        self, values: Spans, left: _Array, states: _Array, integers: _Array, floats: _Array, texts: _Array
    ) -> _Array:
        """The codes of all rows; the other columns are completed by what msgspec makes of the rows that are left."""
        rows, names = [], []
        for row, value in zip(left.tolist(), values.rows(left).cut(), strict=True):
            try:
                event = self._decode(value or b"")
            except msgspec.DecodeError:
                continue
            rows.append(row)
            names.append(event.user.encode())
            integers[_TS, row], floats[_AMOUNT, row] = event.ts, event.amount or 0.0
            states[_AMOUNT, row] = PRESENT if event.amount is not None else 0
        codes = np.full(len(values.starts), -1, np.int64)
        parsed = np.ones(len(codes), np.bool_)
        parsed[left] = False
        codes[parsed] = self.users.encode(Spans(values.buffer, texts[0, _USER, parsed], texts[1, _USER, parsed]))
        stops = np.cumsum([len(name) for name in names], dtype=np.int64)
        starts = stops - np.array([len(name) for name in names], np.int64)
        codes[rows] = self.users.encode(Spans(b"".join(names), starts, stops))
        return codes


def windowed(values: Spans) -> Loop:
    """The work: this call is what the clock spans."""
    loop = Loop()
    loop.run(values)
    return loop


def answer(done: Loop) -> Answer:
    """As `windowed` answers."""
    groups, used = done.groups, done.groups.used
    keys = zip(groups.groups[: 2 * used : 2].tolist(), groups.groups[1 : 2 * used : 2].tolist(), strict=True)
    columns = (array[:used].tolist() for array in (groups.counts, groups.sums, groups.added))
    return {
        (done.users.key(code).decode(), window): [count, total if added else None]
        for (code, window), count, total, added in zip(keys, *columns, strict=True)
    }
