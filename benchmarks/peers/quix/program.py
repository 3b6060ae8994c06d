"""The workloads in Quix. The job comes as a line of JSON on standard input, what happens goes out in lines of JSON."""

import json
import os
import sys
import time

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum

job = json.loads(sys.stdin.readline())
app = Application(
    broker_address=job["address"],
    consumer_group=job["app"],
    auto_offset_reset="earliest",
    commit_interval=job["commit_ms"] / 1000,
    state_dir=job["state"],
    consumer_extra_config={
        "group.instance.id": job["app"],
        "fetch.queue.backoff.ms": 0,
        "queued.min.messages": 200_000,
    },
    producer_extra_config={"linger.ms": job["linger_ms"]},
    processing_guarantee=job["guarantee"].replace("_", "-"),
    consumer_poll_timeout=0.01,
    loglevel="WARNING",
)
events = app.dataframe(app.topic(job["input"], key_deserializer="str", value_deserializer="json"))
told = False


def first(event):
    global told
    if not told:
        told = True
        os.write(1, b'{"event": "first", "ns": %d}\n' % time.monotonic_ns())


def double(event):
    event["amount"] *= 2


def spend(event, state):
    state.set("spent", state.get("spent", 0.0) + event["amount"])


def see(event, state):
    state.set("seen", state.get("seen", 0) + 1)


events = events.update(first)
if job["workload"] == "windowed":
    windows = events.tumbling_window(10_000, grace_ms=5_000).agg(count=Count(), total=Sum("amount"))
    windows.final("partition").to_topic(app.topic("totals", key_serializer="str", value_serializer="json"))
elif job["workload"] in ("agent", "start"):
    events.update(spend if job["workload"] == "agent" else see, stateful=True)
else:
    chosen = events if job["workload"] == "latency" else events[events["amount"] > 250]
    chosen.update(double).to_topic(app.topic("doubled", key_serializer="str", value_serializer="json"))
app.run()
