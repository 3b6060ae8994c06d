"""Transactions through the handlers: outcomes, fencing, timeouts, crashes at every step of a commit."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from broker_embedded.coordinator.transactions.states import State
from broker_embedded.errors import KafkaStorageError
from broker_embedded.faults import SimulatedCrash
from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.transactions import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
    InitProducerIdRequest,
)

INVALID_PRODUCER_EPOCH = 47
INVALID_TXN_STATE = 48
INVALID_PRODUCER_ID_MAPPING = 49
INVALID_TRANSACTION_TIMEOUT = 50
PRODUCER_FENCED = 90
TRANSACTION_ABORTABLE = 120
OLD = RequestContext(api_version=1)


def state(client: Any, transactional_id: str = "t") -> State:
    found: State = client.cluster.transactions.by_id[transactional_id].state
    return found


@pytest.fixture(autouse=True)
async def topic(client: Any) -> None:
    await client.create("flights", 3)


@pytest.mark.parametrize("commit", [True, False])
async def test_outcomes(client: Any, commit: bool) -> None:
    writer = await client.init()
    await client.produce("flights", "a", "b", writer=writer)
    await client.produce("flights", "c", partition=1, writer=writer)
    await client.send_offset(writer, "group", "flights", 7)
    assert client.cluster.log("flights", 0).last_stable_offset == 0
    assert await client.offsets("group") == {}
    assert await client.end(writer, commit) == 0
    assert client.read("flights") == (["a", "b"] if commit else [])
    assert client.read("flights", 1) == (["c"] if commit else [])
    assert client.read("flights", 2) == []
    assert await client.offsets("group") == ({("flights", 0): 7} if commit else {})
    assert client.cluster.log("flights", 0).last_stable_offset == 3
    assert client.cluster.log("flights", 2).log_end_offset == 0  # no marker where nothing was written


@pytest.mark.parametrize("commit", [True, False])
async def test_asked_twice_it_agrees(client: Any, commit: bool) -> None:
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    assert [await client.end(writer, commit) for _ in range(2)] == [0, 0]
    assert await client.end(writer, not commit) == INVALID_TXN_STATE
    assert client.cluster.log("flights", 0).log_end_offset == 2


async def test_unknown_producers(client: Any) -> None:
    writer = await client.init()
    stranger = type(writer)("nobody", writer.producer_id, 0)
    assert await client.end(stranger) == INVALID_PRODUCER_ID_MAPPING
    other = type(writer)("t", writer.producer_id + 1, 0)
    assert await client.end(other) == INVALID_PRODUCER_ID_MAPPING
    assert (await client.produce("flights", "a", writer=other)).error_code == INVALID_PRODUCER_ID_MAPPING


async def test_a_new_instance_shuts_the_old_one_out(client: Any) -> None:
    old = await client.init()
    await client.produce("flights", "lost", writer=old)
    await client.send_offset(old, "group", "flights", 1)
    new = await client.init()
    assert (new.producer_id, new.epoch) == (old.producer_id, old.epoch + 2)  # one to fence, one to begin with
    assert client.cluster.log("flights", 0).last_stable_offset == 2  # its transaction is over

    assert (await client.produce("flights", "zombie", writer=old)).error_code == INVALID_PRODUCER_EPOCH
    assert (await client.produce("flights", "zombie", partition=2, writer=old)).error_code == INVALID_PRODUCER_EPOCH
    assert await client.send_offset(old, "group", "flights", 9) == INVALID_PRODUCER_EPOCH
    assert await client.end(old) == PRODUCER_FENCED
    assert await client.end(old, context=OLD) == INVALID_PRODUCER_EPOCH

    await client.produce("flights", "kept", writer=new)
    assert await client.end(new) == 0
    assert client.read("flights") == ["kept"]
    assert await client.offsets("group") == {}


async def test_a_timeout_aborts_and_fences(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    writer = await client.init(transaction_timeout_ms=1000)
    await client.produce("flights", "lost", writer=writer)
    client.clock.now += 1000
    client.cluster.tick()
    assert state(client) is State.ONGOING
    client.clock.now += 1
    with caplog.at_level(logging.WARNING, "broker_embedded"):
        client.cluster.tick()
    assert "transaction of 't' is open for 1001 ms, its timeout is 1000 ms: aborted" in caplog.text
    assert state(client) is State.COMPLETE_ABORT
    assert (await client.produce("flights", "zombie", writer=writer)).error_code == INVALID_PRODUCER_EPOCH
    assert await client.end(writer) == PRODUCER_FENCED
    assert client.read("flights") == []


async def test_timeouts_are_bounded(client: Any) -> None:
    for timeout_ms in (0, 900_001):
        answer = await client.cluster.handle(InitProducerIdRequest("t", timeout_ms))
        assert answer.error_code == INVALID_TRANSACTION_TIMEOUT


async def test_the_same_instance_asks_again(client: Any) -> None:
    """KIP-360: with its producer id and epoch an instance gets a new epoch, and the same one when it retries."""
    first = await client.init()
    again = await client.init(producer_id=first.producer_id, producer_epoch=first.epoch)
    assert again.epoch == first.epoch + 1
    retried = await client.init(producer_id=first.producer_id, producer_epoch=first.epoch)
    assert retried.epoch == again.epoch
    await client.init()
    answer = await client.cluster.handle(
        InitProducerIdRequest("t", producer_id=first.producer_id, producer_epoch=again.epoch)
    )
    assert answer.error_code == PRODUCER_FENCED


async def test_epochs_run_out(client: Any) -> None:
    writer = await client.init()
    client.cluster.transactions.by_id["t"].producer_epoch = 32_765
    last = await client.init()
    assert (last.producer_id, last.epoch) == (writer.producer_id, 32_766)
    await client.produce("flights", "lost", writer=last)
    fresh = await client.init()  # the last epoch served to fence
    assert fresh.producer_id != writer.producer_id
    assert fresh.epoch == 1  # the abort took the id's last epoch and gave epoch 0 of the next id to nobody
    await client.produce("flights", "kept", writer=fresh)
    await client.end(fresh)
    assert client.read("flights") == ["kept"]


async def test_unused_ids_are_forgotten(folder: Any, client: Any) -> None:
    writer = await client.init()
    client.clock.now += client.cluster.config.transactional_id_expiration_ms
    client.cluster.tick()
    assert "t" in client.cluster.transactions.by_id
    client.clock.now += 1
    client.cluster.tick()
    assert await client.end(writer) == INVALID_PRODUCER_ID_MAPPING
    folder.kill()
    assert "t" not in folder.open().cluster.transactions.by_id


async def test_older_clients_add_partitions_first(client: Any) -> None:
    writer = await client.init()
    produce_11 = RequestContext(api_version=11)
    for version, code in ((10, INVALID_TXN_STATE), (11, TRANSACTION_ABORTABLE)):
        context = RequestContext(api_version=version)
        refused = await client.produce("flights", "a", writer=writer, context=context, sequence=0)
        assert refused.error_code == code
    topics = [AddPartitionsToTxnTopic("flights", [0, 1])]
    row = AddPartitionsToTxnTransaction("t", writer.producer_id, writer.epoch, topics=topics)
    answer = await client.cluster.handle(AddPartitionsToTxnRequest([row]), RequestContext(api_version=3))
    codes = [
        result.partition_error_code for result in answer.results_by_transaction[0].topic_results[0].results_by_partition
    ]
    assert codes == [0, 0]
    accepted = await client.produce("flights", "a", writer=writer, context=produce_11, sequence=0)
    assert accepted.error_code == 0
    await client.end(writer)
    assert client.read("flights") == ["a"]


async def test_adding_partitions_is_all_or_nothing(client: Any) -> None:
    writer = await client.init()
    topics = [AddPartitionsToTxnTopic("flights", [0, 9])]
    row = AddPartitionsToTxnTransaction("t", writer.producer_id, writer.epoch, topics=topics)
    answer = await client.cluster.handle(AddPartitionsToTxnRequest([row]))
    results = answer.results_by_transaction[0].topic_results[0].results_by_partition
    assert [(result.partition_index, result.partition_error_code) for result in results] == [(0, 55), (9, 3)]
    assert state(client) is State.EMPTY


async def test_a_repeated_batch_is_written_once(client: Any) -> None:
    writer = await client.init()
    first = await client.produce("flights", "a", writer=writer, sequence=0)
    again = await client.produce("flights", "a", writer=writer, sequence=0)
    assert (first.base_offset, again.base_offset, again.error_code) == (0, 0, 0)
    gap = await client.produce("flights", "c", writer=writer, sequence=5)
    assert gap.error_code == 45  # OUT_OF_ORDER_SEQUENCE_NUMBER
    await client.end(writer)
    assert client.read("flights") == ["a"]


async def test_an_open_transaction_outlives_a_restart(folder: Any, client: Any) -> None:
    """Its producer goes on; partitions it joined without a word in the coordinator's log are found again."""
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    await client.produce("flights", "b", partition=1, writer=writer)
    await client.send_offset(writer, "group", "flights", 7)
    folder.kill()
    again = folder.open()
    assert state(again) is State.ONGOING
    assert again.cluster.transactions.by_id["t"].partitions == {
        ("flights", 0),
        ("flights", 1),
        ("__consumer_offsets", 0),
    }
    await again.produce("flights", "c", writer=writer)
    assert await again.end(writer) == 0
    assert (again.read("flights"), again.read("flights", 1)) == (["a", "c"], ["b"])
    assert await again.offsets("group") == {("flights", 0): 7}


