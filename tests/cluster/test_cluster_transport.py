"""The transport on Apache Kafka of one broker and of three, whose leaders and coordinators are killed on the way:
nothing is lost, nothing is doubled, what is not known is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest

from broker_embedded import records
from streams.testing.transport import CHECKS, Check, run_check
from streams.transport.committed import read_committed
from streams.transport.contract import (
    Committed,
    FencedError,
    GroupIdentity,
    Producer,
    TopicPartition,
    TopicSpec,
    TransportError,
    UnknownOutcomeError,
)
from streams.transport.kafka import KafkaTransport
from tests.cluster.kafka_cluster import KafkaCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_numbers = count()
_ROUNDS = 60


@pytest.fixture(params=["one_broker", "three_brokers"])
def cluster(request: pytest.FixtureRequest) -> KafkaCluster:
    found: KafkaCluster = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, cluster: KafkaCluster) -> None:
    await run_check(check, lambda: KafkaTransport(cluster.bootstrap))


@pytest.fixture
async def transport(three_brokers: KafkaCluster) -> AsyncIterator[KafkaTransport]:
    """Asks again for long, and does not wait for the dead."""
    transport = KafkaTransport(three_brokers.bootstrap, request_timeout_ms=10_000)
    await transport.start()
    yield transport
    await transport.stop()


def batch(*values: str) -> bytearray:
    return records.encode([None] * len(values), [value.encode() for value in values], [0] * len(values))


async def topic(transport: KafkaTransport, partitions: int = 3) -> list[TopicPartition]:
    name = f"moving-{next(_numbers)}"
    await transport.create([TopicSpec(name, partitions, {"retention.ms": "-1"})])
    info = (await transport.describe([name]))[name]
    assert info.replication_factor == 3
    return [TopicPartition(name, index) for index in range(partitions)]


async def read(transport: KafkaTransport, tp: TopicPartition) -> list[str]:
    """All that is committed, once nothing of the partition is undecided."""
    end = (await transport.latest([tp], "read_uncommitted"))[tp]
    position, values = 0, []
    while position < end:
        for fetched in await transport.fetch({tp: position}, wait_ms=1_000):
            for _, data in read_committed(fetched):
                values += [(value or b"").decode() for value in records.decode(data).values()]
            position = fetched.next_offset
    return values


@asynccontextmanager
async def away(cluster: KafkaCluster, node: int) -> AsyncIterator[None]:
    """A node is killed, and is back and in sync behind the block."""
    await asyncio.to_thread(cluster.kill, node)
    try:
        yield
    finally:
        await asyncio.to_thread(cluster.restart, node)
        await asyncio.to_thread(cluster.wait_until_in_sync)


# Leaders


@pytest.mark.parametrize("transactional", [True, False])
async def test_a_leader_dies_under_many_batches(
    transactional: bool, three_brokers: KafkaCluster, transport: KafkaTransport
) -> None:
    tps = await topic(transport)
    producer = transport.producer(transactional_id=f"writer of {tps[0]}" if transactional else None)
    await producer.start()
    leader = await asyncio.to_thread(three_brokers.leader, tps[0].topic)
    sent: dict[TopicPartition, list[str]] = {tp: [] for tp in tps}

    async def rounds(first: int) -> None:
        await (producer.begin() if transactional else asyncio.sleep(0))
        answers = []
        for number in range(first, first + _ROUNDS):
            for tp in tps:
                answers.append(await producer.post(tp, batch(f"{number}", f"{number}b")))
                sent[tp] += [f"{number}", f"{number}b"]
            await asyncio.sleep(0.01)
        await asyncio.gather(*answers)
        await (producer.commit() if transactional else asyncio.sleep(0))

    writing = asyncio.create_task(rounds(0))
    await asyncio.sleep(0.1)
    async with away(three_brokers, leader):
        await writing
        await rounds(_ROUNDS)
    for tp in tps:
        assert await read(transport, tp) == sent[tp]
    await producer.close()


async def test_a_leader_dies_under_a_reader(three_brokers: KafkaCluster, transport: KafkaTransport) -> None:
    (tp,) = await topic(transport, 1)
    producer = transport.producer()
    await producer.start()
    leader = await asyncio.to_thread(three_brokers.leader, tp.topic)
    found: list[str] = []

    async def follow() -> None:
        position = 0
        while len(found) < _ROUNDS:
            for fetched in await transport.fetch({tp: position}, wait_ms=500):
                for _, data in read_committed(fetched):
                    found.extend((value or b"").decode() for value in records.decode(data).values())
                position = fetched.next_offset

    reading = asyncio.create_task(follow())
    async with away(three_brokers, leader):
        for number in range(_ROUNDS):
            await producer.send(tp, batch(str(number)))
        await reading
    assert found == [str(number) for number in range(_ROUNDS)]
    await producer.close()


async def test_a_frozen_leader_holds_up_nobody_else(three_brokers: KafkaCluster, transport: KafkaTransport) -> None:
    tps = await topic(transport, 6)
    producer = transport.producer()
    await producer.start()
    leaders = {tp: await asyncio.to_thread(three_brokers.leader, tp.topic, tp.partition) for tp in tps}
    frozen = leaders[tps[0]]
    others = [tp for tp in tps if leaders[tp] != frozen]
    await transport.fetch(dict.fromkeys(tps, 0))
    reading = asyncio.create_task(transport.fetch(dict.fromkeys(tps, 0), wait_ms=30_000))
    await asyncio.sleep(0.1)
    three_brokers.freeze(frozen)
    try:
        async with asyncio.timeout(8):
            assert others
            await producer.send(others[0], batch("a"))
            (fetched,) = await reading
            assert fetched.tp == others[0]
    finally:
        three_brokers.thaw(frozen)
    await asyncio.to_thread(three_brokers.wait_until_in_sync)
    await producer.close()


# Coordinators

Step = Callable[[Producer, TopicPartition, str], Awaitable[object]]
STEPS: dict[str, Step] = {
    "begin": lambda producer, tp, group: producer.begin(),
    "send": lambda producer, tp, group: producer.send(tp, batch("a", "b")),
    "offsets": lambda producer, tp, group: producer.send_offsets(GroupIdentity(group), {tp: Committed(7)}),
    "commit": lambda producer, tp, group: producer.commit(),
}


@pytest.mark.parametrize("before", STEPS)
async def test_the_coordinator_of_a_transaction_dies(
    before: str, three_brokers: KafkaCluster, transport: KafkaTransport
) -> None:
    """It is another broker's before each step in turn: the transaction goes on there."""
    (tp,) = await topic(transport, 1)
    name, group = f"writer of {tp}", f"group of {tp}"
    producer = transport.producer(transactional_id=name)
    await producer.start()
    node = await asyncio.to_thread(three_brokers.transaction_coordinator, name)
    for step in STEPS:
        if step == before:
            async with away(three_brokers, node):
                await STEPS[step](producer, tp, group)
        else:
            await STEPS[step](producer, tp, group)
    assert await read(transport, tp) == ["a", "b"]
    assert await transport.committed(group, [tp]) == {tp: Committed(7)}
    await producer.begin()
    await producer.send(tp, batch("c"))
    await producer.commit()
    assert await read(transport, tp) == ["a", "b", "c"]
    await producer.close()


