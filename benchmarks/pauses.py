"""How long partitions stand still when workers come, go and die: ours and Kafka Streams, on one cluster, same data.

`python -m benchmarks pauses` starts three brokers (replication factor 3, two in sync) and feeds six partitions, each at
an even pace, after a state of so many keys has been built. It prints a JSON line for each figure, system and round:

- `quiet_s`: nothing happens; the longest time without a result of any partition
- `stays_s`: a third process joins two; the same for the partitions that stay where they are
- `moves_s`: the same for those that move to it
- `warm_s`: one of two processes with a standby each is asked to end; the longest time of its partitions
- `kill_s`: one of two is killed with -9 and started again over its folder; from there to the first result of its
  partitions for a record that was sent after the kill

A result counts when a read-committed consumer of another library has it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.pauses_app import PARTITIONS
from streams.partitioner import partition_for
from tests.cluster.kafka_cluster import KafkaCluster, running_cluster
from tests.interop.apache_kafka import class_path

ROOT = Path(__file__).parent.parent
JAVA = Path(__file__).parent / "peers" / "kafka_streams"
RATE = 50
"""Records a second and partition."""
WATCHED_S = 15.0
"""After something has happened, and the group is as it is to be."""
SETTLED_MAX_S = 180.0

Moment = float
Owners = dict[int, str]


class Process:
    """A worker, or an instance of the peer."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, {**os.environ, **environment}, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """It leaves its group and ends: at SIGTERM, or at the end of its input."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        if self._command[0] != "java":
            self.process.terminate()
        self.process.wait(90)


def ours(address: str, app: str, folder: Path, number: int, standbys: int) -> Process:
    """A worker with the settings that it has by default, but for standbys; one that stops leaves."""
    command = [str(Path(sys.executable).with_name("streams")), "worker", "benchmarks.pauses_app:app"]
    environment = {
        "PYTHONPATH": str(ROOT),
        "PAUSES_APP": app,
        "STREAMS_BROKER": f"kafka://{address}",
        "STREAMS_DATA_DIR": str(folder / f"ours-{number}"),
        "STREAMS_NUM_STANDBY_REPLICAS": str(standbys),
        "STREAMS_LEAVE_ON_STOP": "true",
    }
    return Process(command, environment, folder / f"ours-{number}.log")


def kafka_streams(address: str, app: str, folder: Path, number: int, standbys: int, *more: str) -> Process:
    """An instance with exactly_once_v2 and one thread."""
    options = ("-Xms256m", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    command = ["java", *options, "Pauses", address, app, str(folder / f"java-{number}"), f"{app}-in", f"{app}-out"]
    # As often as it may look whether a task that was warmed up can move: by default it does every ten minutes.
    settings = (f"num.standby.replicas={standbys}", "probing.rebalance.interval.ms=60000", *more)
    environment = {"CLASSPATH": class_path(JAVA, ("kafka-streams",))}
    return Process([*command, *settings], environment, folder / f"java-{number}.log")


def kafka_streams_static(address: str, app: str, folder: Path, number: int, standbys: int) -> Process:
    """The same with static membership, as it is recommended for restarts."""
    return kafka_streams(address, app, folder, number, standbys, f"consumer.group.instance.id={app}-{number}")


SYSTEMS: dict[str, Callable[[str, str, Path, int, int], Process]] = {
    "streams": ours,
    "kafka-streams": kafka_streams,
    "kafka-streams-static": kafka_streams_static,
}


class Traffic:
    """Feeds each partition at an even pace, and writes down when each result came."""

    def __init__(self, address: str, app: str, keys: int) -> None:
        from confluent_kafka import Consumer, Producer, TopicPartition

        self._topic = f"{app}-in"
        self._keys: dict[int, list[bytes]] = defaultdict(list)
        for n in range(keys):
            key = f"key-{n}".encode()
            self._keys[partition_for(key, PARTITIONS)].append(key)
        self._producer = Producer({"bootstrap.servers": address, "acks": "all", "linger.ms": 1, "log_level": 0})
        reader = {"bootstrap.servers": address, "group.id": f"{app}-measure", "isolation.level": "read_committed"}
        self._consumer = Consumer({**reader, "log_level": 0})
        self._consumer.assign([TopicPartition(f"{app}-out", p, 0) for p in range(PARTITIONS)])
        self.results: dict[int, list[tuple[Moment, Moment]]] = defaultdict(list)
        """By partition: when each came, and when its record was sent."""
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._feed, self._read)]

    def build(self) -> None:
        """A record of each key; returns when all have their result."""
        self._threads[1].start()
        for partition, keys in self._keys.items():
            for key in keys:
                self._send(partition, key)
                self._producer.poll(0)
        self._producer.flush()
        wanted = sum(map(len, self._keys.values()))
        _until(lambda: sum(map(len, self.results.values())) >= wanted, f"{wanted} results")

    def start(self) -> None:
        self._threads[0].start()

    def _send(self, partition: int, key: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, b"%d" % time.monotonic_ns(), key, partition)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _feed(self) -> None:
        began, n = time.monotonic(), 0
        while not self._stopping.is_set():
            for partition, keys in self._keys.items():
                self._send(partition, keys[n % len(keys)])
            n += 1
            while (ahead_s := began + n / RATE - time.monotonic()) > 0:
                self._producer.poll(ahead_s)

    def _read(self) -> None:
        while not self._stopping.is_set():
            for message in self._consumer.consume(500, 0.01):
                if message.error() is None:
                    sent = json.loads(message.value() or b"")[1] / 1e9
                    self.results[message.partition() or 0].append((time.monotonic(), sent))

    def longest_s(self, partition: int, since: Moment) -> float:
        """The longest time without a result of a partition."""
        moments = [at for at, _ in self.results[partition]]
        begin = max((at for at in moments if at <= since), default=since)
        gaps = [begin, *(at for at in moments if at > since), time.monotonic()]
        return max(after - before for before, after in pairwise(gaps))

    def first_after_s(self, partitions: set[int], moment: Moment) -> float:
        """From a moment to the first result for a record that was sent after it."""

        def there() -> list[Moment]:
            return [at for p in partitions for at, sent in list(self.results[p]) if sent > moment]

        _until(lambda: bool(there()), f"a result of {partitions}")
        return min(there()) - moment

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._consumer.close()


