"""Sends records at a rate and measures when their results come; librdkafka on both sides.

`python -m benchmarks.latency_client '{...}'`. The moment of sending travels in the record, as its `ts`. It prints a
line when it has found the way through and warmed it up, and the figures at the end.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.data import PARTITIONS

FIRST_S, LATE_S = 100.0, 30.0
TICK_S = 0.001


class Collector(threading.Thread):
    """Reads results and notes when each came; what is in them is looked at in the end."""

    def __init__(self, address: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "latency-client",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "fetch.queue.backoff.ms": 0,
                "topic.metadata.refresh.interval.ms": 1000,
                "allow.auto.create.topics": False,
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        self._stopping = threading.Event()
        self._values: list[tuple[int, bytes]] = []

    def run(self) -> None:
        while not self._stopping.is_set():
            first = self._consumer.poll(0.05)
            if first is None:
                continue
            now_ns = time.monotonic_ns()
            # `consume` waits until it has as many as wanted, or the time is over: without time it gives what is here.
            messages = [first, *self._consumer.consume(1_000, 0)]
            self._values += [(now_ns, message.value() or b"") for message in messages if message.error() is None]
        self._consumer.close()

    def __len__(self) -> int:
        return len(self._values)

    def stop(self) -> list[tuple[int, int, float]]:
        """Reads no more. Of each result: when it was sent, when it came, the amount."""
        self._stopping.set()
        self.join()
        events = ((now_ns, json.loads(value)) for now_ns, value in self._values)
        return [(event["ts"], now_ns, event["amount"]) for now_ns, event in events]


class Sender:
    """Sends events, each with the moment in it."""

    def __init__(self, address: str, topic: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": address, "linger.ms": 0, "acks": 1, "partitioner": "murmur2_random"}
        )
        self._topic = topic
        self._random = random.Random(7)
        self.sent: dict[int, float] = {}

    def send(self) -> int:
        user, amount, ts = self._random.randrange(10_000), round(self._random.uniform(0, 500), 2), time.monotonic_ns()
        while ts in self.sent:
            ts += 1
        self.sent[ts] = amount
        value = f'{{"user": "user-{user:05d}", "amount": {amount:.2f}, "ts": {ts}}}'
        self._producer.produce(self._topic, value, f"user-{user:05d}")
        return ts

    def keep_on(self, rate: int, seconds: float) -> None:
        """Sends so many a second, what is due each millisecond together."""
        began, sent = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            while sent < elapsed * rate:
                self.send()
                sent += 1
            self._producer.poll(0)
            time.sleep(TICK_S)


def measure(offered: dict[str, Any]) -> dict[str, Any]:
    """Figures of what was sent after the warm-up. Raises RuntimeError for a record that is lost, wrong or repeated."""
    sender = Sender(offered["address"], offered["input"])
    collector = Collector(offered["address"], offered["output"])
    collector.start()
    sender.send()
    _wait(lambda: len(collector) > 0, FIRST_S)
    sender.keep_on(offered["rate"], offered["warm_up_s"])
    print("begin", flush=True)
    began_ns, began = time.monotonic_ns(), time.perf_counter()
    sender.keep_on(offered["rate"], offered["seconds"])
    seconds = time.perf_counter() - began
    _wait(lambda: len(collector) >= len(sender.sent), LATE_S)
    results = collector.stop()
    _check(sender.sent, results)
    late_ms = np.array([(came - ts) / 1e6 for ts, came, _ in results if ts >= began_ns])
    p50, p95, p99 = np.percentile(late_ms, [50, 95, 99]).tolist()
    figures = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": float(late_ms.max())}
    return {"n": len(late_ms), "rate": offered["rate"], "seconds": seconds, **figures}


def _wait(done: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)


def _check(sent: dict[int, float], came: list[tuple[int, int, float]]) -> None:
    doubled = {ts: amount / 2 for ts, _, amount in came}
    if len(doubled) != len(came) or doubled != sent:
        raise RuntimeError(f"{len(sent)} were sent, {len(came)} results came, of {len(doubled)} records")


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))), flush=True)
