"""Records: produced, fetched, looked up, deleted."""

from __future__ import annotations

from typing import Any

from tests.interop.diff.broker import Asked
from tests.interop.diff.steps import EPOCH_MS, NOBODY, batch, fetch, make_topic, new_producer, produce, scenario


@scenario("Produce")
def produce_and_refuse(ask: Asked) -> None:
    topic_id = make_topic(ask)
    good = batch(b"one", b"two")
    produce(ask, topic_id, good)
    produce(ask, topic_id, good, acks=1)
    produce(ask, topic_id, good, acks=2)
    produce(ask, topic_id, good[:-1] + b"\0")
    produce(ask, topic_id, good + good)
    produce(ask, topic_id, b"")
    produce(ask, topic_id, batch(bytes(1_100_000)))
    produce(ask, topic_id, batch(b"x", producer=(123_456, 0, 5)))
    missing = [{"name": "none", "topicId": NOBODY, "partitionData": [{"index": 0, "records": good}]}]
    ask("Produce", acks=-1, timeoutMs=5000, topicData=missing)
    beyond = [{"name": ask.name, "topicId": topic_id, "partitionData": [{"index": 9, "records": good}]}]
    ask("Produce", acks=-1, timeoutMs=5000, topicData=beyond)
    fetch(ask, topic_id)


@scenario("InitProducerId")
def idempotence(ask: Asked) -> None:
    topic_id = make_topic(ask)
    given = new_producer(ask)
    for epoch, sequence in [(0, 0), (0, 0), (0, 1), (0, 5), (0, 2), (1, 0), (0, 3), (1, 5)]:
        produce(ask, topic_id, batch(b"v", producer=(given["producerId"], epoch, sequence)))
    fetch(ask, topic_id)


@scenario("Fetch")
def fetch_all(ask: Asked) -> None:
    topic_id = make_topic(ask)
    fetch(ask, topic_id)
    for _ in range(3):
        produce(ask, topic_id, batch(b"one", b"two"))
    fetch(ask, topic_id)
    fetch(ask, topic_id, 3)
    fetch(ask, topic_id, 6)
    fetch(ask, topic_id, 7)
    fetch(ask, topic_id, -5)
    fetch(ask, topic_id, partition={"partitionMaxBytes": 1})
    fetch(ask, topic_id, partition={"partition": 9})
    fetch(ask, topic_id, isolationLevel=1)
    fetch(ask, topic_id, partition={"currentLeaderEpoch": 99})
    fetch(ask, NOBODY, topics=[{"topic": "none", "topicId": NOBODY, "partitions": [{"partition": 0}]}])
    if ask.version >= 7:
        opened = fetch(ask, topic_id, sessionEpoch=0)
        session = {"sessionId": opened["sessionId"], "topics": []}
        ask("Fetch", **session, sessionEpoch=1, maxWaitMs=0, maxBytes=1 << 20)
        produce(ask, topic_id, batch(b"three"))
        ask("Fetch", **session, sessionEpoch=9, maxWaitMs=0)
        ask("Fetch", sessionId=12345, sessionEpoch=1, maxWaitMs=0)
        ask("Fetch", **session, sessionEpoch=-1, maxWaitMs=0)


@scenario("ListOffsets")
def list_offsets(ask: Asked) -> None:
    topic_id = make_topic(ask)

    def listed(timestamp: int, partition: int = 0, **fields: Any) -> None:
        row = {"partitionIndex": partition, "timestamp": timestamp}
        ask("ListOffsets", replicaId=-1, topics=[{"name": ask.name, "partitions": [row | fields]}])

    for timestamp in (-1, -2, -3, 0):
        listed(timestamp)
    produce(ask, topic_id, batch(b"one", b"two"))
    for timestamp in (-1, -2, -3, -4, -5, 0, EPOCH_MS + 1, EPOCH_MS + 2, -9):
        listed(timestamp)
    listed(-1, 9)
    listed(-1, currentLeaderEpoch=99)
    ask("ListOffsets", replicaId=-1, topics=[{"name": "none", "partitions": [{"partitionIndex": 0, "timestamp": -1}]}])


@scenario("OffsetForLeaderEpoch")
def offset_for_leader_epoch(ask: Asked) -> None:
    topic_id = make_topic(ask)
    produce(ask, topic_id, batch(b"one", b"two"))
    for row in [{"leaderEpoch": 0}, {"leaderEpoch": 5}, {"currentLeaderEpoch": 99}, {"partition": 9}]:
        ask("OffsetForLeaderEpoch", replicaId=-1, topics=[{"topic": ask.name, "partitions": [{"partition": 0} | row]}])
    ask("OffsetForLeaderEpoch", replicaId=-1, topics=[{"topic": "none", "partitions": [{"partition": 0}]}])


@scenario("DeleteRecords")
def delete_records(ask: Asked) -> None:
    topic_id = make_topic(ask)
    produce(ask, topic_id, batch(b"one", b"two", b"three"))
    for row in [{"offset": 1}, {"offset": 1}, {"offset": 9}, {"offset": -2}, {"partitionIndex": 9}, {"offset": -1}]:
        rows = [{"name": ask.name, "partitions": [{"partitionIndex": 0} | row]}]
        ask("DeleteRecords", topics=rows, timeoutMs=5000)
    ask("DeleteRecords", topics=[{"name": "none", "partitions": [{"partitionIndex": 0}]}], timeoutMs=5000)
    make_topic(ask, configs={"cleanup.policy": "compact"}, name=f"{ask.name}-compact")
    rows = [{"name": f"{ask.name}-compact", "partitions": [{"partitionIndex": 0, "offset": -1}]}]
    ask("DeleteRecords", topics=rows, timeoutMs=5000)
