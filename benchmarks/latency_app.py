"""The app of `latency`: each event with its amount doubled, to another topic."""

from __future__ import annotations

import streams
from benchmarks.event import Event

app = streams.App("latency")
events = app.topic("events", key_type=str, value_type=Event)
doubled = app.topic("doubled", key_type=str, value_type=Event, partitions=4)


def double(event: Event) -> Event:
    """As `stateless` does."""
    return Event(event.user, event.ts, (event.amount or 0.0) * 2)


events.stream().map_values(double).to(doubled)
