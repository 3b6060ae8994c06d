"""Reads what the app under chaos has told, with the client of another library and committed records only."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.cluster.chaos_expected import Row

Rows = dict[str, list[Row]]

READ_MAX_S = 60.0


class Judge:
    """Follows the outputs: `rows` are those of each topic so far, those of a partition in their order."""

    def __init__(self, bootstrap: str, partitions: Mapping[str, int]) -> None:
        self._consumer = _consumer(bootstrap)
        self._consumer.assign(_from_the_beginning(partitions))
        self.rows: Rows = {name: [] for name in partitions}

    def read(self, for_s: float) -> int:
        """Takes what there is and what comes within a time; how many records that were."""
        until, count = time.monotonic() + for_s, 0
        while (left := until - time.monotonic()) > 0:
            for message in self._consumer.consume(1_000, timeout=min(left, 0.2)):
                if message.error() is not None:
                    continue  # brokers come and go
                self.rows[message.topic()].append(_row(message))
                count += 1
        return count

    def close(self) -> None:
        self._consumer.close()


def read_all(bootstrap: str, partitions: Mapping[str, int]) -> Rows:
    """All committed records of some topics, from their beginning to their end, read anew."""
    rows: Rows = {name: [] for name in partitions}
    wanted = _from_the_beginning(partitions)
    with closing(_consumer(bootstrap, **{"enable.partition.eof": True})) as consumer:
        consumer.assign(wanted)
        left = {(tp.topic, tp.partition) for tp in wanted}
        until = time.monotonic() + READ_MAX_S
        while left:
            assert time.monotonic() < until, f"the ends of {left} were not reached in {READ_MAX_S:.0f} s"
            for message in consumer.consume(1_000, timeout=0.2):
                error = message.error()
                if error is None:
                    rows[message.topic()].append(_row(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
                else:
                    raise KafkaException(error)
    return rows


def undecided(bootstrap: str, partitions: Mapping[str, int]) -> list[str]:
    """Partitions in which a transaction is still open."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    latest = {TopicPartition(name, p): OffsetSpec.latest() for name, count in partitions.items() for p in range(count)}

    def ends(isolation: IsolationLevel) -> dict[str, int]:
        asked = admin.list_offsets(latest, isolation_level=isolation)
        return {f"{tp.topic}-{tp.partition}": future.result(30).offset for tp, future in asked.items()}

    stable, high = ends(IsolationLevel.READ_COMMITTED), ends(IsolationLevel.READ_UNCOMMITTED)
    return [f"{tp}: undecided from {stable[tp]} to {high[tp]}" for tp in high if stable[tp] != high[tp]]


def _from_the_beginning(partitions: Mapping[str, int]) -> list[TopicPartition]:
    return [TopicPartition(name, p, 0) for name, count in partitions.items() for p in range(count)]


def _consumer(bootstrap: str, **more: object) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "judge",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
            **more,
        }
    )


def _row(message: object) -> Row:
    value = message.value()  # type: ignore[attr-defined]
    return Row(
        message.partition(),  # type: ignore[attr-defined]
        message.key().decode(),  # type: ignore[attr-defined]
        None if value is None else json.loads(value),
        message.timestamp()[1],  # type: ignore[attr-defined]
    )
