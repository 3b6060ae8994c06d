"""The compiled twin of `streams.kernels.msgpack.pack`: column by column, `ends` has where each row has come to."""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.kernels.compiled.native import inner, native
from streams.kernels.msgpack import Layout
from streams.spans import Spans


@inner
def _size(value):  # type: ignore[no-untyped-def]
    """How many bytes follow the first of an int."""
    if -0x20 <= value < 0x80:
        return 0
    if -0x80 <= value < 0x100:
        return 1
    if -0x8000 <= value < 0x1_0000:
        return 2
    if -0x8000_0000 <= value < 0x1_0000_0000:
        return 4
    return 8


@inner
def _head(value, size):  # type: ignore[no-untyped-def]
    if size == 0:
        return value & 255
    step = 0 if size == 1 else 1 if size == 2 else 2 if size == 4 else 3
    return (0xCC if value >= 0 else 0xD0) + step


@native(ints="int64s", present="bytes", nulls="count", is_float="count", rows="count", sizes="int64s")
def _measure(ints, present, nulls, is_float, rows, sizes):  # type: ignore[no-untyped-def]
    """Adds the size of an element to those of the rows."""
    for row in range(rows):
        if nulls and not present[row]:
            sizes[row] += 1
        else:
            sizes[row] += 9 if is_float else 1 + _size(ints[row])
    return 0


@native(
    ints="int64s", present="bytes", nulls="count", absent="count", is_float="count", rows="count",
    out="bytes", ends="int64s",
)  # fmt: skip
def _write(ints, present, nulls, absent, is_float, rows, out, ends):  # type: ignore[no-untyped-def]
    for row in range(rows):
        at = ends[row]
        value = ints[row]
        size = 8
        head = 0xCB
        if nulls and not present[row]:
            head, size = absent, 0
        elif not is_float:
            size = _size(value)
            head = _head(value, size)
        out[at] = np.uint8(head)
        for byte in range(size):
            out[at + 1 + byte] = np.uint8((value >> (8 * (size - 1 - byte))) & 255)
        ends[row] = at + 1 + size
    return 0


@native(byte="count", rows="count", out="bytes", ends="int64s")
def _write_byte(byte, rows, out, ends):  # type: ignore[no-untyped-def]
    for row in range(rows):
        out[ends[row]] = np.uint8(byte)
        ends[row] += 1
    return 0


def pack(layout: Layout, rows: int) -> Spans:
    """The bytes of each row."""
    items: list[int | tuple[Any, ...]] = []
    sizes = np.zeros(rows, np.int64)
    for item in layout:
        if isinstance(item, int):
            sizes += 1
            items.append(item)
            continue
        ints = np.ascontiguousarray(item.values).view(np.int64)
        present = np.zeros(0, np.bool_) if item.present is None else np.ascontiguousarray(item.present)
        nulls, is_float = item.present is not None, item.values.dtype == np.float64
        _measure(ints, present, nulls, is_float, rows, sizes)
        items.append((ints, present, nulls, item.absent, is_float))
    stops = np.cumsum(sizes)
    ends = stops - sizes
    out = np.empty(int(stops[-1]) if rows else 0, np.uint8)
    for packed in items:
        if isinstance(packed, int):
            _write_byte(packed, rows, out, ends)
        else:
            _write(*packed, rows, out, ends)
    return Spans.between(out.tobytes(), stops)
