"""The two brokers that the same steps run on: ours and Apache Kafka."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.interop.apache_kafka import ApacheKafka, free_port

ROOT = Path(__file__).parent.parent.parent
NAMES = ("ours", "kafka")

QUICK = {
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.assignment.interval.ms": "0",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""Settings of both brokers: groups rebalance soon, and ACLs can be set."""


class Broker(Protocol):
    """A broker in a process of its own."""

    bootstrap: str
    data_dir: Path

    @property
    def pid(self) -> int: ...

    def start(self) -> None:
        """Returns when it answers; again after `kill` or `stop`, at the same address and over the same folder."""

    def kill(self) -> None:
        """As a power switch would: no signal to it, no goodbye to clients."""

    def stop(self) -> None: ...


class OurBroker:
    """Ours, started as its users start it; `config` has Kafka's names."""

    def __init__(self, folder: Path, config: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.config = {"auto.create.topics.enable": "true"} | dict(config or {})
        listeners = self.config.setdefault("listeners", f"PLAINTEXT://127.0.0.1:{free_port()}")
        self.bootstrap = listeners.partition("://")[2].partition(",")[0]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = [f"{key}={value}" for key, value in self.config.items()]
        command = [sys.executable, "-m", "tests.interop.serve", str(self.data_dir), *settings]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self._finish()
            raise RuntimeError(
                f"our broker did not start; its log:\n{(self.folder / 'server.log').read_text()[-4000:]}"
            )

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._finish()

    def stop(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._finish()

    def _finish(self) -> None:
        assert self._process is not None
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


def new_broker(name: str, folder: Path, config: Mapping[str, str] | None = None) -> Broker:
    config = QUICK | dict(config or {})
    return OurBroker(folder, config) if name == "ours" else ApacheKafka(folder, config)


@contextmanager
def running_broker(name: str, folder: Path, config: Mapping[str, str] | None = None) -> Iterator[Broker]:
    broker = new_broker(name, folder, config)
    broker.start()
    try:
        assert_answers(broker)
        yield broker
    finally:
        broker.stop()


def assert_answers(broker: Broker) -> None:
    """One request, ApiVersions v0: a broker that can't answer that makes every client wait for long."""
    host, _, port = broker.bootstrap.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(bytes.fromhex("0000000a 0012 0000 00000001 ffff"))
        assert connection.recv(4), f"the broker hung up; see {broker.data_dir.parent / 'server.log'}"
