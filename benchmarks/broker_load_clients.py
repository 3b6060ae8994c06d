"""The clients of `benchmarks/broker_load.py`, many in one process, on librdkafka: SETTINGS as JSON -> figures as JSON.

Producers and consumers of the process's topics. Each line on standard input asks for a phase, and is answered with a
line of figures when every record of the phase has arrived:
`{"seconds": 5, "rate": 2000}` offers so many records a second, `{"seconds": 5, "in_flight": 100}` as many as get
through with so many on their way for each producer.

A record says who sent it, as which of its records, and when (100 bytes). Each must arrive once at one member of the
group of its topic.
"""

from __future__ import annotations

import json
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

_RECORD: Final = struct.Struct(">HIQ86x")
_BATCH: Final = 1000
_KEYS: Final = 20  # in each partition of a topic that is compacted
_TURN_S: Final = 0.002
_PATIENCE_S: Final = 120


@dataclass(frozen=True)
class Settings:
    """Who there is. Producer p writes to the topics in turn, as consumer c reads them."""

    client: dict[str, Any]  # of librdkafka
    topics: list[str]
    partitions: int  # of each
    clients: int  # producers, and as many consumers


@dataclass
class Phase:
    """What has happened since it began. Times in nanoseconds."""

    produced: int = 0
    consumed: int = 0
    acknowledged: list[int] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)

    def figures(self, seconds: float) -> dict[str, Any]:
        return {
            "produced": self.produced,
            "consumed": self.consumed,
            "seconds": seconds,
            "produce_ms": _milliseconds(self.acknowledged),
            "end_to_end_ms": _milliseconds(self.arrived),
        }


def _milliseconds(times: list[int]) -> list[float]:
    """The percentiles 1 to 99 and the maximum."""
    return [round(t / 1e6, 3) for t in [*statistics.quantiles(times, n=100, method="inclusive"), max(times)]]


class Clients:
    """All of them, and what is on its way between them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._errors: list[str] = []
        client = settings.client | {"error_cb": self._note}
        topics = [settings.topics[number % len(settings.topics)] for number in range(settings.clients)]
        self._producers = [Producing(Producer(client), number, topic, self) for number, topic in enumerate(topics)]
        self._consumers = []
        for topic in topics:
            consumer = Consumer(client | {"group.id": f"readers-of-{topic}", "auto.offset.reset": "earliest"})
            consumer.subscribe([topic])
            self._consumers.append(consumer)
        self._seen = [bytearray() for _ in self._producers]
        self.phase = Phase()

    def _note(self, error: KafkaError) -> None:
        self._errors.append(str(error))

    def assigned(self) -> None:
        """Wait until every partition has its consumer, and turn until the groups are quiet."""
        wanted = self._settings.partitions * len(self._settings.topics)
        for _ in self._turns(_PATIENCE_S):
            if sum(len(consumer.assignment()) for consumer in self._consumers) == wanted:
                return
        raise RuntimeError(f"not all of {wanted} partitions were assigned; {self._errors}")

    def run(self, seconds: float, rate: float = 0, in_flight: int = 0) -> dict[str, Any]:
        """One phase, and its figures. Raises RuntimeError for an error, or a record that comes twice or not at all."""
        self.phase = Phase()
        began = time.perf_counter()
        for elapsed in self._turns(seconds):
            for producer in self._producers:
                if rate:
                    producer.send_due(elapsed * rate / len(self._producers))
                else:
                    producer.fill(in_flight)
        for producer in self._producers:
            producer.begin()
        for _ in self._turns(_PATIENCE_S):
            if self.phase.consumed >= self.phase.produced and not any(one.on_their_way for one in self._producers):
                break
        elapsed = time.perf_counter() - began
        self._check()
        return self.phase.figures(elapsed)

    def _turns(self, seconds: float) -> Iterator[float]:
        """Seconds since the beginning, every few milliseconds; between them all clients have their turn."""
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            yield elapsed
            for producer in self._producers:
                producer.client.poll(0)
            for consumer in self._consumers:
                self._take(consumer.consume(_BATCH, 0))
            time.sleep(max(0.0, _TURN_S - (time.perf_counter() - began - elapsed)))

    def _take(self, messages: list[Message]) -> None:
        now = time.monotonic_ns()
        for message in messages:
            if (error := message.error()) is not None:
                raise KafkaException(error)
            sender, number, sent = _RECORD.unpack(message.value() or b"")
            seen = self._seen[sender]
            if number >= len(seen):
                seen.extend(bytes(number + 1000 - len(seen)))
            seen[number] += 1
            self.phase.arrived.append(now - sent)
        self.phase.consumed += len(messages)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._errors.append(str(error))
        self.phase.acknowledged.append(int((message.latency() or 0) * 1e9))

    def _check(self) -> None:
        if self._errors:
            raise RuntimeError(f"{len(self._errors)} errors, the first is: {self._errors[0]}")
        for producer, seen in zip(self._producers, self._seen, strict=True):
            wrong = [number for number in range(producer.sent) if number >= len(seen) or seen[number] != 1]
            if wrong:
                raise RuntimeError(
                    f"{len(wrong)} of {producer.sent} records of producer {producer.number} to {producer.topic} did "
                    f"not arrive once; the first is {wrong[0]}, here {seen[wrong[0]] if wrong[0] < len(seen) else 0}"
                )

    def close(self) -> None:
        for consumer in self._consumers:
            consumer.close()


class Producing:
    """One producer. A burst goes to one partition, the next to the next, as librdkafka does by itself without keys."""

    def __init__(self, client: Producer, number: int, topic: str, owner: Clients) -> None:
        self.client, self.number, self.topic, self._owner = client, number, topic, owner
        self.sent = 0
        self.on_their_way = 0
        self._due = 0
        self._partition = number
        self._partitions = owner._settings.partitions

    def begin(self) -> None:
        """A phase is over; the next one counts from here."""
        self._due = 0

    def send_due(self, count: float) -> None:
        """So many should have gone since the phase began; ten at a time, not all producers at once."""
        if count - self._due >= 10 + self.number % 10:
            self._send(10)

    def fill(self, in_flight: int) -> None:
        if in_flight - self.on_their_way >= in_flight // 2:
            self._send(in_flight - self.on_their_way)

    def _send(self, count: int) -> None:
        self._partition = (self._partition + 1) % self._partitions
        for _ in range(count):
            value = _RECORD.pack(self.number, self.sent, time.monotonic_ns())
            key = b"key %d" % (self.sent % _KEYS)
            self.client.produce(self.topic, value, key, self._partition, self._delivered)
            self.sent += 1
        self.on_their_way += count
        self._due += count
        self._owner.phase.produced += count

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self.on_their_way -= 1
        self._owner.delivered(error, message)


def main(settings: str) -> None:
    clients = Clients(Settings(**json.loads(settings)))
    clients.assigned()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(clients.run(**json.loads(line)) | {"cpu_s": time.process_time()}), flush=True)
    clients.close()


if __name__ == "__main__":
    main(sys.argv[1])
