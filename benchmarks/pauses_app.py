"""The app of `pauses`: for each record, the moment it was sent at, how many its key has had, and that moment."""

from __future__ import annotations

import os

import streams

PARTITIONS = 6

app = streams.App(os.environ.get("PAUSES_APP", "pauses"))


def counted(last: list[int], sent: int) -> list[int]:
    return [last[0] + 1, sent]


moments = app.topic(f"{app.id}-in", key_type=str, value_type=int, partitions=PARTITIONS, retention="forever")
results = app.topic(f"{app.id}-out", key_type=str, value_type=list[int], partitions=PARTITIONS, retention="forever")
counts = moments.stream().group_by_key().aggregate([0, 0], counted, value_type=list[int], name="counts")
counts.emit("update").to_stream().to(results)
