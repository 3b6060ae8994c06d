"""The Kafka transport while answers are late, lost or errors: nothing is lost, nothing is doubled, what is not known is
said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

import broker_embedded
from broker_embedded import Fault, Listener, RunningBroker, errors, records
from streams.transport.committed import read_committed
from streams.transport.contract import (
    Committed,
    ConnectionLostError,
    GroupIdentity,
    Isolation,
    TopicPartition,
    TopicSpec,
    TransportError,
    UnknownOutcomeError,
    UnknownTopicError,
)
from streams.transport.error_codes import RetryError
from streams.transport.kafka import KafkaTransport

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR = 0, 1, 2, 3, 9, 10
CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, END_TXN = 19, 20, 22, 24, 25, 26
TXN_OFFSET_COMMIT, DESCRIBE_CONFIGS = 28, 32
EVERY_KEY = (
    *(PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR, CREATE_TOPICS, DELETE_TOPICS),
    *(INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT, DESCRIBE_CONFIGS),
)
_numbers = count()
SOME_KEYS = [pytest.param(key, marks=[] if at % 3 == 0 else pytest.mark.slow) for at, key in enumerate(EVERY_KEY)]
"""A lost answer is waited for until its time is over."""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningBroker]:
    with broker_embedded.running() as broker:
        asyncio.run(first_time(broker.bootstrap_servers))
        yield broker


async def first_time(address: str) -> None:
    """Broker and client load what they need when first asked, which takes longer than these tests wait."""
    transport = KafkaTransport(address)
    await transport.start()
    await transaction(transport)
    await transport.stop()


@pytest.fixture(autouse=True)
def no_faults_left(server: RunningBroker) -> Iterator[None]:
    yield
    server.faults().waiting.clear()


@pytest.fixture
async def patient(server: RunningBroker) -> AsyncIterator[KafkaTransport]:
    """Asks again soon, and for long."""
    transport = KafkaTransport(server.bootstrap_servers, request_timeout_ms=400)
    await transport.start()
    yield transport
    await transport.stop()


@pytest.fixture
async def hasty(server: RunningBroker) -> AsyncIterator[KafkaTransport]:
    """Gives up soon."""
    transport = KafkaTransport(server.bootstrap_servers, request_timeout_ms=400, retry_timeout_ms=500)
    await transport.start()
    yield transport
    await transport.stop()


def speak(transport: KafkaTransport, api_key: int) -> None:
    """Where a request is of the older protocol of transactions only, that one is spoken."""
    if api_key in (ADD_PARTITIONS, ADD_OFFSETS):
        older(transport)


def older(transport: KafkaTransport) -> None:
    async def feature(name: str) -> int:
        return 1

    transport.connection.feature = feature  # type: ignore[method-assign]


def lost(api_key: int, times: int = 1) -> Fault:
    """The request is handled, and its answer never comes."""
    return Fault(api_key, until=asyncio.Event(), after=True, times=times)


def code(error: str) -> int:
    return next(number for number, info in errors.ERRORS.items() if info.name == error)


def batch(*values: str) -> bytearray:
    return records.encode([None] * len(values), [value.encode() for value in values], [0] * len(values))


async def topic(transport: KafkaTransport) -> TopicPartition:
    tp = TopicPartition(f"faults-{next(_numbers)}", 0)
    await transport.create([TopicSpec(tp.topic, 1)])
    return tp


async def read(transport: KafkaTransport, tp: TopicPartition, isolation: Isolation = "read_committed") -> list[str]:
    position, end, values = 0, (await transport.latest([tp], isolation))[tp], []
    while position < end:
        for fetched in await transport.fetch({tp: position}, isolation=isolation):
            for _, data in read_committed(fetched):
                values += [(value or b"").decode() for value in records.decode(data).values()]
            position = fetched.next_offset
    return values


# Everything is done once


async def transaction(transport: KafkaTransport) -> None:
    """Topics, a transaction with two batches and offsets, and all of it read back."""
    tp = await topic(transport)
    producer = transport.producer(transactional_id=f"producer of {tp}")
    await producer.start()
    await producer.begin()
    await producer.send(tp, batch("a", "b"))
    await producer.send(tp, batch("c"))
    await producer.send_offsets(GroupIdentity(f"group of {tp}"), {tp: Committed(7, "note")})
    await producer.commit()
    await producer.begin()
    await producer.send(tp, batch("d"))
    await producer.commit()
    await producer.close()
    assert await read(transport, tp) == ["a", "b", "c", "d"]
    assert await transport.committed(f"group of {tp}", [tp]) == {tp: Committed(7, "note")}
    assert (await transport.describe([tp.topic]))[tp.topic].partitions == 1
    await transport.delete([tp.topic])
    assert await transport.describe([tp.topic]) == {}


@pytest.mark.parametrize("api_key", SOME_KEYS)
async def test_a_lost_answer(api_key: int, server: RunningBroker, patient: KafkaTransport) -> None:
    speak(patient, api_key)
    server.faults().add(lost(api_key))
    await transaction(patient)
    assert not server.faults().waiting


@pytest.mark.parametrize("api_key", EVERY_KEY)
async def test_a_late_answer(api_key: int, server: RunningBroker, patient: KafkaTransport) -> None:
    speak(patient, api_key)
    server.faults().add(Fault(api_key, delay_ms=20, times=2))
    await transaction(patient)


LEADER = (PRODUCE, FETCH, LIST_OFFSETS)
COORDINATOR = (OFFSET_FETCH, INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT)


@pytest.mark.parametrize(
    "after", [pytest.param(False, id="before"), pytest.param(True, id="after", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("api_key", "error"),
    [
        *((key, "NOT_LEADER_OR_FOLLOWER") for key in LEADER),
        *((key, "UNKNOWN_TOPIC_OR_PARTITION") for key in LEADER),
        *((key, "KAFKA_STORAGE_ERROR") for key in LEADER),
        *((key, "NOT_COORDINATOR") for key in COORDINATOR),
        *((key, "COORDINATOR_LOAD_IN_PROGRESS") for key in COORDINATOR),
        (FIND_COORDINATOR, "COORDINATOR_NOT_AVAILABLE"),
        *((key, "CONCURRENT_TRANSACTIONS") for key in (ADD_PARTITIONS, ADD_OFFSETS, INIT_PRODUCER_ID)),
        (PRODUCE, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"),
        (FETCH, "UNKNOWN_TOPIC_ID"),
        (CREATE_TOPICS, "NOT_CONTROLLER"),
        (DELETE_TOPICS, "REQUEST_TIMED_OUT"),
    ],
)
async def test_an_error_that_passes(
    api_key: int, error: str, after: bool, server: RunningBroker, patient: KafkaTransport
) -> None:
    speak(patient, api_key)
    server.faults().add(Fault(api_key, error=code(error), after=after, times=2))
    await transaction(patient)


@pytest.mark.parametrize("api_key", [PRODUCE, *COORDINATOR])
async def test_the_older_protocol_of_transactions(api_key: int, server: RunningBroker, patient: KafkaTransport) -> None:
    older(patient)
    server.faults().add(Fault(api_key, delay_ms=5))
    await transaction(patient)
    assert not server.faults().waiting


# Many batches


@pytest.mark.parametrize("fault", [None, "close", "lost", "NOT_LEADER_OR_FOLLOWER"])
@pytest.mark.parametrize("transactional", [True, False])
async def test_many_batches_under_way_are_there_once_and_in_order(
    fault: str | None, transactional: bool, server: RunningBroker, patient: KafkaTransport
) -> None:
    name = f"faults-{next(_numbers)}"
    await patient.create([TopicSpec(name, 3)])
    tps = [TopicPartition(name, index) for index in range(3)]
    producer = patient.producer(transactional_id=f"producer of {name}" if transactional else None)
    await producer.start()
    await (producer.begin() if transactional else asyncio.sleep(0))
    if fault == "lost":
        server.faults().add(lost(PRODUCE))
    elif fault == "close":
        server.faults().add(Fault(PRODUCE, after=True, close=True, times=2))
    elif fault is not None:
        server.faults().add(Fault(PRODUCE, error=code(fault), times=2))
    posted = [(tp, await producer.post(tp, batch(f"{n}", f"{n}b"))) for n in range(20) for tp in tps]
    offsets: dict[TopicPartition, list[int]] = {}
    for tp, answer in posted:
        offsets.setdefault(tp, []).append(await answer)
    await (producer.commit() if transactional else asyncio.sleep(0))
    for tp in tps:
        assert offsets[tp] == list(range(0, 40, 2))
        assert await read(patient, tp) == [value for n in range(20) for value in (f"{n}", f"{n}b")]


async def test_a_batch_that_is_refused_holds_up_no_other(patient: KafkaTransport) -> None:
    tp = await topic(patient)
    await patient.alter(tp.topic, {"max.message.bytes": "1000"})
    producer = patient.producer()
    await producer.start()
    large = batch("x" * 2000)
    answers = [await producer.post(tp, one) for one in (batch("a"), large, batch("b"), batch("c"))]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert isinstance(outcomes.pop(1), TransportError)
    assert outcomes == [0, 1, 2]
    assert await read(patient, tp) == ["a", "b", "c"]


@pytest.mark.parametrize("error", ["OUT_OF_ORDER_SEQUENCE_NUMBER", "UNKNOWN_PRODUCER_ID"])
async def test_numbers_that_the_broker_has_forgotten(
    error: str, server: RunningBroker, patient: KafkaTransport
) -> None:
    tp = await topic(patient)
    producer = patient.producer()
    await producer.start()
    assert await producer.send(tp, batch("a")) == 0
    server.faults().add(Fault(PRODUCE, error=code(error)))
    assert [await producer.send(tp, batch("b")), await producer.send(tp, batch("c"))] == [1, 2]
    assert await read(patient, tp) == ["a", "b", "c"]


# What is not known is said


async def test_the_next_batch_does_not_pass_for_one_in_doubt(server: RunningBroker, hasty: KafkaTransport) -> None:
    tp = await topic(hasty)
    producer = hasty.producer()
    await producer.start()
    await producer.send(tp, batch("a"))
    server.faults().add(lost(PRODUCE, times=100))
    with pytest.raises(ConnectionLostError, match="ProduceRequest to broker"):
        await producer.send(tp, batch("there"))
    server.faults().waiting.clear()
    assert await producer.send(tp, batch("next")) == 2
    assert await read(hasty, tp) == ["a", "there", "next"]


async def test_a_cancelled_batch_is_in_doubt(server: RunningBroker, patient: KafkaTransport) -> None:
    tp = await topic(patient)
    producer = patient.producer()
    await producer.start()
    server.faults().add(lost(PRODUCE))
    sending = asyncio.create_task(producer.send(tp, batch("there")))
    while not (await patient.latest([tp]))[tp]:
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await producer.send(tp, batch("next")) == 1
    assert await read(patient, tp) == ["there", "next"]


async def test_a_transaction_with_a_batch_in_doubt_can_only_be_aborted(
    server: RunningBroker, hasty: KafkaTransport
) -> None:
    tp = await topic(hasty)
    producer = hasty.producer(transactional_id=f"producer of {tp}")
    await producer.start()
    await producer.begin()
    server.faults().add(lost(PRODUCE, times=100))
    with pytest.raises(ConnectionLostError):
        await producer.send(tp, batch("lost"))
    server.faults().waiting.clear()
    for work in (producer.send(tp, batch("x")), producer.commit(), producer.begin()):
        with pytest.raises(TransportError, match=r"may be there or not.*abort it"):
            await work
    await producer.abort()
    await producer.begin()
    await producer.send(tp, batch("kept"))
    await producer.commit()
    assert await read(hasty, tp) == ["kept"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (lost(END_TXN, times=100), ["a"]),
        (Fault(END_TXN, error=code("CONCURRENT_TRANSACTIONS"), times=100), []),
        (Fault(END_TXN, error=code("NOT_COORDINATOR"), times=100), []),
    ],
    ids=["answer lost", "busy", "coordinator moves"],
)
async def test_a_commit_without_an_answer(
    fault: Fault, outcome: list[str], server: RunningBroker, hasty: KafkaTransport
) -> None:
    tp = await topic(hasty)
    producer = hasty.producer(transactional_id=f"producer of {tp}")
    await producer.start()
    await producer.begin()
    await producer.send(tp, batch("a"))
    server.faults().add(fault)
    with pytest.raises(UnknownOutcomeError, match=f"producer of {tp}"):
        await producer.commit()
    server.faults().waiting.clear()
    with pytest.raises(TransportError, match=r"in doubt about its last commit.*start it again"):
        await producer.begin()
    await producer.start()
    assert await read(hasty, tp) == outcome
    await producer.begin()
    await producer.send(tp, batch("b"))
    await producer.commit()
    assert await read(hasty, tp) == [*outcome, "b"]


@pytest.mark.parametrize("api_key", [METADATA, FETCH, LIST_OFFSETS])
async def test_an_error_that_does_not_pass_is_raised_in_the_end(
    api_key: int, server: RunningBroker, hasty: KafkaTransport
) -> None:
    tp = await topic(hasty)
    error = "NOT_LEADER_OR_FOLLOWER" if api_key != METADATA else "LEADER_NOT_AVAILABLE"
    server.faults().add(Fault(api_key, error=code(error), times=1000))
    hasty.connection.forget()
    with pytest.raises((RetryError, ConnectionLostError)):
        await (hasty.fetch({tp: 0}) if api_key == FETCH else hasty.latest([tp]))


async def test_a_topic_that_is_forbidden_is_not_called_missing(server: RunningBroker, hasty: KafkaTransport) -> None:
    tp = await topic(hasty)
    hasty.connection.forget()
    server.faults().add(Fault(METADATA, error=code("TOPIC_AUTHORIZATION_FAILED")))
    with pytest.raises(TransportError, match="TOPIC_AUTHORIZATION_FAILED") as caught:
        await hasty.latest([tp])
    assert not isinstance(caught.value, UnknownTopicError)


# Connections


async def test_a_fetch_that_is_given_up_holds_up_no_other(patient: KafkaTransport) -> None:
    tp = await topic(patient)
    waiting = asyncio.create_task(patient.fetch({tp: 0}, wait_ms=60_000))
    while not patient._fetcher.waiting:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    producer = patient.producer()
    await producer.start()
    await producer.send(tp, batch("a"))
    assert await read(patient, tp) == ["a"]


async def test_a_transport_that_is_stopped_says_so(server: RunningBroker) -> None:
    transport = KafkaTransport(server.bootstrap_servers)
    await transport.start()
    tp = await topic(transport)
    waiting = asyncio.create_task(transport.fetch({tp: 0}, wait_ms=60_000))
    while not transport._fetcher.waiting:
        await asyncio.sleep(0)
    await transport.stop()
    with pytest.raises(TransportError, match="is not started"):
        await waiting


async def test_a_broker_that_comes_back(tmp_path: Any) -> None:
    with broker_embedded.running(tmp_path) as first:
        port = first.broker.servers[0].port
        transport = KafkaTransport(first.bootstrap_servers)
        await transport.start()
        tp = await topic(transport)
        producer = transport.producer()
        await producer.start()
        await producer.send(tp, batch("a"))
    sending = asyncio.create_task(producer.send(tp, batch("b")))
    reading = asyncio.create_task(transport.fetch({tp: 0}))
    await asyncio.sleep(0)
    with broker_embedded.running(tmp_path, listeners=[Listener(port=port)]):
        assert await sending == 1
        assert (await reading)[0].next_offset >= 1
        assert await read(transport, tp) == ["a", "b"]
        await transport.stop()


async def test_another_cluster_at_the_same_address(server: RunningBroker) -> None:
    transport = KafkaTransport(server.bootstrap_servers, cluster_id="of the folder that was served here before")
    with pytest.raises(ConnectionLostError, match=f"at {server.bootstrap_servers} listens cluster .*, not of the f"):
        await transport.start()


async def test_what_aiokafka_says_of_retries_is_for_debuggers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        with pytest.raises(ConnectionLostError, match="Connect call failed"):
            await KafkaTransport("127.0.0.1:1").start()
        assert not caplog.records
        logging.getLogger("aiokafka").error("somebody else's")
    assert [record.getMessage() for record in caplog.records] == ["somebody else's"]
    with caplog.at_level(logging.DEBUG), pytest.raises(ConnectionLostError):
        await KafkaTransport("127.0.0.1:1").start()
    assert "Unable connect" in caplog.text