async def test_a_commit_whose_answer_does_not_come(three_brokers: KafkaCluster, transport: KafkaTransport) -> None:
    (tp,) = await topic(transport, 1)
    name = f"writer of {tp}"
    hasty = KafkaTransport(three_brokers.bootstrap, request_timeout_ms=1_000, retry_timeout_ms=1_500)
    await hasty.start()
    producer = hasty.producer(transactional_id=name)
    await producer.start()
    await producer.begin()
    await producer.send(tp, batch("a"))
    node = await asyncio.to_thread(three_brokers.transaction_coordinator, name)
    three_brokers.freeze(node)
    try:
        with pytest.raises(UnknownOutcomeError, match=name):
            await producer.commit()
        with pytest.raises(TransportError, match="start it again"):
            await producer.begin()
    finally:
        three_brokers.thaw(node)
    await hasty.stop()
    again = transport.producer(transactional_id=name)
    await again.start()
    settled = await read(transport, tp)
    assert settled in ([], ["a"])
    await again.begin()
    await again.send(tp, batch("b"))
    await again.commit()
    assert await read(transport, tp) == [*settled, "b"]
    await again.close()
    await asyncio.to_thread(three_brokers.wait_until_in_sync)


async def test_a_restarted_producer_ends_what_was_open_and_fences(
    three_brokers: KafkaCluster, transport: KafkaTransport
) -> None:
    (tp,) = await topic(transport, 1)
    name, group = f"writer of {tp}", f"group of {tp}"
    old = transport.producer(transactional_id=name)
    await old.start()
    await old.begin()
    await old.send(tp, batch("lost"))
    await old.send_offsets(GroupIdentity(group), {tp: Committed(1)})
    node = await asyncio.to_thread(three_brokers.transaction_coordinator, name)
    async with away(three_brokers, node):
        new = transport.producer(transactional_id=name)
        await new.start()
        for work in (
            old.send(tp, batch("x")),
            old.send_offsets(GroupIdentity(group), {tp: Committed(9)}),
            old.commit(),
        ):
            with pytest.raises(FencedError):
                await work
        await new.begin()
        await new.send(tp, batch("kept"))
        await new.commit()
    assert await read(transport, tp) == ["kept"]
    assert await transport.committed(group, [tp]) == {tp: None}
    await new.close()


# Topics


async def test_more_replicas_than_brokers(three_brokers: KafkaCluster, transport: KafkaTransport) -> None:
    with pytest.raises(TransportError, match=r"fewer brokers than the topic is to have replicas.*replication_factor="):
        await transport.create([TopicSpec("too-many", 1, {}, 5)])
