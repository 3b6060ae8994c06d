"""Transactions by version of the request: errors a version knows, epochs handed out, retries (KIP-588, KIP-890)."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.coordinator.transactions.log import EPOCH_MAX
from broker_embedded.coordinator.transactions.states import State
from broker_embedded.faults import SimulatedCrash
from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.transactions import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
    DescribeProducersRequest,
    DescribeProducersTopicRequest,
    DescribeTransactionsRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    ListTransactionsRequest,
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)

INVALID_REQUEST, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING = 42, 47, 48, 49
PRODUCER_FENCED, TRANSACTION_ABORTABLE = 90, 120
PRODUCE, END = RequestContext(12), RequestContext(5)


async def end(client: Any, writer: Any, commit: bool = True, version: int = 5, **changes: Any) -> tuple[int, int, int]:
    fields = {"producer_id": writer.producer_id, "producer_epoch": writer.epoch} | changes
    request = EndTxnRequest("t", committed=commit, **fields)
    answer = await client.cluster.handle(request, RequestContext(version))
    return answer.error_code, answer.producer_id, answer.producer_epoch


async def write(client: Any, writer: Any, value: str = "a", context: RequestContext = PRODUCE, **fields: Any) -> int:
    answer = await client.produce("flights", value, writer=writer, context=context, **fields)
    code: int = answer.error_code
    return code


@pytest.fixture(autouse=True)
async def topic(client: Any) -> None:
    await client.create("flights", 3)


@pytest.fixture
async def writer(client: Any) -> Any:
    return await client.init()


# Errors that a version does not know


@pytest.mark.parametrize("version", range(6))
async def test_init_producer_id(client: Any, writer: Any, version: int) -> None:
    await client.init()
    fields = {"producer_id": writer.producer_id, "producer_epoch": writer.epoch} if version >= 3 else {}
    answer = await client.cluster.handle(InitProducerIdRequest("t", **fields), RequestContext(version))
    expected = 0 if version < 3 else INVALID_PRODUCER_EPOCH if version == 3 else PRODUCER_FENCED
    assert answer.error_code == expected


@pytest.mark.parametrize("version", range(6))
async def test_a_stale_epoch(client: Any, writer: Any, version: int) -> None:
    await client.init()
    coordinator = INVALID_PRODUCER_EPOCH if version < 2 else PRODUCER_FENCED
    assert (await end(client, writer, version=version))[0] == coordinator
    assert await client.add(writer, "flights", 0, version=min(version, 3)) == [coordinator]
    assert await client.add_offsets(writer, "g", version=min(version, 4)) == coordinator
    context = RequestContext(version)
    offsets = await client.send_offset(writer, "g", "flights", 1, context=context)
    assert offsets == INVALID_PRODUCER_EPOCH


@pytest.mark.parametrize(
    ("version", "code"),
    [(3, INVALID_TXN_STATE), (10, INVALID_TXN_STATE), (11, TRANSACTION_ABORTABLE), (12, 0), (13, 0)],
)
async def test_produce_without_adding(client: Any, writer: Any, version: int, code: int) -> None:
    assert await write(client, writer, context=RequestContext(version)) == code


@pytest.mark.parametrize(
    ("version", "code"), [(0, INVALID_TXN_STATE), (3, INVALID_TXN_STATE), (4, TRANSACTION_ABORTABLE), (5, 0)]
)
async def test_offsets_without_adding(client: Any, writer: Any, version: int, code: int) -> None:
    assert await client.send_offset(writer, "g", "flights", 1, context=RequestContext(version)) == code
    assert await client.add_offsets(writer, "g") == 0
    assert await client.send_offset(writer, "g", "flights", 1, context=RequestContext(version)) == 0


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ({}, 0),
        ({"generation_id": 3}, 22),  # ILLEGAL_GENERATION: nobody knows the group
        ({"member_id": "m", "generation_id": 3}, 22),
    ],
)
async def test_offsets_of_a_member(client: Any, writer: Any, member: dict[str, Any], code: int) -> None:
    assert await client.send_offset(writer, "g", "flights", 1, context=RequestContext(3), **member) == (
        INVALID_TXN_STATE  # the transaction is looked at first
    )
    assert await client.send_offset(writer, "g", "flights", 1, context=RequestContext(5), **member) == code


async def test_a_new_producer_begins_at_sequence_0(client: Any, writer: Any) -> None:
    """Since KIP-890: what it says it wrote before is not there. Before, it may have been deleted."""
    assert await write(client, writer, sequence=5) == 45  # OUT_OF_ORDER_SEQUENCE_NUMBER
    await client.add(writer, "flights", 1)
    assert await write(client, writer, partition=1, sequence=5, context=RequestContext(9)) == 0


async def test_verifying_only(client: Any, writer: Any) -> None:
    await client.add(writer, "flights", 0)
    topics = [AddPartitionsToTxnTopic("flights", [0, 1])]
    row = AddPartitionsToTxnTransaction("t", writer.producer_id, writer.epoch, True, topics)
    answer = await client.cluster.handle(AddPartitionsToTxnRequest([row]), RequestContext(5))
    found = answer.results_by_transaction[0].topic_results[0].results_by_partition
    assert [result.partition_error_code for result in found] == [0, TRANSACTION_ABORTABLE]


async def test_id_and_epoch_come_together(client: Any, writer: Any) -> None:
    for fields in ({"producer_id": 1}, {"producer_epoch": 1}):
        assert (await client.cluster.handle(InitProducerIdRequest("t", **fields))).error_code == INVALID_REQUEST


async def test_an_empty_id(client: Any, writer: Any) -> None:
    nobody = type(writer)("", writer.producer_id, writer.epoch)
    assert (await client.cluster.handle(InitProducerIdRequest(""))).error_code == INVALID_REQUEST
    assert await client.end(nobody) == INVALID_REQUEST
    assert await client.add(nobody, "flights", 0) == [INVALID_REQUEST]


# The state after a last transaction, the epoch of EndTxn relative to the present one, its outcome, and the answer


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("retry", [True, False])
@pytest.mark.parametrize("last", [None, True, False])
async def test_end_when_nothing_is_open(
    client: Any, writer: Any, version: int, last: bool | None, retry: bool, commit: bool
) -> None:
    if last is not None:
        await write(client, writer)
        await client.end(writer, last, END)
    found = await end(client, writer, commit, version, producer_epoch=writer.epoch - retry)
    present = (0, writer.producer_id, writer.epoch)
    if version < 5:
        expected = PRODUCER_FENCED if retry else INVALID_TXN_STATE if last is not commit else present
    elif retry:
        expected = PRODUCER_FENCED if last is None else present if last is commit else INVALID_TXN_STATE
    else:
        expected = INVALID_TXN_STATE if commit else (0, writer.producer_id, writer.epoch + 1)
    assert found == (expected if isinstance(expected, tuple) else (expected, -1, -1))


async def test_each_end_hands_out_an_epoch(client: Any, writer: Any) -> None:
    for n, commit in enumerate([True, False, True]):
        assert await write(client, writer, f"v{n}") == 0
        before = writer.epoch
        assert await client.end(writer, commit, END) == 0
        assert writer.epoch == before + 1
        late = type(writer)("t", writer.producer_id, before)
        assert await write(client, late) == INVALID_PRODUCER_EPOCH
    assert client.read("flights") == ["v0", "v2"]


async def test_a_retry_during_the_next_transaction_is_fenced(client: Any, writer: Any) -> None:
    await write(client, writer)
    await client.end(writer, True, END)
    await write(client, writer)
    assert (await end(client, writer, producer_epoch=writer.epoch - 1))[0] == PRODUCER_FENCED


@pytest.mark.parametrize("commit", [True, False])
async def test_the_last_epoch_gives_way_to_a_new_id(folder: Any, client: Any, commit: bool) -> None:
    await client.init()
    client.cluster.transactions.by_id["t"].producer_epoch = 32_765
    writer = await client.init()
    assert writer.epoch == 32_766
    await write(client, writer)
    before = (writer.producer_id, writer.epoch)
    assert await client.end(writer, commit, END) == 0
    assert (writer.producer_id != before[0], writer.epoch) == (True, 0)
    old = {"producer_id": before[0], "producer_epoch": before[1]}
    folder.kill()
    client = folder.open()
    assert await end(client, writer, commit, **old) == (0, writer.producer_id, 0)
    assert (await end(client, writer, not commit, **old))[0] == INVALID_TXN_STATE
    await write(client, writer, "b")
    assert await client.end(writer, True, END) == 0
    assert client.read("flights") == (["a", "b"] if commit else ["b"])
    assert (await end(client, writer, commit, **old))[0] == INVALID_PRODUCER_ID_MAPPING


async def test_after_a_timeout(client: Any) -> None:
    """The zombie is shut out; if it asks as the same instance, or aborts, it goes on with the next epoch (KIP-890)."""
    writer = await client.init(transaction_timeout_ms=1000)
    await write(client, writer)
    client.clock.now += 1001
    client.cluster.tick()
    assert await write(client, writer) == INVALID_PRODUCER_EPOCH
    assert (await end(client, writer, version=3))[0] == PRODUCER_FENCED
    assert (await end(client, writer, True))[0] == INVALID_TXN_STATE
    assert await end(client, writer, False) == (0, writer.producer_id, writer.epoch + 1)
    again = await client.init(producer_id=writer.producer_id, producer_epoch=writer.epoch)
    assert (again.producer_id, again.epoch) == (writer.producer_id, writer.epoch + 1)


async def test_partitions_added_survive_a_kill(folder: Any, client: Any, writer: Any) -> None:
    assert await client.add(writer, "flights", 0) == [0]
    assert await client.add(writer, "flights", 2) == [0]
    folder.kill()
    again = folder.open()
    assert await write(again, writer, partition=2, context=RequestContext(9)) == 0
    assert await again.end(writer, True, RequestContext(3)) == 0
    assert again.read("flights", 2) == ["a"]


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("writes", range(4))
async def test_a_crash_in_mid_commit(
    folder: Any, fail_at: Any, client: Any, writer: Any, version: int, writes: int
) -> None:
    await client.add(writer, "flights", 0, 1)
    await write(client, writer)
    await write(client, writer, "b", partition=1)
    with fail_at(writes, SimulatedCrash()), pytest.raises(SimulatedCrash):
        await end(client, writer, version=version)
    folder.kill()
    again = folder.open()
    committed = [["a"], ["b"]] if writes else [[], []]
    assert [again.read("flights", index) for index in (0, 1)] == committed
    assert await again.end(writer, True, RequestContext(version)) == 0
    assert [again.read("flights", index) for index in (0, 1)] == [["a"], ["b"]]
    assert await write(again, writer, "c") == 0


# What admins ask


async def test_describing_transactions(client: Any, writer: Any) -> None:
    await client.add(writer, "flights", 2, 0)
    answer = await client.cluster.handle(DescribeTransactionsRequest(["t", "nobody", ""]))
    row = answer.transaction_states[0]
    assert (row.transaction_state, row.producer_id, row.producer_epoch) == ("Ongoing", writer.producer_id, 0)
    assert (row.transaction_timeout_ms, row.transaction_start_time_ms) == (60_000, client.clock.now)
    assert [(topic.topic, topic.partitions) for topic in row.topics] == [("flights", [0, 2])]
    assert [row.error_code for row in answer.transaction_states] == [0, 105, INVALID_REQUEST]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["t", "u"]),
        ({"state_filters": ["Ongoing"]}, ["t"]),
        ({"state_filters": ["Ongoing", "Empty"]}, ["t", "u"]),
        ({"state_filters": ["Unheard"]}, []),
        ({"producer_id_filters": [1]}, ["u"]),
        ({"duration_filter": 1000, "state_filters": ["Ongoing"]}, []),
        ({"duration_filter": 999, "state_filters": ["Ongoing"]}, ["t"]),
        ({"transactional_id_pattern": "[a-t]"}, ["t"]),
        ({"transactional_id_pattern": ""}, ["t", "u"]),
        ({"transactional_id_pattern": "("}, 128),  # INVALID_REGULAR_EXPRESSION
    ],
)
async def test_listing_transactions(client: Any, writer: Any, filters: dict[str, Any], found: Any) -> None:
    await client.init("u")
    await write(client, writer)
    client.clock.now += 1000
    answer = await client.cluster.handle(ListTransactionsRequest(**filters))
    ids = sorted(row.transactional_id for row in answer.transaction_states)
    assert (answer.error_code or ids) == found
    assert answer.unknown_state_filters == [name for name in filters.get("state_filters", []) if name == "Unheard"]


async def test_describing_producers(client: Any, writer: Any) -> None:
    await write(client, writer)
    await write(client, writer)
    rows = [DescribeProducersTopicRequest("flights", [0, 1, 9])]
    answer = await client.cluster.handle(DescribeProducersRequest(rows))
    first, second, missing = answer.topics[0].partitions
    (producer,) = first.active_producers
    assert (producer.producer_id, producer.producer_epoch, producer.last_sequence) == (writer.producer_id, 0, 1)
    assert (producer.current_txn_start_offset, producer.last_timestamp) == (0, client.clock.now)
    assert (second.active_producers, missing.error_code) == ([], 3)


@pytest.mark.parametrize(
    ("epoch", "transaction_version", "code"), [(-1, 0, 47), (0, 0, 0), (1, 0, 0), (0, 2, 47), (1, 2, 0)]
)
async def test_markers_without_the_coordinator(
    client: Any, writer: Any, epoch: int, transaction_version: int, code: int
) -> None:
    await write(client, writer)
    topics = [WritableTxnMarkerTopic("flights", [0, 9])]
    marker = WritableTxnMarker(writer.producer_id, epoch, False, topics, transaction_version=transaction_version)
    for _ in range(2):  # again is fine
        answer = await client.cluster.handle(WriteTxnMarkersRequest([marker]))
        assert [row.error_code for row in answer.markers[0].topics[0].partitions] == [code, 3]
    assert client.cluster.log("flights", 0).last_stable_offset == (0 if code else 3)


async def test_a_marker_of_another_coordinator_stands_in_nobodys_way(client: Any, writer: Any) -> None:
    await write(client, writer)
    topics = [WritableTxnMarkerTopic("flights", [0])]
    marker = WritableTxnMarker(writer.producer_id, writer.epoch, False, topics, coordinator_epoch=1000)
    await client.cluster.handle(WriteTxnMarkersRequest([marker]))
    await write(client, writer)
    assert await client.end(writer) == 0
    assert client.cluster.log("flights", 0).open_transactions() == {}


def test_states_are_named_as_kafka_does() -> None:
    assert [state.title for state in State] == [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ]


async def test_the_last_epoch_is_given_up_once(client: Any) -> None:
    """An open transaction takes the last epoch when it is aborted; the retry gets the new producer id again."""
    writer = await client.init("t")
    client.cluster.transactions.by_id["t"].producer_epoch = writer.epoch = EPOCH_MAX - 1
    await client.produce("flights", "a", writer=writer)
    had = {"producer_id": writer.producer_id, "producer_epoch": writer.epoch}
    first, second = [await client.init("t", **had) for _ in range(2)]
    assert (first.producer_id, first.epoch) == (second.producer_id, second.epoch)
    assert first.producer_id != writer.producer_id
