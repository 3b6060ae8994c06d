"""Our own client, the same steps on our broker over a socket and on Apache Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.admin import Acl
from streams.client import Client
from streams.errors import DecodeError
from streams.testing.transport import CHECKS, Check, run_check
from streams.transport.contract import ConnectionLostError, TopicPartition, TransportError, UnknownTopicError
from streams.transport.kafka import KafkaTransport
from tests.interop.targets import Broker, running_broker

NewName = Callable[[str], str]


class Order(streams.Record):
    item: str
    price: float


@pytest.fixture
async def client(target: Broker) -> AsyncIterator[Client]:
    async with Client(f"kafka://{target.bootstrap}") as opened:
        yield opened


@pytest.fixture
async def topic(client: Client, new_name: NewName) -> str:
    name = new_name("our-client")
    await client.admin.create_topic(name, partitions=2, retention="forever")
    return name


async def take(records: Any, number: int) -> list[Any]:
    return [await anext(records) for _ in range(number)]


async def until(ask: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Ask until the broker has heard of it: in Kafka the controller answers before the brokers know."""
    while await ask() != expected:
        await asyncio.sleep(0)


async def values(client: Client, topic: str, **options: Any) -> list[Any]:
    return [record.value async for record in client.read(topic, **options)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, target: Broker) -> None:
    await run_check(check, lambda: KafkaTransport(target.bootstrap))


# Sending and reading


async def test_records_come_back(client: Client, topic: str) -> None:
    sent = await client.send(topic, key=b"k", value=b"v", timestamp=7, headers=[("h", b"1"), ("n", None)], partition=1)
    assert sent == (topic, 1, 0)
    (record,) = [record async for record in client.read(topic)]
    assert record == (b"k", b"v", 7, [("h", b"1"), ("n", None)], topic, 1, 0)


async def test_many_records(client: Client, topic: str, new_name: NewName) -> None:
    rows = [(f"k{number % 7}".encode(), str(number).encode()) for number in range(5_000)]
    sent = await client.send_many(topic, rows)
    assert len(set(sent)) == 5_000
    found = [(record.key, record.value) async for record in client.read(topic)]
    assert sorted(found) == sorted(rows)
    for key in {key for key, _ in rows}:
        assert [row for row in found if row[0] == key] == [row for row in rows if row[0] == key]


async def test_where_reading_begins(client: Client, topic: str) -> None:
    for number in range(4):
        await client.send(topic, value=b"%d" % number, partition=0, timestamp=1_700_000_000_000 + 1_000 * number)
    assert await values(client, topic, start=2) == [b"2", b"3"]
    assert await values(client, topic, start="2023-11-14T22:13:23") == [b"3"]
    assert await values(client, topic, start="end") == []


async def test_following(client: Client, topic: str) -> None:
    reading = client.read(topic, follow=True)
    waiting = asyncio.ensure_future(anext(reading))
    await client.send(topic, value=b"new")
    assert (await waiting).value == b"new"
    await reading.aclose()


async def test_an_app_makes_its_topics_and_has_its_types(target: Broker, new_name: NewName) -> None:
    app = streams.App(new_name("shop"), broker=f"kafka://{target.bootstrap}")
    orders = app.topic(new_name("orders"), key_type=str, value_type=Order, partitions=3, retention="1d")
    orders.table(name="latest")
    async with app.client() as client:
        await client.send(orders, key="a", value=Order("tea", 2.5))
        assert await values(client, orders) == [Order("tea", 2.5)]
        assert await client.table("latest").get("a") == Order("tea", 2.5)
        (found,) = await client.admin.describe_topics([orders.name])
        assert (len(found.partitions), found.configs["retention.ms"]) == (3, "86400000")


# Groups


async def test_a_group_comes_back_where_it_was(target: Broker, client: Client, topic: str, new_name: NewName) -> None:
    group = new_name("group")
    for number in range(6):
        await client.send(topic, value=b"%d" % number, partition=0)
    for expected in ([b"0", b"1", b"2"], [b"3", b"4"], [b"5"]):
        async with Client(f"kafka://{target.bootstrap}") as member:
            taken = await take(aiter(member.subscribe(topic, group=group)), len(expected))
            assert [record.value for record in taken] == expected
            await taken[-1].commit()
    (offset,) = await client.admin.offsets(group)
    assert (offset.partition, offset.offset, offset.lag) == (TopicPartition(topic, 0), 6, 0)


