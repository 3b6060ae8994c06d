"""From the start of the process to the first record processed, interpreter and imports included.

`python -m benchmarks start`: the app of `start_app.py` by the `streams` command, its topic already there and nothing
to restore. The peer is a bare `python -c "import asyncio, numpy"` from start to exit, and the ratio is of seconds: less
is better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.data import Dataset
from benchmarks.workload import Answer, Inputs

if TYPE_CHECKING:
    from benchmarks.topics import Log

N = 1_000
PEERS = ("bare-python",)
CLOSING = False
CLOCK = "first-record"


def inputs(dataset: str, n: int) -> Inputs:
    return {"events": Dataset(dataset, n)}


def found(log: Log, inputs: Inputs) -> Answer:
    return {key.decode(): msgspec.msgpack.decode(value) for key, value in log.latest("start-seen-changelog").items()}


def expected(inputs: Inputs) -> Answer:
    data = inputs["events"]
    users, counts = np.unique(data.facts.user, return_counts=True)
    return {data.key(user).decode(): count for user, count in zip(users.tolist(), counts.tolist(), strict=True)}
