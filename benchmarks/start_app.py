"""The app of `start`: writes down when it saw its first record. Imports what an app needs and no more."""

from __future__ import annotations

import os
import time

import streams

app = streams.App("start")


class Event(streams.Record):
    user: str
    amount: float
    ts: int


events = app.topic("events", key_type=str, value_type=Event)
seen = app.Table("seen", key_type=str, value_type=int, default=int)
first_record_file = os.environ.get("BENCHMARKS_FIRST_RECORD", "")


@app.agent(events)
async def count(stream: streams.Stream[Event]) -> None:
    """Counts events by user."""
    global first_record_file
    async for event in stream:
        seen[event.user] += 1
        if first_record_file:
            with open(first_record_file, "w") as file:
                file.write(str(time.monotonic_ns()))  # the same clock in every process of a machine
            first_record_file = ""
