"""The two brokers that are measured, each in a process of its own: ours and Apache Kafka, under the same settings."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.apache_kafka import BROKER, VERSION, ApacheKafka, free_port

SYSTEMS = ("streams", "kafka")

# What kafka-server-start.sh and kafka-run-class.sh give to the JVM.
KAFKA_JVM = (
    *("-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
    *("-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"),
)

# Internal topics as small on both; a group does not wait for more members, as `streams broker` has it by default.
SETTINGS = {name: value for name, value in BROKER.items() if name.endswith((".partitions", ".factor", ".isr"))} | {
    "auto.create.topics.enable": "true",
    "group.initial.rebalance.delay.ms": "0",
}

# `streams` as its users have it: kio loads hypothesis where it finds it, for 0.1 s, and only our tests bring it along.
AS_INSTALLED = "import sys; sys.modules['hypothesis'] = None; from streams.cli import main; main()"

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Running:
    """A broker that answers; `start_s` is from its process to its first answer."""

    address: str
    pid: int
    start_s: float

    @property
    def peak_mb(self) -> float:
        """The peak of its resident memory."""
        return peak_mb(self.pid)

    @property
    def cpu_s(self) -> float:
        """Processor time so far, of all its threads."""
        return cpu_s(self.pid)


def peak_mb(pid: int) -> float:
    """The peak of a process's resident memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


@contextmanager
def running(system: str, folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Running]:
    """The broker over `folder`; `settings` have Kafka's names. Formatting a new folder is not in the time of Kafka."""
    properties = SETTINGS | {"listeners": f"PLAINTEXT://127.0.0.1:{free_port()}"} | dict(settings or {})
    with _kafka(folder, properties) if system == "kafka" else _ours(folder, properties) as broker:
        yield broker


@contextmanager
def _kafka(folder: Path, properties: Mapping[str, str]) -> Iterator[Running]:
    broker = ApacheKafka(folder, properties, java_options=KAFKA_JVM)
    if not broker.data_dir.exists():
        broker.start()
        broker.stop()
    began = time.perf_counter()
    broker.start()
    try:
        yield Running(broker.bootstrap, broker.pid, first_answer(broker.bootstrap) - began)
    finally:
        broker.stop()


@contextmanager
def _ours(folder: Path, properties: Mapping[str, str]) -> Iterator[Running]:
    address = properties["listeners"].partition("://")[2].partition(",")[0]
    overrides = [word for setting in properties.items() for word in ("--override", "=".join(setting))]
    command = [sys.executable, "-c", AS_INSTALLED, "broker", "--data", str(folder), "-l", "warning"]
    began = time.perf_counter()
    process = subprocess.Popen([*command, *overrides], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield Running(address, process.pid, first_answer(address) - began)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        if process.returncode or " error " in errors.lower():
            print(errors, file=sys.stderr)


def first_answer(address: str) -> float:
    """Asks ApiVersions until it is answered; when that was. Raises RuntimeError after two minutes."""
    host, _, port = address.rpartition(":")
    deadline = time.perf_counter() + 120
    while time.perf_counter() < deadline:
        try:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(bytes.fromhex("0000000a 0012 0000 00000001 ffff"))
                if connection.recv(4):
                    return time.perf_counter()
        except OSError:
            time.sleep(0.002)
    raise RuntimeError(f"no answer from {address}")


def stamp(*clients: str) -> dict[str, Any]:
    """What the figures were measured with, `clients` being packages, and that the answers were right."""
    names = ("streams-engine", "msgspec", "kio", *clients)
    versions = {name: importlib.metadata.version(name) for name in names}
    return {
        "cpus": os.cpu_count(),
        "versions": {"python": platform.python_version(), "apache-kafka": VERSION, **versions},
        "answer_ok": True,
    }
