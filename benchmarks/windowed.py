"""Count and sum per user and 10 s window, kept for one day, each result to a topic when its window closes.

`python -m benchmarks windowed`. A run is void if the changelog lacks a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from benchmarks.data import PARTITIONS, Dataset
from benchmarks.plain import PlainEvent
from benchmarks.workload import GRACE, WINDOW_MS, Answer, Inputs, Void, unique

if TYPE_CHECKING:
    from benchmarks.topics import Log
    from streams import App

N = 1_000_000
PEERS = ("bound-dict", "bound-kernel")
CLOSING = True
CLOCK = "commits"
OUTPUTS = ("totals",)
RETENTION = "1d"


class Totals(msgspec.Struct):
    """A result: how many events, and the sum of their amounts; None where none of them had one."""

    count: int
    total: float | None


class Window(msgspec.Struct, array_like=True):
    """The key of a result, JSON as every key that is neither text nor bytes."""

    key: str
    start: int
    end: int


def inputs(dataset: str, n: int) -> Inputs:
    return {"events": Dataset(dataset, n)}


def app(data_dir: Path, retention: str | None = RETENTION) -> App:
    import streams
    from benchmarks.event import Event
    from streams import agg

    app = streams.App("windowed", data_dir=str(data_dir), on_error="dead-letter")
    events = app.topic("events", key_type=str, value_type=Event)
    results = app.topic("totals", key_type=streams.Windowed, partitions=PARTITIONS, retention="forever")
    totals = (
        events.stream()
        .group_by_key()
        .windowed_by(streams.TumblingWindow("10s", grace=GRACE))
        .aggregate(count=agg.count(), total=agg.sum(streams.col(Event.amount)), name="totals", retention=retention)
        .emit("close")
    )
    totals.to_stream().to(results)
    return app


def bound(inputs: Mapping[str, list[bytes]]) -> dict[tuple[str, int], list[Any]]:
    decode = msgspec.json.Decoder(PlainEvent).decode
    groups: dict[tuple[str, int], list[Any]] = {}
    find = groups.get
    dead = []
    for value in inputs["events"]:
        try:
            event = decode(value)
        except msgspec.DecodeError:
            dead.append(value)
            continue
        key = (event.user, event.ts - event.ts % WINDOW_MS)
        group = find(key)
        if group is None:
            groups[key] = [1, event.amount]
            continue
        group[0] += 1
        if event.amount is not None:
            try:
                group[1] += event.amount
            except TypeError:  # the group had no amount yet; asking first would cost every event
                group[1] = event.amount
    return groups


def answer(done: dict[tuple[str, int], list[Any]]) -> Answer:
    return done


def expected(inputs: Inputs) -> Answer:
    data = inputs["events"]
    facts = data.facts
    user, amount, ts = (column[facts.decodable] for column in (facts.user, facts.amount, facts.ts))
    first = int(ts.min()) // WINDOW_MS
    numbers, rows = np.unique((ts // WINDOW_MS - first) * 1_000_000 + user, return_inverse=True)
    counts = np.bincount(rows).tolist()
    sums = np.bincount(rows, weights=np.nan_to_num(amount)).tolist()
    added = np.bincount(rows, weights=~np.isnan(amount)).tolist()
    keys = ((data.key(g % 1_000_000).decode(), (first + g // 1_000_000) * WINDOW_MS) for g in numbers.tolist())
    groups = zip(keys, counts, sums, added, strict=True)
    return {key: [count, total if some else None] for key, count, total, some in groups}


def found(log: Log, inputs: Inputs) -> Answer:
    groups = expected(inputs)
    stored = {window_of(key) for key in log.latest("windowed-totals-changelog")}
    missing = [group for group in groups if group not in stored]
    if missing:
        raise Void("groups not in the changelog", missing)
    return results(log)


def results(log: Log) -> Answer:
    """The results in the output topic; a group that left more than once is a wrong answer."""
    window = msgspec.json.Decoder(Window).decode
    totals = msgspec.json.Decoder(Totals).decode
    rows = ((window(key or b""), totals(value or b"")) for key, value, _ in log.rows("totals"))
    return unique(((window.key, window.start), [totals.count, totals.total]) for window, totals in rows)


def window_of(key: bytes) -> tuple[str, int]:
    """User and window start of a changelog key: the start as 8 big-endian bytes, sign flipped, then the user."""
    return key[8:].decode(), int.from_bytes(key[:8]) - (1 << 63)