async def test_two_members_share_the_partitions(target: Broker, client: Client, topic: str, new_name: NewName) -> None:
    group = new_name("group")
    async with AsyncExitStack() as stack:
        seen: dict[str, set[int]] = {"one": set(), "two": set()}
        both = asyncio.Event()

        async def follow(name: str) -> None:
            member = await stack.enter_async_context(Client(f"kafka://{target.bootstrap}"))
            async for record in member.subscribe(topic, group=group):
                seen[name].add(record.partition)
                if all(seen.values()):
                    both.set()

        tasks = [asyncio.create_task(follow(name)) for name in seen]
        while not both.is_set():
            for partition in (0, 1):
                await client.send(topic, value=b"x", partition=partition)
        found = await client.admin.describe_group(group)
        assert found.state == "Stable"
        assert sorted(tp for one in found.members for tp in one.partitions) == [(topic, 0), (topic, 1)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_record_that_does_not_decode_is_passed_when_asked_again(target: Broker, new_name: NewName) -> None:
    app = streams.App(new_name("shop"), broker=f"kafka://{target.bootstrap}")
    numbers = app.topic(new_name("numbers"), value_type=int)
    async with app.client() as typed, Client(f"kafka://{target.bootstrap}") as raw:
        await typed.send(numbers, value=1)
        await raw.send(numbers.name, value=b"one")
        await typed.send(numbers, value=3)
        subscription = typed.subscribe(numbers, group=new_name("group"))
        records = aiter(subscription)
        assert (await anext(records)).value == 1
        with pytest.raises(DecodeError, match=f"{numbers.name}-0 @ 1"):
            await anext(records)
        assert (await anext(aiter(subscription))).value == 3


# Administration


async def test_topics(client: Client, new_name: NewName) -> None:
    admin, name = client.admin, new_name("topic")
    await admin.create_topic(name, retention="1h", configs={"compression.type": "zstd"})
    with pytest.raises(TransportError, match="TOPIC_ALREADY_EXISTS"):
        await admin.create_topic(name)
    with pytest.raises(TransportError, match="INVALID_PARTITIONS"):
        await admin.create_topic(new_name("topic"), partitions=0)
    with pytest.raises(TransportError, match="INVALID_CONFIG"):
        await admin.create_topic(new_name("topic"), configs={"retention.ms": "soon"})
    with pytest.raises(TransportError, match="INVALID_REPLICATION_FACTOR"):
        await admin.create_topic(new_name("topic"), replication_factor=3)
    await admin.add_partitions(name, 3)
    with pytest.raises(TransportError, match="INVALID_PARTITIONS"):
        await admin.add_partitions(name, 2)
    (found,) = await admin.describe_topics([name])
    assert [part.partition for part in found.partitions] == [0, 1, 2]
    assert found.configs == {"compression.type": "zstd", "retention.ms": "3600000"}
    assert name in await admin.list_topics() and name in [one.name for one in await admin.describe_topics()]
    for number in range(3):
        await client.send(name, value=b"%d" % number, partition=2)
    await admin.delete_records({TopicPartition(name, 2): 2})
    assert await values(client, name) == [b"2"]
    await admin.delete_topics(name)
    assert name not in await admin.list_topics()
    with pytest.raises(UnknownTopicError, match=f"no topic {name}; nothing was deleted"):
        await admin.delete_topics(name)
    with pytest.raises(UnknownTopicError):
        await admin.describe_topics([name])


async def test_configs(client: Client, topic: str) -> None:
    admin = client.admin

    async def policy() -> str | None:
        return {entry.name: entry.value for entry in await admin.configs("topic", topic)}["cleanup.policy"]

    await admin.alter_configs("topic", topic, {"segment.bytes": "1048576", "retention.ms": None})
    await admin.alter_configs("topic", topic, append={"cleanup.policy": "compact"})
    await until(policy, "delete,compact")
    await admin.alter_configs("topic", topic, subtract={"cleanup.policy": "delete"})
    await until(policy, "compact")
    found = {entry.name: entry for entry in await admin.configs("topic", topic)}
    assert (found["segment.bytes"].value, found["segment.bytes"].source) == ("1048576", "topic")
    assert found["retention.ms"].source in ("default", "static")
    (broker,) = (await admin.cluster()).brokers
    assert {entry.name for entry in await admin.configs("broker", str(broker.node_id))} >= {"log.retention.ms"}
    with pytest.raises(TransportError, match="INVALID_CONFIG"):
        await admin.alter_configs("topic", topic, {"segment.bytes": "many"})


async def test_groups(target: Broker, client: Client, topic: str, new_name: NewName) -> None:
    admin, group = client.admin, new_name("group")
    for number in range(4):
        await client.send(topic, value=b"%d" % number, partition=0)
    await admin.set_offsets(group, {TopicPartition(topic, 0): 3})
    async with Client(f"kafka://{target.bootstrap}") as member:
        (record,) = await take(aiter(member.subscribe(topic, group=group)), 1)
        assert record.value == b"3"
        listed = {one.group_id: one for one in await admin.list_groups(states=["Stable"], kinds=["classic"])}
        assert (listed[group].kind, listed[group].protocol_type) == ("classic", "consumer")
        with pytest.raises(TransportError, match="has members, which would write their own offsets"):
            await admin.set_offsets(group, {TopicPartition(topic, 0): 0})
        with pytest.raises(TransportError, match="NON_EMPTY_GROUP"):
            await admin.delete_groups(group)
    assert (await admin.describe_group(group)).state == "Empty"
    assert [(row.offset, row.end_offset, row.lag) for row in await admin.offsets(group)] == [(3, 4, 1)]
    await admin.delete_offsets(group, [TopicPartition(topic, 0)])
    assert await admin.offsets(group) == []
    await admin.set_offsets(group, {TopicPartition(topic, 0): 0})
    await admin.delete_groups(group)
    assert group not in [one.group_id for one in await admin.list_groups()]
    with pytest.raises(TransportError, match=r"GROUP_ID_NOT_FOUND|there is no group"):
        await admin.describe_group(group)


async def test_access(client: Client, new_name: NewName) -> None:
    admin, user = client.admin, new_name("user")
    rule = Acl(
        resource_type="topic",
        name=new_name("secret"),
        pattern="literal",
        principal=f"User:{user}",
        host="*",
        operation="read",
        permission="allow",
    )

    async def mechanisms() -> list[str]:
        return sorted((await admin.users()).get(user, []))

    await admin.create_acls(rule)
    await until(lambda: admin.list_acls(Acl(principal=rule.principal)), [rule])
    assert await admin.delete_acls(Acl(principal=rule.principal)) == [rule]
    await until(lambda: admin.list_acls(Acl(principal=rule.principal)), [])
    await admin.set_password(user, "one", mechanism="SCRAM-SHA-256")
    await admin.set_password(user, "two")
    await until(mechanisms, ["SCRAM-SHA-256", "SCRAM-SHA-512"])
    await admin.remove_user(user)
    await until(mechanisms, ["SCRAM-SHA-256"])
    await admin.remove_user(user, mechanism="SCRAM-SHA-256")
    await until(mechanisms, [])


# Logging in

SECURE = {
    "listeners": "SASL_PLAINTEXT://127.0.0.1:{port}",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
    "security.inter.broker.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="admin" password="secret" user_admin="secret" user_ada="difference";'
    ),
    "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "super.users": "User:admin",
    "scram.users": "SCRAM-SHA-512=[name=ada,password=engine]",
}


