"""`app.send` in an agent: once for each record, whatever fails and is read again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import streams
from streams.policies import retry
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from streams.transport.contract import FencedError


async def test_what_an_agent_sends_is_taken_back_with_its_record(tmp_path: Path) -> None:
    app = streams.App("sends", data_dir=str(tmp_path), on_error=retry(2, backoff="1ms"))
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", value_type=int, partitions=1)
    failures = [3, 7]

    @app.agent(numbers)
    async def forward(stream: streams.Stream[int]) -> None:
        async for number in stream:
            await app.send(out, value=number)
            if number in failures:
                failures.remove(number)
                raise ValueError(number)

    async with app.client() as client:
        await client.send_many(numbers, [("k", n) for n in range(10)])
        await Worker(app, Silent(), until_end=True).run()
        assert [record.value async for record in client.read(out)] == list(range(10))


async def test_what_an_agent_sent_in_a_lost_transaction_is_sent_once(tmp_path: Path) -> None:
    app = streams.App("sends", data_dir=str(tmp_path))
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
    sent, yielded = (app.topic(name, value_type=int, partitions=1) for name in ("sent", "yielded"))
    worker = Worker(app, Silent(), until_end=True)
    fenced = [FencedError("another took the id")]

    @app.agent(numbers, sink=[yielded])
    async def forward(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            await app.send(sent, value=number)
            yield number
            if number == 4 and fenced:
                assert worker.assembly is not None
                worker.assembly.producer.commit = _raise(fenced.pop())  # type: ignore[method-assign]

    async with app.client() as client:
        await client.send_many(numbers, [("k", n) for n in range(5)])
        await worker.run()
        for topic in (sent, yielded):
            assert [record.value async for record in client.read(topic)] == list(range(5))


async def test_the_time_of_a_record_is_the_workers(tmp_path: Path) -> None:
    app = streams.App("sends", data_dir=str(tmp_path))
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", value_type=int, partitions=1)

    @app.agent(numbers)
    async def forward(stream: streams.Stream[int]) -> None:
        async for number in stream:
            await out.send(value=number)

    async with app.client() as client:
        await client.send(numbers, key="k", value=1)
        await Worker(app, Silent(), until_end=True, now_ms=lambda: 1_000).run()
        assert [record.timestamp async for record in client.read(out)] == [1_000]


def _raise(error: Exception):  # type: ignore[no-untyped-def]
    async def commit() -> None:
        raise error

    return commit
