"""JSON objects of many records decoded at once, without a bytes object for each.

They are copied one behind the other, a line feed between two, and msgspec decodes the lines. It takes a line feed for
any other space, and several values on a line; but where each value begins with `{` and ends with `}`, two of them
never become one: nothing in JSON may stand like `} {`, and no string has a line feed in it. So if there are as many
objects as there were values, each is that of its value. If not, or if one does not decode, they are decoded one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.serde.contract import FunctionSerde, Serde
from streams.spans import Spans

_TOGETHER = 128
"""So many are decoded at a time: if one of them does not decode, those before it were decoded in vain."""


def decode_spans(serde: Serde[Any], values: Spans) -> tuple[list[Any], list[tuple[int, Exception]]] | None:
    """`serde.decode_many` of the values; None where that is to be done one by one. Asks for the compiled twins."""
    from streams.kernels.compiled.texts import braced_lines

    if not isinstance(serde, FunctionSerde) or serde.decode_lines is None:
        return None
    buffer, starts, stops = values.arrays()
    ends = np.cumsum(stops - starts + 1)
    out = np.empty(int(ends[-1]), np.uint8)
    if braced_lines(buffer, starts, stops, len(starts), out) < 0:
        return None
    lines, bounds = out.data, [0, *ends[_TOGETHER - 1 :: _TOGETHER].tolist(), int(ends[-1])]
    decoded: list[Any] = []
    bad: list[tuple[int, Exception]] = []
    for number, start in enumerate(range(0, len(starts), _TOGETHER)):
        part = _decoded(serde.decode_lines, lines[bounds[number] : bounds[number + 1]])
        count = min(_TOGETHER, len(starts) - start)
        if len(part) != count:
            part, errors = serde.decode_many(values.rows(slice(start, start + count)).cut())
            bad += [(start + row, error) for row, error in errors]
        decoded += part
    return decoded, bad


def _decoded(decode_lines: Any, lines: memoryview) -> list[Any]:
    try:
        found: list[Any] = decode_lines(lines)
    except Exception:  # noqa: BLE001 - which one it is, and what is wrong with it, is found out one by one
        return []
    return found
