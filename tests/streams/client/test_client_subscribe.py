"""Subscriptions: members of a group, in the folder and over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import streams
from broker_embedded.wire.messages.groups import LeaveGroupRequest, MemberIdentity
from streams.client import Client
from streams.errors import DecodeError
from streams.transport.contract import TopicPartition, TransportError

Open = Callable[..., Client]


async def take(records: Any, number: int) -> list[Any]:
    return [await anext(records) for _ in range(number)]


def numbers(records: list[Any]) -> list[int]:
    return [int(record.value) for record in records]


async def fill(client: Client, topic: str, *values: int, partition: int = 0) -> None:
    for value in values:
        await client.send(topic, key=b"k", value=b"%d" % value, partition=partition)


async def test_what_is_committed_is_not_read_again(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await fill(client, topic, *range(5))
        records = aiter(client.subscribe(topic, group=topic))
        taken = await take(records, 3)
        assert numbers(taken) == [0, 1, 2]
        await taken[1].commit()
    async with open_client() as client:
        taken = await take(aiter(client.subscribe(topic, group=topic)), 3)
        assert numbers(taken) == [2, 3, 4]
        assert taken[0] == (b"k", b"2", taken[0].timestamp, (), topic, 0, 2)
        other = await take(aiter(client.subscribe(topic, group=f"another {topic}")), 5)
        assert numbers(other) == list(range(5))


async def test_where_a_new_group_begins(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await fill(client, topic, 1, 2)
        subscription = client.subscribe(topic, group=topic, start="end")
        waiting = asyncio.ensure_future(anext(aiter(subscription)))
        while not (await client.admin.list_groups(states=["Stable"])):
            await asyncio.sleep(0)
        number = 3
        while not waiting.done():  # until it has looked where the end is
            await fill(client, topic, number)
            number += 1
        assert int((await waiting).value) >= 3


async def test_members_share_partitions_and_take_over(open_client: Open, topic: str) -> None:
    async with open_client() as one:
        await one.admin.create_topic(topic, partitions=2)
        async with open_client() as two:
            seen: dict[str, set[int]] = {"one": set(), "two": set()}

            async def follow(name: str, client: Client) -> None:
                async for record in client.subscribe(topic, group=topic):
                    seen[name].add(record.partition)

            following = [asyncio.create_task(follow("one", one)), asyncio.create_task(follow("two", two))]
            while not all(seen.values()):
                await fill(one, topic, 1, partition=0)
                await fill(one, topic, 1, partition=1)
            following[1].cancel()
            await asyncio.wait(following[1:])
        seen["one"].clear()
        while seen["one"] != {0, 1}:  # the other has left
            await fill(one, topic, 2, partition=0)
            await fill(one, topic, 2, partition=1)
        following[0].cancel()
        await asyncio.wait(following)


async def test_who_was_put_out_of_the_group_does_not_move_it(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await fill(client, topic, 1, 2)
        (record,) = await take(aiter(client.subscribe(topic, group=topic)), 1)
        (member,) = (await client.admin.describe_group(topic)).members
        leave = LeaveGroupRequest(topic, [MemberIdentity(member.member_id)])
        await client._open().asks.ask_coordinator(leave, topic)
        with pytest.raises(TransportError, match=f"group '{topic}', {topic}-0 offset 0: .* shared its partitions anew"):
            await record.commit()
        assert await client.admin.offsets(topic) == []


async def test_a_subscription_that_is_closed(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await fill(client, topic, 1)
        subscription = client.subscribe(topic, group=topic)
        (record,) = await take(aiter(subscription), 1)
        await subscription.close()
        await subscription.close()
        with pytest.raises(TransportError, match="the subscription is closed"):
            await record.commit()
        assert [record async for record in subscription] == []


async def test_a_member_with_an_id_of_its_own_may_be_away(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await fill(client, topic, 1, 2)
        first = client.subscribe(topic, group=topic, instance_id="printer")
        await (await anext(aiter(first))).commit()
        await first.close()
        found = await client.admin.describe_group(topic)
        assert [member.instance_id for member in found.members] == ["printer"]
        again = client.subscribe(topic, group=topic, instance_id="printer")
        assert numbers(await take(aiter(again), 1)) == [2]


async def test_records_that_do_not_decode(settings: dict[str, Any], open_client: Open, topic: str) -> None:
    app = streams.App("shop", **settings)
    app.topic(topic, key_type=str, value_type=int)
    async with open_client() as raw, app.client() as client:
        for value in (b"1", b"two", b"3"):
            await raw.send(topic, key=b"k", value=value)
        subscription = client.subscribe(topic, group=topic)
        assert (await anext(aiter(subscription))).value == 1
        with pytest.raises(DecodeError, match=f"{topic}-0 @ 1"):
            await anext(aiter(subscription))
        last = await anext(aiter(subscription))
        assert (last.key, last.value) == ("k", 3)
        await last.commit()


async def test_a_subscription_that_comes_before_the_topic(
    settings: dict[str, Any], open_client: Open, topic: str
) -> None:
    app = streams.App("shop", **settings)
    app.topic(topic, value_type=int, partitions=3)
    async with app.client() as client:
        waiting = asyncio.ensure_future(anext(aiter(client.subscribe(topic, group=topic))))
        while topic not in await client.admin.list_topics():
            await asyncio.sleep(0)
        await client.send(topic, value=7)
        assert (await waiting).value == 7
        (found,) = await client.admin.describe_topics([topic])
        assert len(found.partitions) == 3


async def test_several_topics(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await fill(client, topic, 1)
        await fill(client, f"{topic}-b", 2)
        taken = await take(aiter(client.subscribe(topic, f"{topic}-b", group=topic)), 2)
        for record in taken:
            await record.commit()
        offsets = {row.partition: row.offset for row in await client.admin.offsets(topic)}
        assert offsets == {TopicPartition(topic, 0): 1, TopicPartition(f"{topic}-b", 0): 1}


async def test_leaving_ends_the_iteration(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await fill(client, topic, 1)
        records = aiter(client.subscribe(topic, group=topic))
        await anext(records)
        waiting = asyncio.ensure_future(anext(records))
        await asyncio.sleep(0)
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_only_what_is_committed_in_transactions(open_client: Open, topic: str) -> None:
    from broker_embedded import records as batches

    async with open_client() as client:
        await client.admin.create_topic(topic, partitions=1)
        producer = client._open().producer(transactional_id=topic)
        await producer.start()
        for value, end in ((1, producer.abort), (2, producer.commit)):
            await producer.begin()
            await producer.send(TopicPartition(topic, 0), batches.encode([b"k"], [b"%d" % value], [0]))
            await end()
        await producer.close()
        assert numbers(await take(aiter(client.subscribe(topic, group=topic)), 1)) == [2]
        everything = client.subscribe(topic, group=f"another {topic}", isolation="read_uncommitted")
        assert numbers(await take(aiter(everything), 2)) == [1, 2]