def _until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SETTLED_MAX_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {SETTLED_MAX_S:.0f} s: {what}")
        time.sleep(0.05)


class Case:
    """One system with so many processes, its state built, under traffic."""

    def __init__(self, cluster: KafkaCluster, system: str, folder: Path, name: str, standbys: int, keys: int) -> None:
        self._cluster, self._system, self._folder, self._standbys = cluster, system, folder, standbys
        self._app = f"{name}-{system}"
        self._make_topics()
        self.processes: list[Process] = []
        self.traffic = Traffic(cluster.bootstrap, self._app, keys)

    def begin(self) -> None:
        for _ in range(2):
            self.add()
        self.settle(2)
        self.traffic.build()
        self.traffic.start()
        time.sleep(5)

    def _make_topics(self) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

        admin = AdminClient({"bootstrap.servers": self._cluster.bootstrap, "log_level": 0})
        wanted = [NewTopic(f"{self._app}-{end}", PARTITIONS, config={"retention.ms": "-1"}) for end in ("in", "out")]
        for made in admin.create_topics(wanted).values():
            made.result(30)

    def add(self) -> None:
        make = SYSTEMS[self._system]
        process = make(self._cluster.bootstrap, self._app, self._folder, len(self.processes), self._standbys)
        process.start()
        self.processes.append(process)

    def owners(self) -> Owners:
        """Who has which partition of the input, as the group's coordinator says; nobody when it does not answer."""
        from streams.admin import Admin
        from streams.transport.contract import TransportError
        from streams.transport.kafka import KafkaTransport

        async def describe() -> Owners:
            transport = KafkaTransport(self._cluster.bootstrap, request_timeout_ms=5_000, retry_timeout_ms=5_000)
            await transport.start()
            try:
                described = await Admin(transport).describe_group(self._app)
            finally:
                await transport.stop()
            return {
                tp.partition: member.instance_id or member.member_id
                for member in described.members
                for tp in member.partitions
                if tp.topic == f"{self._app}-in"
            }

        try:
            return asyncio.run(describe())
        except TransportError:
            return {}

    def settle(self, members: int) -> Owners:
        """Waits until all partitions are shared evenly, and stay so."""
        found: Owners = {}

        def even() -> bool:
            nonlocal found
            before, found = found, self.owners()
            of = list(found.values())
            return before == found and len(of) == PARTITIONS and len(set(of)) == members

        _until(even, f"{members} members")
        return found

    def end(self) -> None:
        self.traffic.stop()
        for process in self.processes:
            process.kill()


@contextmanager
def case(*arguments: Any) -> Iterator[Case]:
    made = Case(*arguments)
    try:
        made.begin()
        yield made
    finally:
        made.end()


def joins(of: Case) -> dict[str, float]:
    before, began = of.settle(2), time.monotonic()
    time.sleep(WATCHED_S)
    quiet_s = max(of.traffic.longest_s(p, began) for p in before)
    began = time.monotonic()
    of.add()
    after = of.settle(3)
    time.sleep(WATCHED_S)
    stay = {p for p in after if after[p] == before[p]}
    pauses = {p: of.traffic.longest_s(p, began) for p in after}
    moved = [pauses[p] for p in after if p not in stay]
    found = {"quiet_s": quiet_s, "stays_s": max(pauses[p] for p in stay)}
    return found | ({"moves_s": max(moved)} if moved else {})


def leaves(of: Case) -> dict[str, float]:
    before, began = of.settle(2), time.monotonic()
    of.processes[0].stop()
    after = of.settle(1)
    time.sleep(WATCHED_S)
    moved = {p for p in after if after[p] != before[p]}
    return {"warm_s": max(of.traffic.longest_s(p, began) for p in moved)}


def killed(of: Case) -> dict[str, float]:
    before = of.settle(2)
    of.processes[0].kill()
    moment = time.monotonic()
    of.processes[0].start()
    # Which of the two has which partitions the broker does not say; those of the other go on.
    shares = [{p for p in before if before[p] == name} for name in set(before.values())]
    return {"kill_s": max(of.traffic.first_after_s(share, moment) for share in shares)}


SCENES = {"joins": (joins, 0), "leaves": (leaves, 1), "killed": (killed, 0)}
"""What happens, and with how many standbys."""


def main(arguments: list[str]) -> int:
    """Measures, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pauses", description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000, help="keys of the state (default: 100,000)")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", action="append", choices=SYSTEMS)
    parser.add_argument("--scene", action="append", choices=SCENES)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="pauses-") as root, running_cluster(Path(root, "brokers")) as cluster:
        for run in range(options.runs):
            for scene in options.scene or SCENES:
                work, standbys = SCENES[scene]
                for system in options.only or SYSTEMS:
                    folder = Path(root, f"{scene}-{system}-{run}")
                    folder.mkdir()
                    with case(cluster, system, folder, f"{scene}-{run}", standbys, options.keys) as of:
                        for figure, seconds in work(of).items():
                            line = {"workload": "pauses", "figure": figure, "system": system, "run": run}
                            more = {"seconds": round(seconds, 3), "keys": options.keys}
                            print(json.dumps({**line, **more}), flush=True)
    return 0
