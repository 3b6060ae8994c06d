"""Transactions, and what is told of them."""

from __future__ import annotations

from typing import Any

from tests.interop.diff.broker import Asked
from tests.interop.diff.messages import Row
from tests.interop.diff.steps import batch, find, make_topic, new_producer, produce, scenario


def begin(ask: Asked, timeout_ms: int = 10_000) -> Row:
    find(ask, ask.name, 1)

    def given(answer: Row) -> bool:
        return bool(answer["errorCode"] not in (14, 15, 51))

    version = None if ask.version <= 5 else 5
    return ask.until(given, "InitProducerId", version, transactionalId=ask.name, transactionTimeoutMs=timeout_ms)


def owner(ask: Asked, given: Row) -> Row:
    return {"transactionalId": ask.name, "producerId": given["producerId"], "producerEpoch": given["producerEpoch"]}


def add_partitions(ask: Asked, mine: Row, *topics: str, version: int | None = None) -> Row:
    rows = [{"name": topic, "partitions": [0]} for topic in topics]
    old = {"v3AndBelow" + key[0].upper() + key[1:]: value for key, value in mine.items()} | {"v3AndBelowTopics": rows}
    return ask("AddPartitionsToTxn", version=version, **old, transactions=[mine | {"topics": rows}])


@scenario("InitProducerId")
def init_producer_id(ask: Asked) -> None:
    first = begin(ask)
    begin(ask)
    ask("InitProducerId", transactionalId=ask.name, transactionTimeoutMs=0)
    ask("InitProducerId", transactionalId=ask.name, transactionTimeoutMs=10**9)
    ask("InitProducerId", transactionalId="", transactionTimeoutMs=1000)
    if ask.version >= 3:
        kept = {"transactionalId": ask.name, "transactionTimeoutMs": 1000, "producerId": first["producerId"]}
        ask("InitProducerId", **kept, producerEpoch=first["producerEpoch"])
        ask("InitProducerId", **kept, producerEpoch=first["producerEpoch"] + 1)
        ask("InitProducerId", **kept | {"producerId": 999_999}, producerEpoch=0)


@scenario("AddPartitionsToTxn")
def add_partitions_to_txn(ask: Asked) -> None:
    make_topic(ask)
    mine = owner(ask, begin(ask))
    add_partitions(ask, mine, f"{ask.name}-none")
    add_partitions(ask, mine, ask.name, f"{ask.name}-none")
    add_partitions(ask, mine, ask.name)
    add_partitions(ask, mine | {"producerEpoch": 99}, ask.name)
    add_partitions(ask, mine | {"producerId": 999_999}, ask.name)
    add_partitions(ask, mine | {"transactionalId": f"{ask.name}-none"}, ask.name)
    add_partitions(ask, mine | {"transactionalId": ""}, ask.name)
    ask("DescribeTransactions", transactionalIds=[ask.name, f"{ask.name}-none"])
    ask("EndTxn", **mine, committed=False, version=4)


@scenario("EndTxn")
def end_txn(ask: Asked) -> None:
    topic_id = make_topic(ask)
    given = begin(ask)
    mine = owner(ask, given)
    ask("EndTxn", **mine, committed=True)
    for committed in (True, False):
        if ask.version < 5:
            add_partitions(ask, mine, ask.name, version=3)
        producer = (mine["producerId"], mine["producerEpoch"], 0 if committed or ask.version >= 5 else 1)
        records = batch(b"v", producer=producer, transactional=True)
        produce(ask, topic_id, records, 11 if ask.version < 5 else None, transactionalId=ask.name)
        ended = ask("EndTxn", **mine, committed=committed)
        ask.until(lambda answer: answer["errorCode"] != 51, "EndTxn", **mine, committed=committed)
        if ask.version >= 5:
            mine |= {"producerId": ended["producerId"], "producerEpoch": ended["producerEpoch"]}
    ask("EndTxn", **mine | {"producerEpoch": 99}, committed=True)
    ask("EndTxn", **mine | {"producerId": 999_999}, committed=True)
    ask("EndTxn", **mine | {"transactionalId": f"{ask.name}-none"}, committed=True)
    ask.until(
        lambda answer: answer["responses"][0]["partitions"][0]["lastStableOffset"] == 4,
        "Fetch",
        maxWaitMs=0,
        maxBytes=1 << 20,
        isolationLevel=1,
        topics=[
            {"topicId": topic_id, "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}]}
        ],
    )


@scenario("TxnOffsetCommit")
def txn_offset_commit(ask: Asked) -> None:
    make_topic(ask)
    find(ask, ask.name)
    mine = owner(ask, begin(ask))
    if ask.version < 5:
        ask("AddOffsetsToTxn", **mine, groupId=ask.name)

    def commit(partition: Row | None = None, **fields: Any) -> None:
        row = {"partitionIndex": 0, "committedOffset": 5, "committedMetadata": "m"} | (partition or {})
        topics = [{"name": ask.name, "partitions": [row]}]
        ask("TxnOffsetCommit", **mine | {"groupId": ask.name, "topics": topics} | fields)

    commit()
    commit({"partitionIndex": 9})
    commit({"committedMetadata": "x" * 5000})
    commit(producerEpoch=99)
    commit(groupId="")
    if ask.version >= 3:
        commit(memberId="nobody", generationId=3)
    groups = [{"groupId": ask.name, "topics": None}]
    ask("OffsetFetch", version=8, groups=groups)
    ask("OffsetFetch", version=8, groups=groups, requireStable=True)
    ask("EndTxn", **mine, committed=True, version=4)

    def stable(answer: Row) -> bool:
        (group,) = answer["groups"]
        return bool(group["topics"] and group["topics"][0]["partitions"][0]["errorCode"] == 0)

    ask.until(stable, "OffsetFetch", version=8, groups=groups, requireStable=True)


@scenario("AddOffsetsToTxn")
def add_offsets_to_txn(ask: Asked) -> None:
    mine = owner(ask, begin(ask))
    for wrong in [{}, {"groupId": ""}, {"producerEpoch": 99}, {"transactionalId": f"{ask.name}-none"}]:
        ask("AddOffsetsToTxn", **mine | {"groupId": ask.name} | wrong)
    ask("EndTxn", **mine, committed=True, version=4)


@scenario("ListTransactions")
def list_transactions(ask: Asked) -> None:
    begin(ask)
    ask("ListTransactions", stateFilters=["nothing"])
    ask("ListTransactions", stateFilters=["Ongoing"])
    if ask.version >= 2:
        ask("ListTransactions", transactionalIdPattern=ask.name)
        ask("ListTransactions", transactionalIdPattern="(")


@scenario("DescribeTransactions")
def describe_transactions(ask: Asked) -> None:
    begin(ask)
    ask("DescribeTransactions", transactionalIds=[ask.name, f"{ask.name}-none", ""])


@scenario("DescribeProducers")
def describe_producers(ask: Asked) -> None:
    topic_id = make_topic(ask)
    given = new_producer(ask)
    produce(ask, topic_id, batch(b"v", producer=(given["producerId"], 0, 0)))
    ask("DescribeProducers", topics=[{"name": ask.name, "partitionIndexes": [0, 9]}])
    ask("DescribeProducers", topics=[{"name": "none", "partitionIndexes": [0]}])
