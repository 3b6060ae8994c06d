"""Topics from outside the worker: input loaded before the clock starts, results read after it stopped.

The input is appended as raw record batches, so it is the same bytes for every run and costs no encoding.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.data import PARTITIONS
from benchmarks.workload import Answer, Inputs, WrongAnswerError
from broker_embedded import records
from streams.transport.committed import read_committed
from streams.transport.contract import TopicPartition, TopicSpec, Transport

T = TypeVar("T")
Row = tuple[bytes | None, bytes | None, int]  # key, value, timestamp

FETCH_BYTES = 16 << 20
SETTLED_S = 10.0


@dataclass(frozen=True)
class Place:
    """Where topics are: in the folder of an embedded broker, or where a Kafka listens (host:port)."""

    data_dir: Path
    address: str = ""

    def run(self, work: Callable[[Transport], Coroutine[Any, Any, T]]) -> T:
        """What `work` gives, on an event loop of its own."""

        async def run() -> T:
            transport = self._transport()
            await transport.start()
            try:
                return await work(transport)
            finally:
                await transport.stop()

        return asyncio.run(run())

    def _transport(self) -> Transport:
        if self.address:
            from streams.transport.kafka import KafkaTransport

            return KafkaTransport(self.address)
        from streams.transport.embedded import EmbeddedTransport

        return EmbeddedTransport(self.data_dir / "log")


def load(place: Place, inputs: Inputs, *, closing: bool) -> None:
    """Makes the topics and appends their records, each partition's closing record last. They are kept for ever."""

    async def append(transport: Transport) -> None:
        await transport.create([TopicSpec(topic, PARTITIONS, {"retention.ms": "-1"}) for topic in inputs])
        producer = transport.producer(transactional_id=None)
        await producer.start()
        for topic, data in inputs.items():
            for partition in range(PARTITIONS):
                raw = data.batches(partition) + (data.closing(partition) if closing else b"")
                for _, batch in records.batches(raw):
                    await producer.send(TopicPartition(topic, partition), bytearray(batch))
        await producer.close()

    place.run(append)


async def _settled(transport: Transport, tps: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
    """The ends of partitions in which no transaction is open: Kafka answers a commit before its markers are written.

    Raises WrongAnswerError if one stays open.
    """
    deadline = time.monotonic() + SETTLED_S
    while True:
        stops = await transport.latest(tps, "read_committed")
        ends = await transport.latest(tps, "read_uncommitted")
        if stops == ends:
            return stops
        if time.monotonic() > deadline:
            raise WrongAnswerError(f"transactions are still open: ends {ends}, of them committed {stops}")
        await asyncio.sleep(0.01)


def delete_local_state(data_dir: Path) -> None:
    """Removes the stores of every task and leaves the log: what a worker on a new machine finds."""
    shutil.rmtree(data_dir / "state")


class Log:
    """What a run left in its topics; `tables` are the stores of a restored worker, by name."""

    def __init__(self, place: Place, tables: Mapping[str, Answer]) -> None:
        self.place = place
        self.tables = tables

    def rows(self, topic: str) -> list[Row]:
        """The committed records of a topic, partition after partition."""

        async def read(transport: Transport) -> list[Row]:
            info = (await transport.describe([topic]))[topic]
            tps = [TopicPartition(topic, partition) for partition in range(info.partitions)]
            positions = dict(await transport.earliest(tps))
            stops = await _settled(transport, tps)
            rows: dict[TopicPartition, list[Row]] = {tp: [] for tp in tps}
            while positions := {tp: at for tp, at in positions.items() if at < stops[tp]}:
                for fetched in await transport.fetch(
                    positions, max_bytes=FETCH_BYTES, partition_max_bytes=FETCH_BYTES, wait_ms=1000
                ):
                    for _, batch in read_committed(fetched):
                        found = records.decode(batch)
                        rows[fetched.tp] += zip(found.keys(), found.values(), found.timestamps.tolist(), strict=True)
                    positions[fetched.tp] = fetched.next_offset
            return [row for tp in tps for row in rows[tp]]

        return self.place.run(read)

    def topics(self) -> list[str]:
        """The names of all topics."""
        return self.place.run(lambda transport: transport.topics())

    def values(self, topic: str) -> Iterator[bytes]:
        """The committed values of a topic, none of which may be null."""
        for key, value, timestamp in self.rows(topic):
            if value is None:
                raise WrongAnswerError(f"{topic}: the value of {key!r} at {timestamp} is null")
            yield value

    def latest(self, topic: str) -> dict[bytes, bytes]:
        """The live entries of a changelog or compacted topic: the last value of each key, deletions left out."""
        last = {key: value for key, value, _ in self.rows(topic) if key is not None}
        return {key: value for key, value in last.items() if value is not None}
