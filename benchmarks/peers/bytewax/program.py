"""The workloads in Bytewax. The job is a line of JSON on standard input, what happens goes out in lines of JSON."""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing as win
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

job = json.loads(sys.stdin.readline())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
BEGAN = datetime.now(UTC)
told = False


def tell(event):
    os.write(1, b'{"event": "%s", "ns": %d}\n' % (event.encode(), time.monotonic_ns()))


def decode(messages):
    global told
    if messages and not told:
        told = True
        tell("first")
    return [(message.key.decode(), orjson.loads(message.value)) for message in messages]


def doubled(messages):
    out = []
    for key, event in decode(messages):
        if event["amount"] > 250:
            event["amount"] *= 2
            out.append(KafkaSinkMessage(key=key.encode(), value=orjson.dumps(event)))
    return out


def result(key_and_window):
    key, (window, (count, total)) = key_and_window
    value = orjson.dumps({"start": window * 10_000, "count": count, "total": total})
    return KafkaSinkMessage(key=key.encode(), value=value)


# The clock of a window goes by the events alone: no wake-ups, no waiting for the time of day, which is years ahead.
clock = win.EventClock(
    ts_getter=lambda event: EPOCH + event["ts"] * MS,
    wait_for_system_duration=timedelta(seconds=5),
    now_getter=lambda: BEGAN,
    to_system_utc=lambda _: None,
)

flow = Dataflow(job["app"].replace("-", "_"))
brokers = [job["address"]]
reading = {"fetch.queue.backoff.ms": "0", "queued.min.messages": "200000"}
messages = op.input("events", flow, KafkaSource(brokers, [job["input"]], tail=False, add_config=reading))
if job["workload"] == "windowed":
    events = op.flat_map_batch("decode", messages, decode)
    windows = win.fold_window(
        "windows",
        events,
        clock,
        win.TumblingWindower(align_to=EPOCH, length=timedelta(seconds=10)),
        lambda: (0, 0.0),
        lambda totals, event: (totals[0] + 1, totals[1] + event["amount"]),
        lambda a, b: (a[0] + b[0], a[1] + b[1]),
        ordered=False,
    )
    results, topic = op.map("result", windows.down, result), "totals"
else:
    results, topic = op.flat_map_batch("double", messages, doubled), "doubled"
writing = {"linger.ms": str(job["linger_ms"]), "partitioner": "murmur2_random"}
op.output("out", results, KafkaSink(brokers, topic, add_config=writing))

snapshots = Path(job["state"])
init_db_dir(snapshots, 1)
cli_main(flow, recovery_config=RecoveryConfig(str(snapshots)))
tell("done")
sys.stdin.readline()
