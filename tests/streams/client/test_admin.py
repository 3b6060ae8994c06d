"""Administration, in the folder and over a socket; tests/interop does most of it on Apache Kafka too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import broker_embedded
from broker_embedded import Fault
from streams.admin import Acl
from streams.client import Client
from streams.transport.contract import TopicPartition, TransportError, UnknownTopicError

Open = Callable[..., Client]

REFUSED = {
    "a name": ({"name": "a name"}, "INVALID_TOPIC_EXCEPTION"),
    "no partitions": ({"partitions": 0}, "INVALID_PARTITIONS"),
    "too many replicas": ({"replication_factor": 3}, "INVALID_REPLICATION_FACTOR"),
    "no such config": ({"configs": {"retention": "1"}}, "INVALID_CONFIG"),
    "no such value": ({"configs": {"retention.ms": "soon"}}, "INVALID_CONFIG"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_topics_that_are_refused(case: str, open_client: Open, topic: str) -> None:
    options, error = REFUSED[case]
    async with open_client() as client:
        with pytest.raises(TransportError, match=error):
            await client.admin.create_topic(**{"name": topic} | options)
        assert topic not in await client.admin.list_topics()


async def test_topics(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        admin = client.admin
        await admin.create_topic(topic, partitions=2, retention="1d", configs={"compression.type": "zstd"})
        with pytest.raises(TransportError, match=f"topic '{topic}'.*TOPIC_ALREADY_EXISTS"):
            await admin.create_topic(topic)
        await client.send(topic, value=b"v", partition=1)
        (found,) = await admin.describe_topics([topic])
        assert found.configs == {"compression.type": "zstd", "retention.ms": "86400000"}
        assert [(row.partition, row.start_offset, row.end_offset) for row in found.partitions] == [(0, 0, 0), (1, 0, 1)]
        assert found.partitions[0].leader in found.partitions[0].in_sync
        await admin.add_partitions(topic, 4)
        await client.send(topic, value=b"v", partition=3)
        await admin.delete_records({TopicPartition(topic, 1): 1})
        (found,) = await admin.describe_topics([topic])
        assert [(row.start_offset, row.end_offset) for row in found.partitions] == [(0, 0), (1, 1), (0, 0), (0, 1)]
        assert topic in [one.name for one in await admin.describe_topics()]
        assert "__consumer_offsets" not in await admin.list_topics()
        await admin.delete_topics(topic)
        for work in (admin.delete_topics(topic), admin.describe_topics([topic]), admin.add_partitions(topic, 9)):
            with pytest.raises(UnknownTopicError, match=topic):
                await work


async def test_forever_is_forever(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await client.admin.create_topic(topic, retention="forever")
        (found,) = await client.admin.describe_topics([topic])
        assert found.configs["retention.ms"] == "-1"


async def test_configs(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        admin = client.admin
        await admin.create_topic(topic, configs={"retention.ms": "7"})
        await admin.alter_configs("topic", topic, {"retention.ms": None, "segment.bytes": "1048576"})
        found = {entry.name: entry for entry in await admin.configs("topic", topic, documentation=True)}
        assert (found["segment.bytes"].value, found["segment.bytes"].source) == ("1048576", "topic")
        assert found["segment.bytes"].documentation
        assert found["retention.ms"].source != "topic"
        await admin.alter_configs("topic", topic, append={"cleanup.policy": "compact"})
        await admin.alter_configs("topic", topic, subtract={"cleanup.policy": "delete"})
        found = {entry.name: entry for entry in await admin.configs("topic", topic)}
        assert found["cleanup.policy"].value == "compact"
        await admin.alter_configs("group", topic, {"consumer.session.timeout.ms": "50000"})
        found = {entry.name: entry for entry in await admin.configs("group", topic)}
        assert found["consumer.session.timeout.ms"].value == "50000"
        (broker,) = (await admin.cluster()).brokers
        assert await admin.configs("broker", str(broker.node_id))
        with pytest.raises(TransportError, match=r"brokers are named by their ids; '' is the default"):
            await admin.configs("broker", "localhost")
        with pytest.raises(TransportError, match=r"no configs of a 'user'; of a topic, broker, group"):
            await admin.configs("user", "ada")


async def test_groups(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        admin, tp = client.admin, TopicPartition(topic, 0)
        await client.send_many(topic, [b"0", b"1", b"2"])
        await admin.set_offsets(topic, {tp: 1})
        records = aiter(client.subscribe(topic, group=topic))
        assert (await anext(records)).value == b"1"
        found = await admin.describe_group(topic)
        assert (found.kind, found.state, [list(one.partitions) for one in found.members]) == (
            "classic",
            "Stable",
            [[tp]],
        )
        assert topic in [one.group_id for one in await admin.list_groups(states=["Stable"], kinds=["classic"])]
        assert topic not in [one.group_id for one in await admin.list_groups(states=["Empty"])]
        with pytest.raises(TransportError, match="stop them first"):
            await admin.set_offsets(topic, {tp: 0})
        with pytest.raises(TransportError, match="NON_EMPTY_GROUP"):
            await admin.delete_groups(topic)
        with pytest.raises(TransportError, match="GROUP_SUBSCRIBED_TO_TOPIC"):
            await admin.delete_offsets(topic, [tp])
        assert [(row.offset, row.end_offset, row.lag) for row in await admin.offsets(topic)] == [(1, 3, 2)]
    async with open_client() as client:
        admin = client.admin
        await admin.delete_offsets(topic, [tp])
        await admin.set_offsets(topic, {tp: 0})
        await admin.delete_groups(topic)
        for work in (admin.describe_group(topic), admin.delete_groups(topic)):
            with pytest.raises(TransportError, match=f"there is no group '{topic}'|GROUP_ID_NOT_FOUND"):
                await work
        assert await admin.offsets(topic) == []


async def test_access(open_client: Open, topic: str) -> None:
    rule = Acl(
        resource_type="topic",
        name=topic,
        pattern="literal",
        principal="User:ada",
        host="*",
        operation="read",
        permission="allow",
    )
    async with open_client() as client:
        admin = client.admin
        await admin.set_password("ada", "one", mechanism="SCRAM-SHA-256")
        await admin.set_password("ada", "two")
        assert sorted((await admin.users())["ada"]) == ["SCRAM-SHA-256", "SCRAM-SHA-512"]
        await admin.remove_user("ada")
        await admin.remove_user("ada", mechanism="SCRAM-SHA-256")
        assert await admin.users() == {}
        with pytest.raises(TransportError, match="'PLAIN' is no mechanism with stored users; these are: SCRAM-SHA-256"):
            await admin.set_password("ada", "x", mechanism="PLAIN")
        with pytest.raises(TransportError, match=r"'reed' is no Operation; these are: .*read"):
            await admin.list_acls(Acl(operation="reed"))
        with pytest.raises(TransportError, match=r"^rule for User:ada on topic .*SECURITY_DISABLED"):
            await admin.create_acls(rule)


async def test_the_cluster(open_client: Open) -> None:
    async with open_client() as client:
        found = await client.admin.cluster()
        assert found.cluster_id and found.brokers[0].port > 0
        assert found.controller in [broker.node_id for broker in found.brokers]


async def test_what_passes_by_itself_is_waited_for(topic: str) -> None:
    with broker_embedded.running() as broker:
        async with Client(f"kafka://{broker.bootstrap_servers}") as client:
            await client.send(topic, value=b"v")
            for api_key, code in ((10, 15), (16, 14), (9, 16), (8, 14), (19, 41), (3, 5), (32, 7)):
                broker.faults().add(Fault(api_key, error=code))
            await client.admin.set_offsets(topic, {TopicPartition(topic, 0): 1})
            assert [row.lag for row in await client.admin.offsets(topic)] == [0]
            assert [one.group_id for one in await client.admin.list_groups()] == [topic]
            await client.admin.create_topic(f"{topic}-b")
            assert await client.admin.configs("topic", topic)
            assert not broker.faults().waiting
