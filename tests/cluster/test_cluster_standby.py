"""Standbys on Apache Kafka: who takes over has the tables already; who is frozen keeps nobody from his."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import pytest

import streams
from broker_embedded.lock import said_by
from tests.cluster.kafka_cluster import KafkaCluster
from tests.cluster.standby_app import PARTITIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parent.parent.parent
STREAMS = str(Path(sys.executable).with_name("streams"))
KEYS = 20_000
SESSION_S = 6


class Worker:
    """`streams worker` at a place, and what it has written."""

    def __init__(self, broker: str, app_id: str, place: Path, name: str, **settings: str) -> None:
        self.log = place.parent / f"{name}.log"
        self.place = place
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "STREAMS_BROKER": f"kafka://{broker}",
            "STREAMS_ID": app_id,
            "STREAMS_DATA_DIR": str(place),
            "STREAMS_SESSION_TIMEOUT_MS": f"{SESSION_S}000",
            "STREAMS_HEARTBEAT_INTERVAL_MS": "500",
            **settings,
        }
        command = [STREAMS, "worker", "tests.cluster.standby_app:app"]
        self._file: IO[bytes] = self.log.open("ab")
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self._file, stderr=self._file)

    def said(self, pattern: str) -> list[str]:
        return re.findall(pattern, self.log.read_text())

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        self.signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self._file.close()


class Table:
    """What goes into the app and comes out of it: of each key one, two, three and so on."""

    def __init__(self, client: streams.Client, name: str) -> None:
        self._client = client
        self._name = name
        self.sent = 0
        self.seen: dict[str, list[int]] = {}
        self.count = 0
        self.last_s: dict[int, float] = {}
        """When the last result of each partition came."""

    async def send(self, count: int) -> None:
        rows = [(f"k{n % KEYS}".encode(), b"1") for n in range(self.sent, self.sent + count)]
        self.sent += count
        await self._client.send_many(f"{self._name}-numbers", rows)

    async def feed(self) -> None:
        while True:
            await self.send(200)
            await asyncio.sleep(0.05)

    async def follow(self) -> None:
        async for record in self._client.read(f"{self._name}-counts", follow=True):
            self.seen.setdefault(bytes(record.key).decode(), []).append(int(record.value))
            self.count += 1
            self.last_s[record.partition] = time.monotonic()

    async def check(self) -> None:
        """All that was sent was counted once."""
        await until(lambda: self.count >= self.sent, 60)
        await asyncio.sleep(1)
        expected = {f"k{key}": list(range(1, len(range(key, self.sent, KEYS)) + 1)) for key in range(KEYS)}
        assert self.seen == {key: rows for key, rows in expected.items() if rows}


async def until(condition: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def table(cluster: KafkaCluster, name: str) -> AsyncIterator[Table]:
    async with streams.Client(f"kafka://{cluster.bootstrap}") as client:
        for topic in (f"{name}-numbers", f"{name}-counts"):
            await client.admin.create_topic(topic, partitions=PARTITIONS)
        made = Table(client, name)
        following = asyncio.ensure_future(made.follow())
        yield made
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_killed_worker_is_replaced_by_what_followed_it(
    one_broker: KafkaCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"STREAMS_NUM_STANDBY_REPLICAS": "1"}
    workers: list[Worker] = []
    try:
        async with table(one_broker, "replaced") as counts:
            workers += [Worker(one_broker.bootstrap, "replaced", tmp_path / name, name, **settings) for name in "ab"]
            await counts.send(5 * KEYS)
            await until(lambda: counts.count >= counts.sent, 120)
            followed = r"task (\S+) is followed"
            await until(lambda: sum(len(set(worker.said(followed))) for worker in workers) >= 6, 60)
            feeding = asyncio.ensure_future(counts.feed())
            await asyncio.sleep(3)
            killed, other = workers
            others = len(other.said("restored counts"))
            killed.signal(signal.SIGKILL)
            killed_s = time.monotonic()
            await asyncio.sleep(1)
            silent = {partition for partition, last_s in counts.last_s.items() if last_s < time.monotonic() - 0.7}
            await until(lambda: all(counts.last_s[partition] > killed_s + 2 for partition in range(PARTITIONS)), 60)
            seconds = time.monotonic() - killed_s
            feeding.cancel()
            lacked = [int(text) for text in other.said(r"its standby goes to work, (\d+) records behind")]
            await counts.check()
        restored = other.said(r"restored counts-\d: ([\d,]+) records")[others:]
        with capsys.disabled():
            print(
                f"\nkilled: {len(silent)} partitions silent; all have results again after {seconds:.1f} s, "
                f"{SESSION_S} s of them the session; standbys lacked {lacked}, restored {restored or 'nothing'}"
            )
        assert lacked and max(lacked) < 5_000
        assert sum(int(text.replace(",", "")) for text in restored) < 5_000
    finally:
        for worker in workers:
            worker.end()


async def test_a_frozen_worker_of_a_place_keeps_nobody_from_its_tasks(one_broker: KafkaCluster, tmp_path: Path) -> None:
    workers: list[Worker] = []
    try:
        async with table(one_broker, "frozen") as counts:
            workers += [Worker(one_broker.bootstrap, "frozen", tmp_path / "place", name) for name in "ab"]
            await counts.send(2 * KEYS)
            await until(lambda: counts.count >= counts.sent, 120)
            await until(lambda: all(worker.said("is in generation") for worker in workers), 60)
            await asyncio.sleep(3)
            feeding = asyncio.ensure_future(counts.feed())
            await asyncio.sleep(2)
            frozen = workers[0]
            frozen.signal(signal.SIGSTOP)
            frozen_s = time.monotonic()
            await until(lambda: all(counts.last_s[partition] > frozen_s + 2 for partition in range(PARTITIONS)), 60)
            folders = sorted(path.name for path in (tmp_path / "place" / "state" / "frozen").iterdir() if path.is_dir())
            assert any(name.endswith(".2") for name in folders), folders
            assert workers[1].said("does not let go of")
            frozen.signal(signal.SIGCONT)
            await asyncio.sleep(8)
            feeding.cancel()
            await counts.check()
            assert frozen.process.poll() is None, frozen.log.read_text()[-3_000:]
            await counts.send(1_000)
            await counts.check()
    finally:
        for worker in workers:
            worker.end()
    pid = said_by(tmp_path / "place" / "seats" / "frozen", "slot-0").get("pid")
    assert pid in [worker.process.pid for worker in workers]
