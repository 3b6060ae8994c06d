"""A table of 500,000 keys from 2,000,000 updates; the local state is deleted, and the worker started again.

`python -m benchmarks restore`: from the first changelog record asked for to the table ready, in changelog records a
second. The peer is the loop of `windowed` over `events`, in events a second.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.data import Dataset
from benchmarks.workload import Answer, Inputs

if TYPE_CHECKING:
    from benchmarks.topics import Log
    from streams import App

N = 2_000_000
PEERS = ("bound-dict:windowed",)
CLOSING = False
CLOCK = "restore"


def inputs(dataset: str, n: int) -> Inputs:
    return {"updates": Dataset("updates" if dataset == "events" else f"{dataset}-updates", n)}


def app(data_dir: Path) -> App:
    import streams
    from benchmarks.event import Event

    app = streams.App("restore", data_dir=str(data_dir), on_error="dead-letter")
    app.topic("updates", key_type=str, value_type=Event).table(name="latest")
    return app


def found(log: Log, inputs: Inputs) -> Answer:
    return {key: (event.amount, event.ts) for key, event in log.tables["latest"].items()}


def expected(inputs: Inputs) -> Answer:
    data = inputs["updates"]
    facts = data.facts
    rows = zip(facts.user.tolist(), facts.amount.tolist(), facts.ts.tolist(), facts.decodable.tolist(), strict=True)
    last = {user: (None if math.isnan(amount) else amount, ts) for user, amount, ts, whole in rows if whole}
    return {data.key(user).decode(): latest for user, latest in last.items()}
