"""A table by key, every change of which is told: `<app id>-in` counted by key into `<app id>-counts`.

What comes out is 1, 2, 3 ... for each key, whatever happens: a record lost is a gap or an end too soon, one counted
twice a number too many. The app id is that of the environment, so that each test has an app of its own.
"""

from __future__ import annotations

import os

import streams
from tests.cluster import chaos_hooks

PARTITIONS = 6

app = streams.App(os.environ.get("CLUSTER_APP", "story"))


def topic(name: str) -> streams.Topic[int]:
    return app.topic(f"{app.id}-{name}", key_type=str, value_type=int, partitions=PARTITIONS, retention="forever")


counted = chaos_hooks.watched(topic("in").stream()).group_by_key().count(name="counts")
counted.emit("update").to_stream().to(topic("counts"))