async def test_a_clean_close_writes_all_partitions_down(folder: Any, client: Any) -> None:
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    await client.produce("flights", "b", partition=1, writer=writer)
    await client.cluster.close()
    again = folder.open()
    assert again.cluster.transactions.by_id["t"].partitions == {("flights", 0), ("flights", 1)}
    assert await again.end(writer) == 0


async def test_a_transaction_of_nobody_is_aborted(folder: Any, client: Any, caplog: pytest.LogCaptureFixture) -> None:
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    folder.kill()
    for file in (folder.path / "__transaction_state-0").glob("*.log"):
        file.write_bytes(b"")
    with caplog.at_level(logging.WARNING, "broker_embedded"):
        again = folder.open()
    assert "flights-0: the open transaction of producer 0 is nobody's: aborted" in caplog.text
    await again.produce("flights", "later")
    assert again.read("flights") == ["later"]
    assert again.cluster.log("flights", 0).last_stable_offset == 3


# A commit over two partitions and an offset writes: PrepareCommit, three markers, CompleteCommit.
@pytest.mark.parametrize("writes", range(6))
@pytest.mark.parametrize("sync_on_commit", [False, True])
async def test_a_crash_at_every_step_of_a_commit(folder: Any, fail_at: Any, writes: int, sync_on_commit: bool) -> None:
    folder.kill()
    before = folder.open(sync_on_commit=sync_on_commit)
    await before.create("flights", 3)
    writer = await before.init()
    await before.produce("flights", "a", writer=writer)
    await before.produce("flights", "b", partition=1, writer=writer)
    await before.send_offset(writer, "group", "flights", 1)
    with fail_at(writes, SimulatedCrash()) as fail:
        if writes < 5:
            with pytest.raises(SimulatedCrash):
                await before.end(writer)
        else:
            assert await before.end(writer) == 0
        assert fail.left == 0
    folder.kill()

    after = folder.open()
    decided = writes >= 1
    assert state(after) is (State.COMPLETE_COMMIT if decided else State.ONGOING)
    await after.init()
    assert (after.read("flights"), after.read("flights", 1)) == ((["a"], ["b"]) if decided else ([], []))
    assert await after.offsets("group") == ({("flights", 0): 1} if decided else {})
    markers = [
        after.cluster.log(*tp).log_end_offset for tp in (("flights", 0), ("flights", 1), ("__consumer_offsets", 0))
    ]
    assert markers == [2, 2, 2]  # one record and one marker each: none was written twice


@pytest.mark.parametrize("writes", range(5))
async def test_a_full_disk_in_mid_commit_is_made_good(client: Any, fail_at: Any, writes: int) -> None:
    writer = await client.init()
    await client.produce("flights", "a", writer=writer)
    await client.produce("flights", "b", partition=1, writer=writer)
    await client.send_offset(writer, "group", "flights", 1)
    with fail_at(writes, KafkaStorageError("no space left on device")):
        assert await client.end(writer) == KafkaStorageError.info.code
    assert await client.end(writer) == 0
    assert (client.read("flights"), client.read("flights", 1)) == (["a"], ["b"])
    assert await client.offsets("group") == {("flights", 0): 1}
    assert state(client) is State.COMPLETE_COMMIT