@pytest.fixture(scope="module")
def secure(target_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.interop.apache_kafka import free_port
    from tests.interop.targets import new_broker

    folder: Path = tmp_path_factory.mktemp(f"secure-{target_name}")
    config = SECURE | {"listeners": SECURE["listeners"].format(port=free_port())}
    broker = new_broker(target_name, folder, config)
    broker.start()
    yield broker.bootstrap
    broker.stop()


@pytest.mark.parametrize(
    ("mechanism", "password"), [("PLAIN", "difference"), ("SCRAM-SHA-512", "engine")], ids=["plain", "scram"]
)
async def test_users(mechanism: str, password: str, secure: str, new_name: NewName) -> None:
    user = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism, "sasl_username": "ada"}
    async with Client(f"kafka://{secure}", sasl_password=password, **user) as client:
        name = new_name("secure")
        await client.send(name, value=b"v")
        assert await values(client, name) == [b"v"]
        (record,) = await take(aiter(client.subscribe(name, group=new_name("group"))), 1)
        await record.commit()
    with pytest.raises(
        ConnectionLostError, match=r"does not let this client in.*are user and password, or the token, right"
    ):
        async with Client(f"kafka://{secure}", sasl_password="wrong", **user):
            raise AssertionError("it opened")


async def test_a_broker_that_is_killed_and_comes_back(target_name: str, tmp_path: Path) -> None:
    with running_broker(target_name, tmp_path) as broker:
        async with Client(f"kafka://{broker.bootstrap}") as client:
            await client.admin.create_topic("numbers", partitions=1)
            records = aiter(client.subscribe("numbers", group="group"))
            await client.send("numbers", value=b"0")
            await (await anext(records)).commit()
            sent = [client.send("numbers", value=b"%d" % number) for number in range(1, 20)]
            broker.kill()
            sent += [client.send("numbers", value=b"%d" % number) for number in range(20, 40)]
            broker.start()
            assert [(await answer).offset for answer in sent] == list(range(1, 40))
            taken = await take(records, 39)
            await taken[-1].commit()
            assert [record.value for record in taken] == [b"%d" % number for number in range(1, 40)]
            assert await values(client, "numbers") == [b"%d" % number for number in range(40)]
