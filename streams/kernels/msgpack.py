"""Columns to MessagePack: the bytes of many rows at once, each an array of ints, floats and nils.

They are those that msgspec gives for the rows, so ints are as short as they can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from streams.arrays import Int64Array
from streams.kernels import compiled
from streams.spans import Spans

Bytes = npt.NDArray[np.uint8]

NIL = 0xC0
ZERO = 0x00


class Item(NamedTuple):
    """One element of each row: an int64 or a float64. Where `present` is False stands `absent`, a whole element in one
    byte.
    """

    values: npt.NDArray[Any]
    present: npt.NDArray[np.bool_] | None = None
    absent: int = NIL


Layout: TypeAlias = Sequence[Item | int]
"""Elements one behind the other; an int is a byte that all rows have there: `array_of`."""

_POSITIVE = ((0x80, 0), (0x100, 1), (0x1_0000, 2), (0x1_0000_0000, 4))
_NEGATIVE = ((-0x20, 0), (-0x80, 1), (-0x8000, 2), (-0x8000_0000, 4))
_HEADERS = {1: (0xCC, 0xD0), 2: (0xCD, 0xD1), 4: (0xCE, 0xD2), 8: (0xCF, 0xD3)}
_FLOAT = 0xCB


def array_of(length: int) -> tuple[int, ...]:
    """The bytes that an array of so many elements begins with, up to 65,535."""
    return (0x90 + length,) if length < 16 else (0xDC, length >> 8, length & 255)


def pack(layout: Layout, rows: int) -> Spans:
    """The bytes of each row.

    >>> pack([*array_of(2), Item(np.array([1, 300])), Item(np.array([0.5, 0.0]), np.array([True, False]))], 2).cut()
    [b'\\x92\\x01\\xcb?\\xe0\\x00\\x00\\x00\\x00\\x00\\x00', b'\\x92\\xcd\\x01,\\xc0']
    """
    if compiled.ready():
        from streams.kernels.compiled.msgpack import pack as pack_compiled

        return pack_compiled(layout, rows)
    width = sum(1 if isinstance(item, int) else 9 for item in layout)
    # Each element as wide as can be, and which of the bytes are to stay.
    padded, kept = np.zeros((rows, width), np.uint8), np.zeros((rows, width), np.bool_)
    at = 0
    for item in layout:
        if isinstance(item, int):
            padded[:, at], kept[:, at] = item, True
            at += 1
            continue
        _write(item, padded[:, at : at + 9], kept[:, at : at + 9])
        at += 9
    return Spans.between(padded[kept].tobytes(), np.cumsum(kept.sum(axis=1)))


def _write(item: Item, padded: Bytes, kept: npt.NDArray[np.bool_]) -> None:
    """An element into nine bytes: what it is, then its value, of which the last bytes stay."""
    values = np.ascontiguousarray(item.values)
    if values.dtype == np.float64:
        padded[:, 0], sizes = _FLOAT, np.full(len(values), 8)
    else:
        padded[:, 0], sizes = _int_heads(values)
    padded[:, 1:] = values.astype(values.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, 8)
    if item.present is not None:
        absent = ~item.present
        padded[absent, 0], sizes[absent] = item.absent, 0
    kept[:, 0] = True
    kept[:, 1:] = np.arange(8, 0, -1) <= sizes[:, None]


def _int_heads(values: Int64Array) -> tuple[Bytes, Int64Array]:
    """The first byte of each int, and how many follow."""
    sizes = np.full(len(values), 8)
    for (above, size), (below, _) in zip(_POSITIVE[::-1], _NEGATIVE[::-1], strict=True):
        sizes[(values >= below) & (values < above)] = size
    heads = values.astype(np.uint8)
    for size, (positive, negative) in _HEADERS.items():
        chosen = sizes == size
        heads[chosen] = np.where(values[chosen] >= 0, positive, negative)
    return heads, sizes
