"""Tasks that another place works on, followed here, and what they are worth when it is gone."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import streams
from state.backends.rocks import RocksBackend
from streams.runtime import copies as copies_module
from streams.runtime import folders as folders_module
from streams.runtime.assembling import assemble
from streams.runtime.assembly import Assembly
from streams.runtime.conditions import Conditions
from streams.runtime.folders import Folders
from streams.runtime.lags import Lags
from streams.runtime.standby import Standbys
from streams.runtime.state_folders import dormant, state_folder
from streams.transport.opening import open_transport
from tests.streams.runtime.by_hand import ByHand, counting, counts, expected, send

STORES = ["rocksdb", "memory"]


def in_place(place: str, store: str = "rocksdb") -> streams.App:
    return counting("counts", place, store)


class Place(ByHand):
    """At a data folder of its own, following what others have. `warm` are tasks that it said are near the end."""

    def __init__(self, app: streams.App, assembly: Assembly) -> None:
        super().__init__(app, assembly)
        self.warm: list[str] = []

    @property
    def names(self) -> list[str]:
        return self.assembly.names

    @property
    def standbys(self) -> Standbys:
        return self.assembly.standbys

    async def follow(self, *names: str) -> None:
        """Until it lacks nothing of these."""
        self.standbys.want(names)
        await self.until(lambda: self.standbys.lags() == dict.fromkeys(sorted(names), 0))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def places(
    folder: str, make: Callable[[str, str], streams.App] = in_place, store: str = "rocksdb"
) -> AsyncIterator[tuple[Place, Place]]:
    """Two, on the broker in the first one's folder."""
    async with AsyncExitStack() as stack:
        made: list[Place] = []
        for name in ("a", "b"):
            app = make(f"{folder}/{name}", store)
            transport = (await open_transport(made[0].app.settings))[0] if made else None
            assembly = await assemble(app, transport, Conditions())
            made.append(Place(app, assembly))
            stack.push_async_callback(closed, assembly)
            await assembly.begin(made[-1].told.append)
        yield made[0], made[1]


async def closed(assembly: Assembly) -> None:
    assert await assembly.close() == []


@pytest.mark.parametrize("store", STORES)
async def test_a_standby_goes_to_work_as_it_is(folder: str, store: str) -> None:
    async with places(folder, store=store) as (a, b):
        names = a.names
        await a.arrive(*names)
        await send(a.app, 0, 500)
        await a.work()
        await b.follow(*names)
        read = b.standbys.records
        assert read > 0
        await send(a.app, 500, 600)
        await a.work()
        await b.until(lambda: b.standbys.records > read and not any(b.standbys.lags().values()))
        await a.assembly.work.give_up(names)
        await b.arrive(*names)
        assert b.assembly.restore.records == 0, "all of it was there"
        assert (b.standbys.names, b.told) == ((), [])
        await send(a.app, 600, 700)
        await b.work()
        assert await counts(a.app) == expected(700)


@pytest.mark.parametrize("store", STORES)
async def test_a_dead_worker_is_replaced_by_what_followed_it(folder: str, store: str) -> None:
    """It dies in the midst of things: what it had not committed is done by the other, once."""
    async with places(folder, store=store) as (a, b):
        names = a.names
        await a.arrive(*names)
        await send(a.app, 0, 2_000)
        await a.work()
        await b.follow(*names)
        await send(a.app, 2_000, 2_100)
        while await a.loop.round():
            pass
        await a.assembly.commit.send_early(a.assembly.tasks[0].outputs)
        await a.assembly.producer.abort()  # as the broker does when nobody ends the transaction
        await b.arrive(*names)
        assert b.assembly.restore.records == 0
        await b.work()
        assert await counts(a.app) == expected(2_100)


async def test_what_is_not_decided_is_not_followed(folder: str) -> None:
    async with places(folder) as (a, b):
        await a.arrive(*a.names)
        await b.follow(*a.names)
        await send(a.app, 0, 100)
        while await a.loop.round():
            pass
        step = a.assembly.commit.steps()
        for work in step[:4]:  # all is sent, the end is not
            await work()
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert b.standbys.records == 0
        for work in step[4:]:
            await work()
        await b.until(lambda: b.standbys.records > 0 and not any(b.standbys.lags().values()))


