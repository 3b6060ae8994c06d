"""MessagePack of columns is that of msgspec for the rows, by numpy and compiled."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.kernels.msgpack import NIL, ZERO, Item, array_of, pack

EDGES = [0, 0x20, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 2**31, 2**32, 2**63 - 1]
INTS = st.sampled_from([*EDGES, *[-edge - one for edge in EDGES for one in (0, 1)]]) | st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(st.tuples(INTS, st.none() | st.floats(), st.none() | INTS), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_the_bytes_are_those_of_msgspec(twin: str, rows: list[tuple[int, float | None, int | None]]) -> None:
    ints = np.array([row[0] for row in rows], np.int64)
    floats = np.array([row[1] or 0.0 for row in rows], np.float64)
    more = np.array([row[2] or 0 for row in rows], np.int64)
    there = [np.array([row[at] is not None for row in rows], np.bool_) for at in (1, 2)]
    layout = [*array_of(3), Item(ints), Item(floats, there[0], NIL), *array_of(2), Item(more, there[1], ZERO), 5]
    nested = [(i, None if f is None else f or 0.0, (m or 0, 5)) for i, f, m in rows]
    assert pack(layout, len(rows)).cut() == [msgspec.msgpack.encode(row) for row in nested]
