"""Several processes on one data folder: one holds it, the others reach it there, and one of them is next."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import broker_embedded
import streams
from broker_embedded import Listener
from broker_embedded.config import BrokerConfig
from broker_embedded.lock import FolderInUseError, served_at
from streams.transport import joined
from streams.transport.embedded import EmbeddedTransport
from streams.transport.joined import HolderSilentError, JoinedTransport, open_folder

PROGRAM = Path(__file__).with_name("joined_process.py")
ROOT = Path(__file__).parents[3]


class Member:
    """A client in a process of its own."""

    def __init__(self, folder: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), folder],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.acknowledged: list[str] = []
        self.is_joined = self.line()

    def line(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process has ended"
        return json.loads(line)

    def ask(self, *command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """The answer to what was asked; what is acknowledged before is noted."""
        while isinstance(line := self.line(), str):
            self.acknowledged.append(line)
        return line["answer"]

    def do(self, *command: Any) -> Any:
        self.ask(*command)
        return self.answer()

    def wait_for_acknowledged(self, number: int) -> None:
        for _ in range(number):
            self.acknowledged.append(self.line())

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """As a power switch would: what it said before counts."""
        self.signal(signal.SIGKILL)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n") and isinstance(found := json.loads(line), str):
                self.acknowledged.append(found)

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        if not self.process.stdin.closed:
            self.process.stdin.close()
            self.process.stdout.read()
            self.process.stdout.close()
            self.process.wait()


@pytest.fixture
def member(folder: str) -> Iterator[Callable[[], Member]]:
    with ExitStack() as stack:

        def start() -> Member:
            started = Member(folder)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "data")


def holder(folder: str) -> str | None:
    return served_at(Path(folder) / "log")


@pytest.mark.slow
def test_a_holder_is_killed_while_all_send(folder: str, member: Callable[[], Member]) -> None:
    first, second, third = members = [member() for _ in range(3)]
    assert [one.is_joined for one in members] == [False, True, True]
    first.do("create", 3)
    for name, one in zip("abc", members, strict=True):
        one.do("pump", name)
    for one in members:
        one.wait_for_acknowledged(20)
    first.kill()
    for one in (second, third):
        one.wait_for_acknowledged(200)
        one.do("stop")
    later = member()
    found = Counter(later.do("read"))
    assert set(found.values()) == {1}, "nothing is doubled"
    acknowledged = [value for one in members for value in one.acknowledged]
    assert len(acknowledged) > 400 and set(acknowledged) <= set(found), "nothing acknowledged is lost"
    assert later.is_joined and Counter(second.do("read")) == found


@pytest.mark.slow
def test_holders_are_killed_one_after_the_other(folder: str, member: Callable[[], Member]) -> None:
    member().kill()
    survivor = member()
    for _ in range(2):
        assert not survivor.is_joined
        heir = member()
        heir.do("pump", f"m{heir.process.pid}")
        heir.wait_for_acknowledged(5)
        survivor.kill()
        heir.wait_for_acknowledged(50)
        heir.do("stop")
        assert set(heir.acknowledged) <= set(heir.do("read"))
        survivor, heir.is_joined = heir, False
    values = survivor.do("read")
    assert len(values) == len(set(values))


@pytest.mark.slow
def test_a_group_keeps_its_place(folder: str, member: Callable[[], Member]) -> None:
    first, second = member(), member()
    first.do("create", 1)
    first.do("pump", "n")
    first.wait_for_acknowledged(20)
    first.do("stop")
    assert second.do("take", "group", 5) == [f"n-{number}" for number in range(5)]
    second.ask("take", "group", 10)
    first.kill()
    assert second.answer() == [f"n-{number}" for number in range(5, 15)]
    second.close()
    assert member().do("take", "group", 5) == [f"n-{number}" for number in range(15, 20)]


@pytest.fixture(params=["a broker", pytest.param("somebody silent", marks=pytest.mark.slow)])
def somebody_else(request: pytest.FixtureRequest) -> Iterator[Callable[[int], None]]:
    """Takes a port that is free now."""
    with ExitStack() as stack:

        def take(port: int) -> None:
            if request.param == "a broker":
                stack.enter_context(broker_embedded.running(listeners=[Listener(port=port)]))
                return
            taken = stack.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()

        yield take


def test_the_old_port_is_somebody_elses(
    folder: str, member: Callable[[], Member], somebody_else: Callable[[int], None]
) -> None:
    first, second = member(), member()
    first.do("create", 1)
    second.do("pump", "n")
    second.wait_for_acknowledged(10)
    address = holder(folder)
    assert address is not None
    second.signal(signal.SIGSTOP)
    first.kill()
    somebody_else(int(address.rpartition(":")[2]))
    second.signal(signal.SIGCONT)
    second.wait_for_acknowledged(50)
    second.do("stop")
    assert holder(folder) != address
    values = second.do("read")
    assert len(values) == len(set(values)) and set(second.acknowledged) <= set(values)
    assert second.do("take", "group", 5) == values[:5]


@pytest.mark.slow  # the member that it was with the broker before has to time out
def test_a_subscription_follows_to_another_port(folder: str, member: Callable[[], Member]) -> None:
    first, second, third = member(), member(), member()
    first.do("create", 1)
    third.do("pump", "n")
    third.wait_for_acknowledged(40)
    third.do("stop")
    assert second.do("take", "group", 3) == ["n-0", "n-1", "n-2"]
    address = holder(folder)
    assert address is not None
    for one in (second, third):
        one.signal(signal.SIGSTOP)
    first.kill()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # from now on nobody else gets it
        for one in (third, second):
            one.signal(signal.SIGCONT)
        taken_before = second.do("take", "group", 10)
    assert taken_before == [f"n-{number}" for number in range(3, 13)]


def test_a_holder_that_leaves_hands_over(folder: str, member: Callable[[], Member]) -> None:
    first, second = member(), member()
    first.do("pump", "a")
    first.wait_for_acknowledged(5)
    first.do("stop")
    first.close()
    assert set(first.acknowledged) <= set(second.do("read"))
    assert set(first.acknowledged) <= set(member().do("read"))


# A holder that does not answer


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "_WITHIN_S", 0.3)
    monkeypatch.setattr(joined, "_ANSWER_WITHIN_S", 0.1)


@pytest.mark.usefixtures("soon")
async def test_a_stopped_holder_is_named(
    folder: str, member: Callable[[], Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = member()
    first.signal(signal.SIGSTOP)
    with pytest.raises(HolderSilentError, match=rf"process {first.process.pid} .*kill -CONT {first.process.pid}, or"):
        async with streams.Client(data_dir=folder):
            raise AssertionError("it opened")
    first.signal(signal.SIGCONT)
    monkeypatch.undo()
    async with streams.Client(data_dir=folder) as client:
        await client.send("numbers", value=b"1")


@pytest.mark.usefixtures("soon")
async def test_a_holder_that_serves_nobody(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    program = "import sys; from pathlib import Path; from broker_embedded.cluster import Cluster; "
    program += "c = Cluster.open(Path(sys.argv[1])); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(FolderInUseError, match=f"in use by process {process.pid}"):
            await open_folder(tmp_path / "log", BrokerConfig())


# In one process


async def test_several_event_loops_share_a_folder(tmp_path: Path) -> None:
    """The first holds it, the second reaches it over loopback and takes it over."""
    sent, read = threading.Event(), threading.Event()
    seen: list[bytes] = []

    async def other() -> None:
        async with streams.Client(data_dir=str(tmp_path)) as client:
            assert isinstance(client._transport, JoinedTransport)
            await client.send("numbers", value=b"1")
            sent.set()
            await asyncio.to_thread(read.wait)
            await client.send("numbers", value=b"2")
            seen.extend([record.value async for record in client.read("numbers")])

    thread = threading.Thread(target=lambda: asyncio.run(other()))
    async with streams.Client(data_dir=str(tmp_path)) as client:
        thread.start()
        await asyncio.to_thread(sent.wait)
        assert [record.value async for record in client.read("numbers")] == [b"1"]
    read.set()
    await asyncio.to_thread(thread.join)
    assert seen == [b"1", b"2"]


async def test_clients_of_one_loop_share_what_opens_just_now(tmp_path: Path) -> None:
    transports = [EmbeddedTransport(tmp_path) for _ in range(3)]
    await asyncio.gather(*[transport.start() for transport in transports])
    assert len({transport.address for transport in transports}) == 1
    await asyncio.gather(*[transport.stop() for transport in transports])


async def test_an_opening_that_is_cancelled_leaves_the_folder_free(tmp_path: Path) -> None:
    transport = EmbeddedTransport(tmp_path)
    opening = asyncio.create_task(transport.start())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    broker_embedded.lock.FolderLock.take(tmp_path).release()
