"""The client: sending, reading, tables, from outside a worker and beside one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import streams
from streams import agg
from streams.client import Client, ClientRecord, Sent
from streams.errors import DecodeError, EncodeError, TopologyError
from streams.partitioner import partition_for
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from streams.transport.contract import UnknownTopicError
from streams.windows import Windowed


class Flight(streams.Record):
    carrier: str
    delay: int | None = None


def shop(folder: str, partitions: int = 1) -> streams.App:
    app = streams.App("shop", data_dir=folder)
    app.topic("flights", key_type=str, value_type=Flight, partitions=partitions)
    app.topic("numbers", key_type=str, value_type=int, partitions=partitions)
    return app


async def values(client: Client, topic: Any, **options: Any) -> list[Any]:
    return [record.value async for record in client.read(topic, **options)]


# -- sending


async def test_a_record_comes_back_as_it_was_sent(folder: str) -> None:
    async with shop(folder).client() as client:
        sent = client.send("flights", key="AA", value=Flight("AA", 5), timestamp=7, headers=[("h", b"1"), ("i", None)])
        assert await sent == Sent("flights", 0, 0)
        (record,) = [r async for r in client.read("flights")]
    assert record == ClientRecord("AA", Flight("AA", 5), 7, [("h", b"1"), ("i", None)], "flights", 0, 0)


async def test_without_a_block(folder: str) -> None:
    client = shop(folder).client()
    assert repr(client) == f"<client of {folder}, not open>"
    with pytest.raises(
        TopologyError, match=r"not open: `async with app\.client\(\) as client:`, or `await client\.start"
    ):
        client.send("numbers", value=1)
    assert await client.start() is client
    assert repr(client) == f"<client of {folder}>"
    client.send("numbers", value=1)
    await client.stop()
    async with client:  # once more
        assert await values(client, "numbers") == [1]


async def test_null_keys_and_values(folder: str) -> None:
    async with shop(folder).client() as client:
        await client.send("numbers", value=1)
        await client.send("numbers", key="k")
        assert [(r.key, r.value) async for r in client.read("numbers")] == [(None, 1), ("k", None)]


async def test_sending_does_not_wait_and_leaving_does(folder: str) -> None:
    app = shop(folder)
    async with app.client() as client:
        answers = [client.send("numbers", key="k", value=n) for n in range(100)]
        assert not any(answer.done() for answer in answers)
    assert [(await answer).offset for answer in answers] == list(range(100))
    async with app.client() as client:
        assert await values(client, "numbers") == list(range(100))


async def test_records_lie_in_the_partition_of_their_key_or_the_given_one(folder: str) -> None:
    async with shop(folder, partitions=5).client() as client:
        keys = [f"k{n}" for n in range(20)]
        sent = await client.send_many("numbers", [(key, n) for n, key in enumerate(keys)])
        assert [s.partition for s in sent] == [partition_for(key.encode(), 5) for key in keys]
        assert (await client.send("numbers", key="k0", value=1, partition=3)).partition == 3
        where = {(await client.send("numbers", value=1)).partition for _ in range(10)}
        assert where == set(range(5))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", 1), ("b", 2)], [("a", 1), ("b", 2)]),
        ([1, 2], [(None, 1), (None, 2)]),
        ([], []),
        (iter([("a", None)]), [("a", None)]),
    ],
)
async def test_send_many_takes_pairs_or_values(folder: str, rows: Any, expected: Any) -> None:
    async with shop(folder).client() as client:
        await client.send_many("numbers", rows)
        assert [(r.key, r.value) async for r in client.read("numbers")] == expected


async def test_a_topic_may_be_given_as_it_is(folder: str) -> None:
    app = shop(folder)
    async with app.client() as client:
        await client.send(app.topics["numbers"], key="k", value=1)
        assert await values(client, app.topics["numbers"]) == [1]


async def test_topics_are_made_at_first_use_as_the_app_says(folder: str) -> None:
    app = shop(folder, partitions=3)
    app.topic("packed", partitions=2, config={"compression.type": "zstd"})
    async with app.client() as client:
        assert await values(client, "numbers") == []
        await client.send("packed", value=1)
        assert client._transport is not None
        found = await client._transport.describe(["numbers", "packed", "flights"])
    assert {name: info.partitions for name, info in found.items()} == {"numbers": 3, "packed": 2}
    assert found["packed"].configs["compression.type"] == "zstd"


async def test_without_an_app_everything_is_bytes(folder: str) -> None:
    async with shop(folder).client() as client:
        await client.send("numbers", key="k", value=7)
    async with streams.Client(data_dir=folder) as client:
        assert [(r.key, r.value) async for r in client.read("numbers")] == [(b"k", b"7")]
        await client.send("anything", key=b"k", value=b"v")
        assert await values(client, "anything") == [b"v"]
        with pytest.raises(TopologyError, match="has no table 'x'; it has none"):
            client.table("x")


async def test_what_does_not_fit_is_an_error_at_once(folder: str) -> None:
    async with shop(folder).client() as client:
        with pytest.raises(EncodeError, match=r"str where int is declared"):
            client.send("numbers", key="k", value="seven")
        with pytest.raises(EncodeError, match=r"int where str is declared"):
            client.send("numbers", key=7, value=7)
        await client.send("numbers", key="k", value=1)
        assert await values(client, "numbers") == [1]


async def test_a_partition_that_is_not_there_fails_its_records_alone(folder: str) -> None:
    async with shop(folder).client() as client:
        good, bad = client.send("numbers", value=1), client.send("numbers", value=2, partition=7)
        with pytest.raises(UnknownTopicError, match="numbers-7"):
            await bad
        assert (await good).offset == 0
        assert (await client.send("numbers", value=3)).offset == 1
        with pytest.raises(TopologyError, match=r"'numbers' has partitions 0 to 0, not 7"):
            await values(client, "numbers", partition=7)


async def test_a_client_that_is_not_open_says_how(folder: str) -> None:
    client = shop(folder).client()
    with pytest.raises(TopologyError, match=r"async with app.client\(\) as client"):
        client.send("numbers", value=1)
    with pytest.raises(TopologyError, match=r"async with app.client\(\) as client"):
        await values(client, "numbers")
    async with client:
        await client.send("numbers", value=1)
    with pytest.raises(TopologyError, match=r"async with app.client\(\) as client"):
        client.send("numbers", value=2)


async def test_an_app_that_does_not_fit_together_leaves_the_folder_free(folder: str) -> None:
    app = shop(folder)

    @app.agent(app.topics["numbers"], name="numbers-source")
    async def clash(stream: Any) -> None: ...

    with pytest.raises(TopologyError):
        async with app.client():
            raise AssertionError("it opened")
    assert not list(Path(folder).iterdir())


# -- reading


async def ten(folder: str, client: Client) -> None:
    await client.send_many("numbers", [("k", n) for n in range(5)])
    for n in range(5, 10):
        await client.send("numbers", key="k", value=n, timestamp=1_700_000_000_000 + n * 1_000)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, range(10)),
        ({"start": "beginning"}, range(10)),
        ({"start": "end"}, []),
        ({"start": 0}, range(10)),
        ({"start": 3}, range(3, 10)),
        ({"start": 7}, range(7, 10)),
        ({"start": 10}, []),
        ({"start": 99}, []),
        ({"partition": 0}, range(10)),
    ],
)
async def test_where_reading_begins(folder: str, options: Any, expected: Any) -> None:
    async with shop(folder).client() as client:
        await ten(folder, client)
        assert await values(client, "numbers", **options) == list(expected)


@pytest.mark.parametrize("form", ["datetime", "text"])
async def test_reading_from_a_time(folder: str, form: str) -> None:
    async with shop(folder, partitions=2).client() as client:
        for n in range(10):
            await client.send("numbers", key=f"k{n}", value=n, timestamp=1_700_000_000_000 + n * 1_000)
        moment = datetime.fromtimestamp(1_700_000_006, UTC)
        start = moment if form == "datetime" else moment.isoformat()
        found = sorted(await values(client, "numbers", start=start))
        # each partition from its first record of that time or later, in log order
        assert found == [6, 7, 8, 9]
        assert await values(client, "numbers", start=datetime(2099, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("start", ["the end", 1.5, None])
async def test_a_start_that_is_none(folder: str, start: Any) -> None:
    async with shop(folder).client() as client:
        await client.send("numbers", value=1)
        with pytest.raises(TopologyError, match=r'"beginning", "end", an offset, or a time'):
            await values(client, "numbers", start=start)


async def test_what_retention_removed_is_passed_over(folder: str) -> None:
    async with shop(folder).client() as client:
        await ten(folder, client)
        assert client._transport is not None
        from streams.transport.contract import TopicPartition

        await client._transport.delete_records({TopicPartition("numbers", 0): 6})
        assert await values(client, "numbers", start=2) == [6, 7, 8, 9]


async def test_reading_ends_where_the_log_ended_when_it_began(folder: str) -> None:
    async with shop(folder).client() as client:
        await ten(folder, client)
        found = []
        async for record in client.read("numbers"):
            found.append(record.value)
            await client.send("numbers", key="k", value=100 + record.value)
        assert found == list(range(10))


async def test_following_goes_on(folder: str) -> None:
    async with shop(folder).client() as client:
        await client.send("numbers", key="k", value=0)
        reading = client.read("numbers", follow=True)
        assert (await anext(reading)).value == 0
        waiting = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await client.send("numbers", key="k", value=1)
        assert (await asyncio.wait_for(waiting, 30)).value == 1
        await reading.aclose()


async def test_following_from_the_end_sees_what_is_new(folder: str) -> None:
    async with shop(folder).client() as client:
        await ten(folder, client)
        reading = client.read("numbers", start="end", follow=True)
        waiting = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0.01)
        await client.send("numbers", key="k", value=77)
        assert (await asyncio.wait_for(waiting, 30)).value == 77
        await reading.aclose()


async def test_what_is_not_committed_is_read_only_when_asked_for(folder: str) -> None:
    from broker_embedded import records
    from streams.transport.contract import TopicPartition

    async with shop(folder).client() as client:
        await client.send("numbers", key="k", value=1)
        assert client._transport is not None
        producer = client._transport.producer(transactional_id="other")
        await producer.start()
        for value, end in ((2, producer.abort), (3, producer.commit), (4, None)):
            await producer.begin()
            await producer.send(TopicPartition("numbers", 0), records.encode([b"k"], [b"%d" % value], [0]))
            if end is not None:
                await end()
        assert await values(client, "numbers") == [1, 3]
        assert await values(client, "numbers", isolation="read_uncommitted") == [1, 2, 3, 4]
        assert await values(client, "numbers", isolation="read_uncommitted", start="end") == []
        await producer.close()


async def test_a_value_that_does_not_decode_says_where(folder: str) -> None:
    app = shop(folder, partitions=1)
    async with streams.Client(data_dir=folder) as client:
        for value in (b"1", b"x", b"3"):
            await client.send("numbers", key=b"k", value=value)
    async with app.client() as client:
        reading = client.read("numbers")
        assert (await anext(reading)).value == 1
        with pytest.raises(DecodeError, match="numbers-0 @ 1"):
            await anext(reading)
        assert await values(client, "numbers", start=2) == [3]


async def test_a_topic_that_is_not_there_has_no_records(folder: str) -> None:
    async with shop(folder).client() as client:
        assert await values(client, "nowhere") == []
        assert client._transport is not None
        assert await client._transport.describe(["nowhere"]) == {}


# -- tables


def tables(folder: str) -> streams.App:
    app = shop(folder, partitions=2)
    flights = app.topics["flights"]
    by_carrier = flights.stream().group_by(Flight.carrier, name="by-carrier")
    by_carrier.count(name="counts")
    by_carrier.aggregate(n=agg.count(), mean=agg.mean(Flight.delay), name="stats")
    by_carrier.windowed_by(streams.TumblingWindow("10s")).aggregate(
        total=agg.sum(Flight.delay), name="hourly", retention="1h"
    )
    by_carrier.reduce(lambda old, new: Flight(new.carrier, (old.delay or 0) + (new.delay or 0)), name="sums")
    flights.table(name="latest")
    return app


async def fill(client: Client) -> None:
    rows = [("x", "AA", 4, 0), ("y", "UA", None, 1_000), ("x", "AA", 8, 12_000), ("z", "UA", 1, 13_000)]
    for key, carrier, delay, time in rows:
        await client.send("flights", key=key, value=Flight(carrier, delay), timestamp=time)
    await client.send("flights", key="z", value=None, timestamp=14_000)


async def all_of(table: Any) -> list[tuple[Any, Any]]:
    return [row async for row in table.items()]


async def test_tables_of_every_kind(folder: str) -> None:
    app = tables(folder)
    async with app.client() as client:
        assert await client.table("counts").get("AA") is None
        assert await all_of(client.table("counts")) == []
        await fill(client)
        await Worker(app, Silent(), until_end=True).run()
        assert await all_of(client.table("counts")) == [("AA", 2), ("UA", 2)]
        stats = {key: (row.n, row.mean) for key, row in await all_of(client.table("stats"))}
        assert stats == {"AA": (2, 6.0), "UA": (2, 1.0)}
        assert await client.table("sums").get("AA") == Flight("AA", 12)
        assert await all_of(client.table("latest")) == [("x", Flight("AA", 8)), ("y", Flight("UA"))]
        hourly = client.table("hourly")
        assert [(key, row.total) for key, row in await all_of(hourly)] == [
            *[(Windowed("AA", 0, 10_000), 4), (Windowed("UA", 0, 10_000), None)],
            *[(Windowed("AA", 10_000, 20_000), 8), (Windowed("UA", 10_000, 20_000), 1)],
        ]
        assert (await hourly.window("AA", 9_999)).total == 4
        assert (await hourly.window("AA", 10_000)).total == 8
        assert await hourly.window("AA", 20_000) is None
        assert (await hourly.get(Windowed("UA", 10_000, 20_000))).total == 1


async def test_ranges_and_defaults(folder: str) -> None:
    app = shop(folder, partitions=2)
    app.topics["numbers"].table(name="latest")
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n}", n) for n in range(6)])
        table = client.table("latest")
        assert [row async for row in table.range("k2", "k4")] == [("k2", 2), ("k3", 3)]
        assert [row async for row in table.range("k9", "k1")] == []
        assert [await table.get("k1"), await table.get("zz"), await table.get("zz", 7)] == [1, None, 7]


async def test_a_table_is_followed(folder: str) -> None:
    app = shop(folder)
    app.topics["numbers"].table(name="latest")
    async with app.client() as client:
        assert client.table("latest") is client.table("latest")
        for n in range(3):
            await client.send("numbers", key="k", value=n)
            assert await client.table("latest").get("k") == n
        await client.send("numbers", key="k", value=None)
        assert await client.table("latest").get("k", "gone") == "gone"


async def test_several_readers_of_one_table_see_no_old_values(folder: str) -> None:
    app = shop(folder)
    app.topics["numbers"].table(name="latest")
    async with app.client() as client:
        table = client.table("latest")
        for n in range(20):
            await client.send("numbers", key="k", value=n)
            assert await asyncio.gather(*[table.get("k") for _ in range(5)]) == [n] * 5


async def test_a_table_that_changes_while_it_is_gone_through(folder: str) -> None:
    app = shop(folder)
    app.topics["numbers"].table(name="latest")
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n}", n) for n in range(5)])
        table, seen = client.table("latest"), []
        async for key, value in table.items():
            seen.append((key, value))
            await client.send("numbers", key="k3", value=None)
            assert await table.get("k3") is None
        assert seen == [(f"k{n}", n) for n in range(5)]


async def test_a_table_that_the_app_does_not_have(folder: str) -> None:
    async with tables(folder).client() as client:
        with pytest.raises(TopologyError, match=r"no table 'count'; it has counts, hourly, latest, stats, sums"):
            client.table("count")


# -- together


async def test_two_clients_and_a_worker_in_one_process_on_one_folder(folder: str) -> None:
    app = shop(folder, partitions=2)
    app.topics["numbers"].stream().map_values(lambda v: v * 10).to(app.topic("tens", key_type=str, value_type=int))
    app.topics["numbers"].stream().group_by_key().count(name="counts")
    worker = Worker(app, Silent())
    running = asyncio.ensure_future(worker.run())
    async with app.client() as one, app.client(data_dir=folder) as other:
        for n in range(5):
            await one.send("numbers", key=f"k{n}", value=n)
            await other.send("numbers", key=f"k{n}", value=n + 100)
        found: list[int] = []
        async for record in other.read("tens", follow=True):
            found.append(record.value)
            if len(found) == 10:
                break
        worker.stop()
        await running
        assert sorted(found) == sorted([n * 10 for n in range(5)] + [(n + 100) * 10 for n in range(5)])
        assert (
            await all_of(one.table("counts")) == [(f"k{n}", 2) for n in range(5)] == await all_of(other.table("counts"))
        )
