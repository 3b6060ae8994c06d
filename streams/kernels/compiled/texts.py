"""Bytes of many records at once."""

from __future__ import annotations

from streams.kernels.compiled.native import native


@native(buffer="bytes", starts="int64s", stops="int64s", rows="count")
def is_ascii(buffer, starts, stops, rows):  # type: ignore[no-untyped-def]
    """1 if no byte of `buffer[starts[row]:stops[row]]` is beyond ASCII in any row; null rows are empty."""
    seen = 0
    for row in range(rows):
        for at in range(starts[row], stops[row]):
            seen |= buffer[at]
    return 1 if seen < 128 else 0
