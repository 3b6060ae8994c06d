"""An Apache Kafka for the runs of one workload: started and warmed up, its input loaded once, cleaned between runs.

It has the JVM settings of its own start script and its data on the same disk as ours. Topics of input are kept for
ever: their records are years old, and Kafka deletes by record time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.broker_process import Running, running
from benchmarks.data import CACHE, PARTITIONS, Dataset
from benchmarks.topics import FETCH_BYTES, Place, load
from benchmarks.workload import Inputs
from broker_embedded import records
from streams.transport.contract import TopicPartition, TopicSpec, Transport
from tests.interop.apache_kafka import BROKER

WARM_UP_PASSES = 2
TRANSACTION_BATCHES = 50
"""So many batches a transaction while the broker warms up."""
SETTINGS = {
    "log.segment.delete.delay.ms": "1000",  # what a run leaves behind is gone before the next
    "group.min.session.timeout.ms": "1000",
}
INTERNAL = {"__consumer_offsets", "__transaction_state"}


class Kafka:
    """A broker that runs."""

    def __init__(self, broker: Running, folder: Path) -> None:
        self._broker = broker
        self._data_dir = folder / "data"
        self.place = Place(folder, broker.address)
        self._cpu_s = 0.0
        self._inputs: dict[str, Dataset] = {}

    @property
    def address(self) -> str:
        """host:port."""
        return self._broker.address

    def begin(self) -> None:
        """From here on count `cpu_s` and `peak_rss_mb` of `figures`."""
        self._cpu_s = self._broker.cpu_s
        Path(f"/proc/{self._broker.pid}/clear_refs").write_text("5")  # VmHWM begins anew (proc(5))

    def figures(self) -> dict[str, float]:
        """What the broker took since `begin`."""
        return {"broker_cpu_s": self._broker.cpu_s - self._cpu_s, "broker_peak_rss_mb": self._broker.peak_mb}

    def load(self, inputs: Inputs, *, closing: bool) -> None:
        """Makes the topics that are not there yet with these records."""
        new = {topic: data for topic, data in inputs.items() if self._inputs.get(topic) != data}
        self.place.run(lambda transport: transport.delete(new.keys() & self._inputs.keys()))
        load(self.place, new, closing=closing)
        self._inputs |= new

    def unload(self) -> None:
        """Removes all inputs: other workloads have others."""
        self.place.run(lambda transport: transport.delete(list(self._inputs)))
        self._inputs = {}

    def create(self, *topics: str) -> None:
        """Makes empty topics that go with the run."""
        specs = [TopicSpec(topic, PARTITIONS, {"retention.ms": "-1"}) for topic in topics]
        self.place.run(lambda transport: transport.create(specs))

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        """The end of each partition."""
        return self.place.run(lambda transport: transport.latest(self.partitions(topic)))

    @staticmethod
    def partitions(topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for partition in range(PARTITIONS)]

    def clean(self) -> None:
        """Removes what a run left: all topics but the inputs, and all groups."""

        async def remove(transport: Transport) -> None:
            from streams.admin import Admin

            keep = self._inputs.keys() | INTERNAL
            await transport.delete([topic for topic in await transport.topics() if topic not in keep])
            admin = Admin(transport)
            empty = await admin.list_groups(states=["Empty", "Dead"])
            await admin.delete_groups(*(listing.group_id for listing in empty))

        self.place.run(remove)

    def commits(self, group: str) -> int:
        """How often the group has committed offsets since the broker started: with a transaction or without.

        Each transaction with offsets ends with one marker in the partition of the group.
        """

        async def count(transport: Transport) -> int:
            offsets = int(BROKER["offsets.topic.num.partitions"])
            tp = TopicPartition("__consumer_offsets", java_hash(group) % offsets)
            positions, markers, plain = await transport.earliest([tp]), 0, 0
            while found := await transport.fetch(positions, max_bytes=FETCH_BYTES, isolation="read_uncommitted"):
                for header, _ in (pair for fetched in found for data in fetched.data for pair in records.batches(data)):
                    markers += header.is_control
                    plain += not header.is_transactional
                positions = {fetched.tp: fetched.next_offset for fetched in found}
            return markers or plain

        return self.place.run(count)

    def log_bytes(self) -> int:
        """Bytes in the log, the inputs left out: results, changelogs, positions, transactions."""
        found = 0
        for folder in os.scandir(self._data_dir):
            topic, _, suffix = folder.name.rpartition("-")
            if folder.is_dir() and topic not in self._inputs and suffix != "delete":
                found += sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(".log"))
        return found


def java_hash(text: str) -> int:
    """What Kafka's group coordinator takes the partition of a group from: Java's hash without its sign.

    >>> java_hash("windowed"), java_hash("latency")
    (1115378545, 46576386)
    """
    value = 0
    for letter in text:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return abs(value - (1 << 32) if value >> 31 else value)


@contextmanager
def started() -> Iterator[Kafka]:
    """A broker in a new folder, warmed up."""
    (CACHE / "runs").mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=CACHE / "runs", prefix="kafka-") as folder,
        running("kafka", Path(folder), SETTINGS) as broker,
    ):
        kafka = Kafka(broker, Path(folder))
        kafka.place.run(_warm_up)
        kafka.clean()
        yield kafka


async def _warm_up(transport: Transport) -> None:
    """Writes two million records in transactions, and reads them: the first run two to three times slower through a JVM
    than the rest."""
    await transport.create([TopicSpec("warm-up", PARTITIONS, {"retention.ms": "-1"})])
    producer = transport.producer(transactional_id="warm-up")
    await producer.start()
    data = Dataset("events", 1_000_000)
    for partition in range(PARTITIONS):
        batches = [batch for _, batch in records.batches(data.batches(partition) * WARM_UP_PASSES)]
        for at in range(0, len(batches), TRANSACTION_BATCHES):
            await producer.begin()
            for batch in batches[at : at + TRANSACTION_BATCHES]:
                await producer.send(TopicPartition("warm-up", partition), bytearray(batch))
            await producer.commit()
    await producer.close()
    positions = {TopicPartition("warm-up", partition): 0 for partition in range(PARTITIONS)}
    while found := await transport.fetch(positions, max_bytes=FETCH_BYTES, wait_ms=100):
        positions |= {fetched.tp: fetched.next_offset for fetched in found}