def latest(place: str, store: str) -> streams.App:
    """A table that its own topic serves, with what it was at each tick beside it."""
    app = streams.App("latest", data_dir=place, store=store, commit_interval_ms=1)
    table = app.topic("numbers", key_type=str, value_type=int, partitions=1).table(name="newest")
    ticks = app.topic("ticks", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    ticks.stream().join(table, lambda tick, newest: newest).to(out)
    return app


@pytest.mark.parametrize("store", STORES)
async def test_a_table_of_a_topic_is_followed_as_far_as_was_committed(
    folder: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies_module, "LIMIT_S", 0.0)
    async with places(folder, latest, store) as (a, b):
        (name,) = a.names
        await a.arrive(name)
        await send(a.app, 0, 50)
        await a.work()
        await b.follow(name)
        task = b.standbys._copies.by_task[name].task
        assert task.stores.get("newest", b"k15") == (b"49", task.stores.get("newest", b"k15")[1])  # type: ignore[index]
        await send(a.app, 50, 100)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert task.stores.get("newest", b"k15") == (b"49", task.stores.get("newest", b"k15")[1])  # type: ignore[index]
        await a.work()
        await b.until(lambda: task.stores.get("newest", b"k14")[0] == b"99")  # type: ignore[index]
        await a.assembly.work.give_up([name])
        await b.arrive(name)
        assert b.assembly.restore.records == 0


async def test_a_task_that_warms_up_is_told_when_it_lacks_little(folder: str) -> None:
    async with places(folder) as (a, b):
        await a.arrive(*a.names)
        await send(a.app, 0, 300)
        await a.work()
        b.standbys._warm = b.warm.append
        b.standbys._acceptable_lag = -1
        b.standbys.want([], a.names[:1])
        await b.until(lambda: b.standbys.lags() == {a.names[0]: 0})
        assert b.warm == []
        b.standbys._acceptable_lag = 0
        await send(a.app, 300, 400)
        await a.work()  # goes on where it was meanwhile
        await b.until(lambda: b.warm == [a.names[0]])
        b.standbys.want(a.names[:1])
        assert b.warm == [a.names[0]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("store", STORES)
async def test_whatever_is_wanted_in_a_hurry(folder: str, store: str, seed: int) -> None:
    """Each task is followed once, at work, or let go; and nobody holds a folder that he does not use."""
    draw = random.Random(seed)
    async with places(folder, store=store) as (a, b):
        names = a.names
        await a.arrive(*names)
        await send(a.app, 0, 200)
        await a.work()
        for _ in range(60):
            at_work = {task.id for task in b.assembly.tasks} | b.assembly.work.arrivals.under_way.keys()
            wanted = {name for name in names if draw.random() < 0.6} - at_work
            b.standbys.want(wanted, keep=at_work)
            if draw.random() < 0.5:
                taken = sorted(name for name in wanted if draw.random() < 0.3)
                b.standbys.want(wanted - set(taken), keep=at_work | set(taken))
                b.assembly.work.arrivals.begin(taken)
            for _ in range(draw.choice([0, 1, 5, 50])):
                await asyncio.sleep(0)
            b.assembly.work.open_ready()
            if draw.random() < 0.4:
                await b.assembly.work.give_up([name for name in names if draw.random() < 0.5])
        await b.assembly.work.give_up(names)
        await b.follow(names[1])
        assert b.standbys.names == (names[1],)
        await b.until(lambda: not b.standbys._changing)
        await a.assembly.work.give_up(names)
        await b.arrive(*names)
        await send(a.app, 200, 300)
        await b.work()
        assert await counts(a.app) == expected(300)


async def test_a_folder_that_another_has_holds_up_nothing_else(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "WAIT_S", 0.05)
    async with places(folder) as (a, b):
        kept, free, _ = names = a.names
        await a.arrive(*names)
        await send(a.app, 0, 200)
        await a.work()
        other = Folders(b.app.settings)
        other.backend(kept)
        b.standbys.want(names[:2])
        await b.until(lambda: b.standbys.lags() == {free: 0})
        b.standbys.want([free], keep=[kept])
        await a.assembly.work.give_up([kept])
        await b.arrive(kept)  # in another folder, as nobody lets go of the first
        other.close(kept)
        await b.until(lambda: not b.standbys._waiting)
        assert b.standbys.names == (free,)
        await send(a.app, 200, 300)
        await b.work()
        await a.work()
        assert await counts(a.app) == expected(300)


async def test_while_there_is_other_work_following_takes_its_share(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with places(folder) as (_, b):
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        monkeypatch.setattr(copies_module.asyncio, "sleep", sleep)
        await b.standbys._copies._pause(0.01)
        b.standbys._copies._is_busy = lambda: True
        await b.standbys._copies._pause(0.01)
        monkeypatch.undo()
        assert slept == [0, pytest.approx(0.01 * 4)]


async def test_a_log_that_lacks_what_is_to_be_read_is_looked_at_again(
    folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with places(folder) as (a, b):
        await a.arrive(*a.names)
        await send(a.app, 0, 200)
        await a.work()
        name = a.names[0]
        await b.follow(name)
        restorer = b.standbys._copies._reading.restorers(b.standbys._copies.by_task[name].task)[0]
        restorer.position = 10_000
        b.standbys._more.set()
        await b.until(lambda: "followed from where the log is now" in caplog.text)
        await b.follow(name)
        await send(a.app, 200, 300)
        await a.work()
        await a.assembly.work.give_up(a.names)
        await b.arrive(*b.names)
        await send(a.app, 300, 400)
        await b.work()
        assert await counts(a.app) == expected(400)


FOLLOWER = """
import asyncio, os, signal, sys
from test_standby import in_place
from streams.runtime import copies
from streams.runtime.assembling import assemble
from streams.runtime.conditions import Conditions
from streams.runtime.steps import on_step
from streams.transport.opening import open_transport

copies.SAVE_S = 0.0
folder, step, left = sys.argv[1], sys.argv[2], int(sys.argv[3])

def count(reached):
    global left
    left -= reached == step
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    transport, _ = await open_transport(in_place(folder + "/a").settings)
    app = in_place(folder + "/b")
    app.settings = app.settings.with_values({"processing_guarantee": "at_least_once"})  # it writes nothing
    assembly = await assemble(app, transport, Conditions())
    await assembly.begin(lambda event: None)
    on_step(count)
    assembly.standbys.want(assembly.names)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "occurrence"),
    [("restore: look at checkpoints", 1), ("standby: follow", 4), ("restore: write store", 9), ("standby: save", 6)],
)
async def test_a_crash_while_following(folder: str, step: str, occurrence: int) -> None:
    async with places(folder) as (a, b):
        names = a.names
        await a.arrive(*names)
        await send(a.app, 0, 300)
        await a.work()
        follower = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, folder, step, str(occurrence)],
            cwd=Path(__file__).parent,
            env={"PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[3]}"},
        )
        try:
            at = 300
            async with asyncio.timeout(60):
                while follower.poll() is None:
                    await send(a.app, at, at + 20)
                    await a.work()
                    at += 20
                    await asyncio.sleep(0.02)
            assert follower.returncode == -signal.SIGKILL
        finally:
            follower.kill()
            follower.wait()
        await b.follow(*names)
        await a.assembly.work.give_up(names)
        await b.arrive(*names)
        assert b.assembly.restore.records == 0
        await send(a.app, at, at + 50)
        await b.work()
        assert await counts(a.app) == expected(at + 50)


async def test_what_lies_at_a_place_is_told_by_its_lag(folder: str) -> None:
    async with places(folder) as (a, b):
        names = a.names
        await a.arrive(*names)
        await send(a.app, 0, 200)
        await a.work()
        lags = Lags(
            b.app.settings,
            b.assembly._parts,
            b.assembly._whereabouts,
            b.assembly.transport,
            b.assembly.folders,
            b.standbys.lags,
        )
        await lags.look()
        assert lags().keys() == set(names) and all(0 < lag < 100 for lag in lags().values()), "short changelogs"
        lags._settings = b.app.settings.with_values({"acceptable_recovery_lag": 5})
        await lags.look()
        assert lags() == {}, "nothing of it is here"
        await b.follow(*names[:2])
        assert lags() == {names[0]: 0, names[1]: 0}
        b.standbys.want(names[:1])
        await b.until(lambda: b.standbys.names == (names[0],) and not b.standbys._changing)
        assert set(dormant(b.app.settings)) == {names[0], names[1]}
        await lags.look()
        small = lags()[names[1]]
        assert 0 <= small <= 2  # markers, which no checkpoint counts
        await send(a.app, 200, 400)
        await a.work()
        await lags.look()
        assert lags()[names[1]] > small
        await b.until(lambda: lags()[names[0]] == 0)
        RocksBackend(state_folder(b.app.settings) / names[1]).close()
