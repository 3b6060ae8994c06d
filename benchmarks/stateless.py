"""Amounts over 250 doubled, to a topic: fetch, decode, filter, encode, produce, commit.

`python -m benchmarks stateless`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.data import PARTITIONS, Dataset
from benchmarks.plain import PlainEvent
from benchmarks.workload import Answer, Inputs, unique

if TYPE_CHECKING:
    from benchmarks.topics import Log
    from streams import App

N = 1_000_000
PEERS = ("bound-dict", "bound-dict:windowed")
CLOSING = False
CLOCK = "commits"
OUTPUTS = ("doubled",)


def inputs(dataset: str, n: int) -> Inputs:
    return {"events": Dataset(dataset, n)}


def app(data_dir: Path, function: Any = None) -> App:
    """`function` doubles an event; an expression does, where none is given."""
    import streams
    from benchmarks.event import Event

    app = streams.App("stateless", data_dir=str(data_dir), on_error="dead-letter")
    events = app.topic("events", key_type=str, value_type=Event)

    doubled = app.topic("doubled", key_type=str, value_type=Event, partitions=PARTITIONS, retention="forever")
    double = function or streams.record(Event, amount=streams.col(Event.amount) * 2)
    events.stream().filter(streams.col(Event.amount) > 250).map_values(double).to(doubled)
    return app


def bound(inputs: Mapping[str, list[bytes]]) -> list[bytes]:
    decode = msgspec.json.Decoder(PlainEvent).decode
    encode = msgspec.json.Encoder().encode
    out, dead = [], []
    for value in inputs["events"]:
        try:
            event = decode(value)
        except msgspec.DecodeError:
            dead.append(value)
            continue
        if event.amount is not None and event.amount > 250:
            out.append(encode(PlainEvent(event.user, event.ts, event.amount * 2)))
    return out


def answer(done: list[bytes]) -> Answer:
    events = map(msgspec.json.Decoder(PlainEvent).decode, done)
    return {event.ts: (event.user, event.amount) for event in events}


def found(log: Log, inputs: Inputs) -> Answer:
    events = map(msgspec.json.Decoder(PlainEvent).decode, log.values("doubled"))
    return unique((event.ts, (event.user, event.amount)) for event in events)


def expected(inputs: Inputs) -> Answer:
    data = inputs["events"]
    facts = data.facts
    chosen = facts.decodable & (facts.amount > 250)
    users = (data.key(user).decode() for user in facts.user[chosen].tolist())
    return dict(
        zip(facts.ts[chosen].tolist(), zip(users, (facts.amount[chosen] * 2).tolist(), strict=True), strict=True)
    )
