"""Each event joined to its user in a table of 10,000, the enriched record to a topic.

`python -m benchmarks join`: as `stateless`, plus the lookup. The table is read in the same time: a hundredth of the
records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.data import PARTITIONS, USERS, Dataset
from benchmarks.plain import PlainEvent
from benchmarks.workload import Answer, Inputs, unique

if TYPE_CHECKING:
    from benchmarks.topics import Log
    from streams import App

N = 1_000_000
PEERS = ("bound-dict", "bound-dict:windowed")
CLOSING = False
CLOCK = "commits"
OUTPUTS = ("enriched",)


class PlainEnriched(msgspec.Struct):
    """What the bound encodes."""

    user: str
    ts: int
    amount: float | None
    limit: float


def inputs(dataset: str, n: int) -> Inputs:
    return {"events": Dataset(dataset, n), "users": Dataset("users", USERS)}


def app(data_dir: Path) -> App:
    import streams
    from benchmarks.event import Enriched, Event, User

    app = streams.App("join", data_dir=str(data_dir), on_error="dead-letter")
    users = app.topic("users", key_type=str, value_type=User).table(name="users")
    events = app.topic("events", key_type=str, value_type=Event)
    enriched = app.topic("enriched", key_type=str, value_type=Enriched, partitions=PARTITIONS, retention="forever")
    enrich = streams.record(Enriched, limit=streams.coalesce(User.amount, 0.0))
    events.stream().join(users, enrich).to(enriched)
    return app


def bound(inputs: Mapping[str, list[bytes]]) -> list[bytes]:
    decode = msgspec.json.Decoder(PlainEvent).decode
    encode = msgspec.json.Encoder().encode
    users = {user.user: user for user in map(decode, inputs["users"])}
    out, dead = [], []
    for value in inputs["events"]:
        try:
            event = decode(value)
        except msgspec.DecodeError:
            dead.append(value)
            continue
        user = users.get(event.user)
        if user is not None:
            out.append(encode(PlainEnriched(event.user, event.ts, event.amount, user.amount or 0.0)))
    return out


def answer(done: list[bytes]) -> Answer:
    records = map(msgspec.json.Decoder(PlainEnriched).decode, done)
    return {record.ts: (record.user, record.amount, record.limit) for record in records}


def found(log: Log, inputs: Inputs) -> Answer:
    records = map(msgspec.json.Decoder(PlainEnriched).decode, log.values("enriched"))
    return unique((record.ts, (record.user, record.amount, record.limit)) for record in records)


def expected(inputs: Inputs) -> Answer:
    data, users = inputs["events"], inputs["users"].facts
    facts = data.facts
    rows = facts.decodable
    names = [data.key(user).decode() for user in facts.user[rows].tolist()]
    amounts = [
        None if missing else amount
        for amount, missing in zip(facts.amount[rows].tolist(), np.isnan(facts.amount[rows]).tolist(), strict=True)
    ]
    limits = users.amount[facts.user[rows]].tolist()
    return dict(zip(facts.ts[rows].tolist(), zip(names, amounts, limits, strict=True), strict=True))
