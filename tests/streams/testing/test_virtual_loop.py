"""An event loop on a virtual clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from streams.testing import Clock
from streams.testing.driver.virtual_loop import StuckError, VirtualLoop


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loop(clock: Clock) -> Iterator[VirtualLoop]:
    made = VirtualLoop(clock)
    yield made
    made.close()


def test_sleeping_moves_the_clock_and_takes_no_time(loop: VirtualLoop, clock: Clock) -> None:
    async def sleeps() -> list[int]:
        order: list[int] = []

        async def one(seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append(clock.now_ms)

        await asyncio.gather(one(3600), one(0.5), one(7))
        return order

    began = time.monotonic()
    assert loop.run(sleeps()) == [500, 7_000, 3_600_000]
    assert time.monotonic() - began < 60


def test_timeouts_are_in_virtual_time(loop: VirtualLoop, clock: Clock) -> None:
    async def late() -> None:
        async with asyncio.timeout(2.5):
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        loop.run(late())
    assert clock.now_ms == 2_500


def test_quiet_comes_when_nothing_is_left_to_do_at_this_time(loop: VirtualLoop) -> None:
    done: list[str] = []

    async def busy() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        done.append("busy")
        await asyncio.sleep(4)

    async def work() -> list[float | None]:
        task = asyncio.create_task(busy())
        found = [await loop.quiet()]
        assert done == ["busy"]
        await task
        return [*found, await loop.quiet()]

    assert loop.run(work()) == [4, None]


def test_what_cannot_come_is_told(loop: VirtualLoop) -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError):
        loop.run(stuck())
    assert loop.run(asyncio.sleep(1, "goes on")) == "goes on"


def test_threads_are_waited_for_and_the_clock_stands(loop: VirtualLoop, clock: Clock) -> None:
    gate = threading.Event()

    async def work() -> str:
        waiting = asyncio.create_task(asyncio.to_thread(gate.wait, 30))
        slow = asyncio.create_task(asyncio.sleep(50))
        threading.Timer(0.01, gate.set).start()
        assert await waiting
        slow.cancel()
        return "done"

    assert loop.run(work()) == "done"
    assert clock.now_ms == 0


async def test_beside_a_running_loop(loop: VirtualLoop, clock: Clock) -> None:
    assert loop.run(asyncio.sleep(60, "there")) == "there"
    assert clock.now_ms == 60_000
    await asyncio.sleep(0)


async def test_descriptors_are_waited_for(loop: VirtualLoop, clock: Clock) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(30):
            writer.write(b"hello\n")
            found = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return found

    assert await asyncio.to_thread(loop.run, ask()) == b"hello\n"
    assert clock.now_ms == 0
    server.close()
    await server.wait_closed()
