"""What is read ahead: it is there when it is asked for, never what was not asked for, and in few requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

import broker_embedded
from broker_embedded import RunningBroker, records
from broker_embedded.wire.messages.records import FetchRequest
from streams.transport.contract import Fetched, OffsetOutOfRangeError, Producer, TopicPartition, TopicSpec
from streams.transport.kafka import KafkaTransport, fetcher

_numbers = count()
_LONG_MS = 30_000


class Counting(KafkaTransport):
    """Counts how many partitions each fetch asks for, and on how many connections."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.asked: list[int] = []
        self.lanes: Counter[str] = Counter()
        ask = self.connection.ask

        async def counted(request: Any, **options: Any) -> Any:
            if isinstance(request, FetchRequest):
                self.asked.append(sum(len(topic.partitions) for topic in request.topics))
                self.lanes[options["lane"]] += 1
            return await ask(request, **options)

        self.connection.ask = counted  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningBroker]:
    with broker_embedded.running() as broker:
        yield broker


@pytest.fixture
async def transport(server: RunningBroker) -> AsyncIterator[Counting]:
    transport = Counting(server.bootstrap_servers)
    await transport.start()
    yield transport
    await transport.stop()


async def written(transport: KafkaTransport, partitions: int, batches: int) -> tuple[list[TopicPartition], Producer]:
    """Partitions with batches of one record each, and who writes to them."""
    name = f"ahead-{next(_numbers)}"
    tps = [TopicPartition(name, index) for index in range(partitions)]
    await transport.create([TopicSpec(name, partitions, {"retention.ms": "-1"})])
    producer = transport.producer()
    await producer.start()
    for number in range(batches):
        for tp in tps:
            await producer.send(tp, batch(str(number)))
    return tps, producer


def batch(value: str) -> bytearray:
    return records.encode([None], [value.encode()], [0])


def values(fetched: Fetched) -> list[bytes | None]:
    return [
        value for data in fetched.data for _, one in records.batches(data) for value in records.decode(one).values()
    ]


async def test_what_comes_next_is_under_way(transport: Counting) -> None:
    (tp,), _ = await written(transport, 1, 3)
    for number in range(3):
        (fetched,) = await transport.fetch({tp: number}, partition_max_bytes=1)
        while len(transport.asked) < number + 2:  # without anybody asking
            await asyncio.sleep(0)
        assert (values(fetched), len(transport.asked)) == ([str(number).encode()], number + 2)


async def test_who_goes_elsewhere_gets_what_is_there(transport: Counting) -> None:
    (tp,), _ = await written(transport, 1, 3)
    for offset in (0, 2, 0, 1):
        (fetched,) = await transport.fetch({tp: offset}, partition_max_bytes=1)
        assert (fetched.start_offset, values(fetched)) == (offset, [str(offset).encode()])


async def test_many_partitions_are_waited_for_in_one_request(transport: Counting) -> None:
    tps, producer = await written(transport, 20, 0)
    positions = dict.fromkeys(tps, 0)
    assert await transport.fetch(positions) == []
    for turn in range(60):
        await producer.send(tps[turn % 20], batch(str(turn)))
        for fetched in await transport.fetch(positions, wait_ms=_LONG_MS):
            positions[fetched.tp] = fetched.next_offset
    assert sum(positions.values()) == 60
    assert min(transport.asked[5:]) >= 16
    assert len(transport.lanes) <= 4


async def test_nobody_is_told_of_what_is_not_asked_for(transport: Counting) -> None:
    (gone, kept), producer = await written(transport, 2, 1)
    await transport.fetch({gone: 0, kept: 0})
    for tp in (gone, kept):
        await producer.send(tp, batch("later"))
    (fetched,) = await transport.fetch({kept: 1}, wait_ms=_LONG_MS)
    assert (fetched.tp, values(fetched)) == (kept, [b"later"])


async def test_what_nobody_asks_for_is_let_go(transport: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    (gone, kept), producer = await written(transport, 2, 2)
    await transport.fetch({gone: 0, kept: 0}, partition_max_bytes=1)
    await transport.fetch({kept: 1}, partition_max_bytes=1, wait_ms=_LONG_MS)
    monkeypatch.setattr(fetcher, "_AHEAD_S", 0.0)
    await producer.send(kept, batch("2"))
    await transport.fetch({kept: 2}, partition_max_bytes=1, wait_ms=_LONG_MS)
    assert not [place for place in transport._fetcher._here if place.tp == gone]


async def test_an_error_is_of_the_one_who_asked(transport: Counting) -> None:
    (bad, good), _ = await written(transport, 2, 1)
    with pytest.raises(OffsetOutOfRangeError, match="offset 7 is outside"):
        await transport.fetch({bad: 7, good: 0})
    (fetched,) = await transport.fetch({good: 0})
    assert values(fetched) == [b"0"]


async def test_more_than_is_to_be_held_is_not_read_ahead(transport: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "_AHEAD_BYTES_MOST", 0)
    (tp,), _ = await written(transport, 1, 3)
    for offset in range(3):
        (fetched,) = await transport.fetch({tp: offset}, partition_max_bytes=1)
        assert values(fetched) == [str(offset).encode()]
    assert len(transport.asked) == 3
