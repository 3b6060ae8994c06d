"""Feeds an app, with the client of another library: acks of all replicas, no record lost or twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import msgspec
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.partitioner import partition_for
from tests.cluster.chaos_input import Record

FLUSH_MAX_S = 120.0


class Feeder:
    """Sends records from a thread, at a rate, and remembers them in `sent`."""

    def __init__(self, bootstrap: str, records_per_s: float, partitions: Mapping[str, int]) -> None:
        """`partitions` says how many each topic has."""
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "message.timeout.ms": int(FLUSH_MAX_S * 1000),
                "log_level": 0,
            }
        )
        self._records_per_s = records_per_s
        self._partitions = partitions
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.sent: list[Record] = []
        self.failures: list[str] = []

    def start(self, given: Iterator[Record]) -> None:
        """Begins to send these, of which there need be no end."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(given,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sends no more; what was sent is acknowledged then."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None
        self.flush()

    def flush(self) -> None:
        left = self._producer.flush(FLUSH_MAX_S)
        assert left == 0, f"{left} records were not acknowledged in {FLUSH_MAX_S:.0f} s"
        assert not self.failures, self.failures[:3]

    def send(self, given: list[Record]) -> None:
        """These, and waits until they are there."""
        for record in given:
            self._send(record)
        self.flush()

    def _run(self, given: Iterator[Record]) -> None:
        began_s = time.monotonic()
        for count, record in enumerate(given):
            due_s = began_s + count / self._records_per_s
            while (ahead_s := due_s - time.monotonic()) > 0:
                self._producer.poll(ahead_s)
            if self._stopping.is_set():
                return
            self._send(record)

    def _send(self, record: Record) -> None:
        self._producer.produce(
            record.topic,
            key=record.key.encode(),
            value=None if record.value is None else msgspec.json.encode(record.value),
            timestamp=record.timestamp,
            partition=partition_for(record.key.encode(), self._partitions[record.topic]),
            on_delivery=self._delivered,
        )
        self.sent.append(record)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures.append(f"{message.topic()}-{message.partition()}: {error}")


def make_topics(bootstrap: str, partitions: Mapping[str, int]) -> None:
    """Makes topics that keep everything. Outputs too: a judge wants to read of them before there is a worker."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = [NewTopic(name, count, config={"retention.ms": "-1"}) for name, count in partitions.items()]
    for made in admin.create_topics(wanted).values():
        made.result(30)
