"""`async for event`: the entry of a user in a table is updated, nothing is emitted.

`python -m benchmarks agent`: per-event Python, state, changelog, commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.data import Dataset
from benchmarks.plain import PlainEvent
from benchmarks.workload import Answer, Inputs

if TYPE_CHECKING:
    from benchmarks.topics import Log
    from streams import App

N = 1_000_000
PEERS = ("bound-dict", "bound-dict:windowed")
CLOSING = False
CLOCK = "commits"


def inputs(dataset: str, n: int) -> Inputs:
    return {"events": Dataset(dataset, n)}


def app(data_dir: Path) -> App:
    import streams
    from benchmarks.event import Event

    app = streams.App("agent", data_dir=str(data_dir), on_error="dead-letter")
    events = app.topic("events", key_type=str, value_type=Event)
    spent = app.Table("spent", key_type=str, value_type=float, default=float)

    @app.agent(events)
    async def spend(stream: streams.Stream[Event]) -> None:
        async for event in stream:
            if event.amount is not None:
                spent[event.user] += event.amount

    return app


def bound(inputs: Mapping[str, list[bytes]]) -> dict[str, float]:
    decode = msgspec.json.Decoder(PlainEvent).decode
    spent: dict[str, float] = {}
    find = spent.get
    dead = []
    for value in inputs["events"]:
        try:
            event = decode(value)
        except msgspec.DecodeError:
            dead.append(value)
            continue
        if event.amount is not None:
            spent[event.user] = find(event.user, 0.0) + event.amount
    return spent


def answer(done: dict[str, float]) -> Answer:
    return done


def found(log: Log, inputs: Inputs) -> Answer:
    return {key.decode(): msgspec.msgpack.decode(value) for key, value in log.latest("agent-spent-changelog").items()}


def expected(inputs: Inputs) -> Answer:
    data = inputs["events"]
    facts = data.facts
    counted = facts.decodable & ~np.isnan(facts.amount)
    users, rows = np.unique(facts.user[counted], return_inverse=True)
    sums = np.bincount(rows, weights=facts.amount[counted]).tolist()
    return {data.key(user).decode(): total for user, total in zip(users.tolist(), sums, strict=True)}
