"""The app of the tests of standbys: a count by key, every change of it told."""

from __future__ import annotations

import os

import streams

PARTITIONS = 6
NAME = os.environ.get("STREAMS_ID", "standby")

app = streams.App(NAME, commit_interval_ms=100)
numbers = app.topic(f"{NAME}-numbers", key_type=str, value_type=int, partitions=PARTITIONS)
counts = app.topic(f"{NAME}-counts", key_type=str, value_type=int, partitions=PARTITIONS)
numbers.stream().group_by_key().count(name="counts").emit("update").to_stream().to(counts)
