"""The workloads in faust. The job comes as a line of JSON on standard input, what happens goes out in lines of JSON."""

import json
import os
import sys
import time

import faust

job = json.loads(sys.stdin.readline())
app = faust.App(
    job["app"],
    broker=f"kafka://{job['address']}",
    datadir=job["state"],
    store="rocksdb://?driver=rocksdict",
    value_serializer="json",
    topic_partitions=4,
    topic_disable_leader=True,
    topic_allow_declare=True,
    broker_commit_interval=job["commit_ms"] / 1000,
    broker_max_poll_records=10_000,
    consumer_auto_offset_reset="earliest",
    consumer_group_instance_id=job["app"],
    stream_wait_empty=False,
    producer_linger=job["linger_ms"] / 1000,
    processing_guarantee=job["guarantee"],
    web_enabled=False,
)
events = app.topic(job["input"], key_type=str, key_serializer="raw", value_serializer="json")
told = False


def first():
    global told
    if not told:
        told = True
        os.write(1, b'{"event": "first", "ns": %d}\n' % time.monotonic_ns())


if job["workload"] == "windowed":
    years_s = 100 * 365 * 86_400  # windows expire by the wall clock, and the events are years old
    totals = app.Table("totals", default=lambda: [0, 0.0], key_type=str).tumbling(10, expires=years_s)

    @app.agent(events)
    async def count(stream):
        async for event in stream:
            first()
            window = totals[event["user"]]
            number, total = window.value()
            totals[event["user"]] = [number + 1, total + event["amount"]]

elif job["workload"] in ("agent", "start"):
    table = app.Table("table", default=int if job["workload"] == "start" else float, key_type=str)

    @app.agent(events)
    async def spend(stream):
        async for event in stream:
            first()
            table[event["user"]] += 1 if job["workload"] == "start" else event["amount"]

elif job["workload"] in ("stateless", "latency"):
    doubled = app.topic("doubled", key_serializer="raw", value_serializer="json")
    everything = job["workload"] == "latency"

    @app.agent(events)
    async def double(stream):
        async for key, event in stream.items():
            first()
            if everything or event["amount"] > 250:
                event["amount"] *= 2
                await doubled.send(key=key, value=event)


sys.argv = ["faust", "worker", "--without-web", "--loglevel", "warn"]
app.main()
