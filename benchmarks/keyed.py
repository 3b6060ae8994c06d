"""Running count and sum per user over uniform keys, half as many as events; the state is ten times its memory.

`python -m benchmarks keyed`. With `--n 10000000` it is 5,000,000 keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

ENTRY_BYTES = 60
"""A key and its two numbers, as RocksDB has them on disk."""


def memory_bytes(n: int) -> int:
    """A tenth of the state, or the least that a store can do with."""
    return max(1 << 20, n // 2 * ENTRY_BYTES // 10)


def inputs(dataset: str, n: int) -> Inputs:
    return {"events": Dataset("uniform" if dataset == "events" else f"{dataset}-uniform", n)}


def app(data_dir: Path) -> App:
    import streams
    from benchmarks.event import Event
    from streams import agg

    app = streams.App("keyed", data_dir=str(data_dir), on_error="dead-letter")
    events = app.topic("events", key_type=str, value_type=Event)
    events.stream().group_by_key().aggregate(count=agg.count(), total=agg.sum(streams.col(Event.amount)), name="totals")
    return app


def bound(inputs: Mapping[str, list[bytes]]) -> dict[str, list[Any]]:
    decode = msgspec.json.Decoder(PlainEvent).decode
    totals: dict[str, list[Any]] = {}
    find = totals.get
    dead = []
    for value in inputs["events"]:
        try:
            event = decode(value)
        except msgspec.DecodeError:
            dead.append(value)
            continue
        total = find(event.user)
        if total is None:
            totals[event.user] = [1, event.amount]
            continue
        total[0] += 1
        if event.amount is not None:
            total[1] = event.amount if total[1] is None else total[1] + event.amount
    return totals


def answer(done: dict[str, list[Any]]) -> Answer:
    return {user: tuple(total) for user, total in done.items()}


def found(log: Log, inputs: Inputs) -> Answer:
    decode = msgspec.msgpack.decode
    rows = ((key.decode(), decode(value)) for key, value in log.latest("keyed-totals-changelog").items())
    return {user: tuple(total) for user, total in rows}


def expected(inputs: Inputs) -> Answer:
    data = inputs["events"]
    user, amount = data.facts.user[data.facts.decodable], data.facts.amount[data.facts.decodable]
    users, rows = np.unique(user, return_inverse=True)
    counts = np.bincount(rows).tolist()
    sums = np.bincount(rows, weights=np.nan_to_num(amount)).tolist()
    added = np.bincount(rows, weights=~np.isnan(amount)).tolist()
    names = (data.key(user).decode() for user in users.tolist())
    totals = zip(names, counts, sums, added, strict=True)
    return {name: (count, total if some else None) for name, count, total, some in totals}
