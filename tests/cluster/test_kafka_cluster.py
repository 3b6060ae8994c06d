"""The fixture itself: leaders and coordinators move when their node is killed, and all is in sync when it is back."""

from __future__ import annotations

import pytest

from streams.transport.contract import TopicPartition, TopicSpec
from streams.transport.kafka import KafkaTransport
from streams.transport.kafka.connection import GROUP, TRANSACTION
from tests.cluster.kafka_cluster import KafkaCluster

pytestmark = pytest.mark.slow


async def test_a_killed_leader_is_replaced(three_brokers: KafkaCluster) -> None:
    transport = KafkaTransport(three_brokers.bootstrap)
    await transport.start()
    await transport.create([TopicSpec("flights", 3)])
    three_brokers.wait_until_in_sync()
    leader = three_brokers.leader("flights")
    with three_brokers.without(leader):
        three_brokers.wait_for(lambda: three_brokers.leader("flights") not in (-1, leader), "there is another leader")
        assert await transport.latest([TopicPartition("flights", 0)]) == {TopicPartition("flights", 0): 0}
    await transport.stop()


async def asked(transport: KafkaTransport, name: str, kind: int) -> int:
    transport.connection.forget()
    return await transport.connection.retry(lambda: transport.connection.coordinator(name, kind))


async def test_coordinators_are_found(three_brokers: KafkaCluster) -> None:
    transport = KafkaTransport(three_brokers.bootstrap)
    await transport.start()
    producer = transport.producer(transactional_id="shop-0")
    await producer.start()
    nodes = [await asked(transport, "shop-0", TRANSACTION), await asked(transport, "shop", GROUP)]
    assert nodes == [three_brokers.transaction_coordinator("shop-0"), three_brokers.group_coordinator("shop")]
    await producer.close()
    await transport.stop()
