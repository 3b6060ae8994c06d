"""Changes as records of a changelog: lists and blocks come out the same."""

from __future__ import annotations

import numpy as np

from broker_embedded import records
from streams.operators.outputs import Outputs
from streams.runtime.changelog import changelog_writer
from streams.spans import Spans


def _records(*changes: object) -> list[tuple[bytes | None, bytes | None, int]]:
    outputs = Outputs(lambda topic: 4, lambda topic: "none")
    changelog_writer(outputs, {"totals": "app-totals-changelog"}, 2)("totals", *changes)  # type: ignore[arg-type]
    ((tp, batch, count),) = outputs.drain()
    assert (tp, count) == (("app-totals-changelog", 2), 3)
    data = records.decode(bytes(batch))
    return list(zip(data.keys(), data.values(), data.timestamps.tolist(), strict=True))


def test_lists_and_blocks_come_out_the_same() -> None:
    keys = Spans(b"AABBCC", np.array([0, 2, 4]), np.array([2, 4, 6]))
    values = Spans(b"123", np.array([0, -1, 1]), np.array([1, -1, 3]))
    times = np.array([7, 8, 9])
    wanted = [(b"AA", b"1", 7), (b"BB", None, 8), (b"CC", b"23", 9)]
    assert _records(keys, values, times) == _records(keys.cut(), values.cut(), times.tolist()) == wanted
