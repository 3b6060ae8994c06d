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


@native(
    buffer="bytes", starts="int64s", stops="int64s", rows="count",
    text="bytes", size="count", prefix="count", out="bytes",
)  # fmt: skip
def is_text(buffer, starts, stops, rows, text, size, prefix, out):  # type: ignore[no-untyped-def]
    """Sets `out` to 1 in rows that are `text`, of `size` bytes, or with `prefix` begin so; it leaves the others."""
    for row in range(rows):
        start = starts[row]
        length = stops[row] - start
        if length < size or (length != size and prefix == 0):
            continue
        at = 0
        while at < size and buffer[start + at] == text[at]:
            at += 1
        if at == size:
            out[row] = 1
    return rows


@native(buffer="bytes", starts="int64s", stops="int64s", rows="count", out="bytes")
def braced_lines(buffer, starts, stops, rows, out):  # type: ignore[no-untyped-def]
    """Copies `buffer[starts[row]:stops[row]]` of each row to `out`, a line feed behind each, and gives how many bytes
    that are; -1 if a row is null or does not begin with `{` and end with `}`.
    """
    at = 0
    for row in range(rows):
        start, stop = starts[row], stops[row]
        if stop - start < 2 or buffer[start] != 123 or buffer[stop - 1] != 125:
            return -1
        for place in range(start, stop):
            out[at + place - start] = buffer[place]
        at += stop - start
        out[at] = 10
        at += 1
    return at


@native(
    buffer="bytes", starts="int64s", stops="int64s", rows="count", out="bytes", out_starts="int64s", out_stops="int64s",
)  # fmt: skip
def gather(buffer, starts, stops, rows, out, out_starts, out_stops):  # type: ignore[no-untyped-def]
    """Copies the rows to `out`, one behind the other, and says where they are there; null ones stay so."""
    end = 0
    for row in range(rows):
        start, stop = starts[row], stops[row]
        if start < 0:
            out_starts[row] = out_stops[row] = -1
            continue
        out_starts[row] = end
        for at in range(start, stop):
            out[end] = buffer[at]
            end += 1
        out_stops[row] = end
    return end
