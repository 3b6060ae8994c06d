"""What scenarios are made of. A scenario is by name, the API that it is about, and the requests.

It runs once for each version of its API, every time with names of its own; all other requests go out in their newest
version. What it returns does not count: the answers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from kafka.record.default_records import DefaultRecordBatchBuilder

from tests.interop.diff.broker import Asked
from tests.interop.diff.messages import Row

Scenario = Callable[[Asked], None]
SCENARIOS: dict[str, tuple[str, Scenario]] = {}

TOPIC, BROKER, GROUP = 2, 4, 32  # config resources
CLUSTER_ACL, TOPIC_ACL, GROUP_ACL = 4, 2, 3
ANY, LITERAL, PREFIXED, ALLOW, DENY = 1, 3, 4, 3, 2
READ, WRITE, ALL = 3, 4, 2
NOBODY = UUID(int=7)
EPOCH_MS = 1_700_000_000_000
PROTOCOLS = [{"name": "range", "metadata": b"\0\0\0\0\0\1\0\1a\xff\xff\xff\xff"}]
"""A subscription of version 0: topic `a`, no data."""


def scenario(subject: str) -> Callable[[Scenario], Scenario]:
    def registered(function: Scenario) -> Scenario:
        SCENARIOS[function.__name__.replace("_", "-")] = (subject, function)
        return function

    return registered


def batch(*values: bytes, producer: tuple[int, int, int] = (-1, -1, -1), transactional: bool = False) -> bytes:
    """A record batch with fixed timestamps; `producer` is id, epoch and first sequence."""
    producer_id, epoch, sequence = producer
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=transactional,
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        batch_size=1 << 20,
    )
    for index, value in enumerate(values):
        builder.append(index, timestamp=EPOCH_MS + index, key=b"k", value=value, headers=[("h", b"1")])
    return bytes(builder.build())


def make_topic(ask: Asked, partitions: int = 1, configs: dict[str, str] | None = None, name: str | None = None) -> UUID:
    """A topic that keeps old records, and its id."""
    rows = [{"name": key, "value": value} for key, value in ({"retention.ms": "-1"} | (configs or {})).items()]
    new = {"name": name or ask.name, "numPartitions": partitions, "replicationFactor": 1, "configs": rows}
    ask("CreateTopics", version=7, topics=[new], timeoutMs=10_000)
    topic_id: UUID = wait_for_topic(ask, name or ask.name)["topics"][0]["topicId"]
    first = [{"name": name or ask.name, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}]
    ask.until(_is_led, "ListOffsets", version=10, replicaId=-1, topics=first)
    return topic_id


def _is_led(answer: Row) -> bool:
    return bool(answer["topics"][0]["partitions"][0]["errorCode"] == 0)


def wait_for_topic(ask: Asked, name: str) -> Row:
    def has_leader(answer: Row) -> bool:
        (topic,) = answer["topics"]
        return topic["errorCode"] == 0 and all(partition["leaderId"] >= 0 for partition in topic["partitions"])

    return ask.until(has_leader, "Metadata", version=12, topics=[{"name": name}], allowAutoTopicCreation=False)


def produce(ask: Asked, topic_id: UUID, records: bytes, version: int | None = None, **fields: Any) -> Row:
    data = [{"name": ask.name, "topicId": topic_id, "partitionData": [{"index": 0, "records": records}]}]
    return ask("Produce", version=version, **{"acks": -1, "timeoutMs": 5000, "topicData": data} | fields)


def fetch(ask: Asked, topic_id: UUID, offset: int = 0, **fields: Any) -> Row:
    partition = {"partition": 0, "fetchOffset": offset, "partitionMaxBytes": 1 << 20}
    topics = [{"topic": ask.name, "topicId": topic_id, "partitions": [partition | fields.pop("partition", {})]}]
    return ask("Fetch", **{"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1 << 20, "topics": topics} | fields)


def new_producer(ask: Asked) -> Row:
    whole = {"transactionalId": None, "transactionTimeoutMs": 1000}
    return ask.until(lambda answer: answer["errorCode"] == 0, "InitProducerId", **whole)


def find(ask: Asked, key: str, kind: int = 0) -> None:
    def found(answer: Row) -> bool:
        return all(row["errorCode"] == 0 for row in answer["coordinators"])

    ask.until(found, "FindCoordinator", version=6, coordinatorKeys=[key], keyType=kind)
