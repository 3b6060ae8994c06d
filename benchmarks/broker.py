"""`python -m benchmarks broker`: our broker against Apache Kafka 4.3.1, the same clients, in turn.

One client and one partition at a time, so most figures are the client's as much as the broker's. No fsync on either
side, data folders on the same disk, Kafka with the heap that its start script gives it. Every figure has its answer
checked: as many records come out as went in. Needs java, mvn and kcat; what is missing is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.apache_kafka import ApacheKafka, class_path, free_port

SYSTEMS = ("streams", "kafka")
KAFKA_HEAP = ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
BYTES_100, BYTES_1K = 100, 1024
# Ratio of ours to Kafka's that is to be reached; the last three are costs, so they are to stay below.
GOALS = {
    "librdkafka_produce_100b_per_s": 1.25,
    "librdkafka_consume_100b_per_s": 1.1,
    "java_produce_100b_acks1_per_s": 1.5,
    "java_produce_1k_acks_all_per_s": 1.2,
    "aiokafka_produce_per_s": 1.3,
    "aiokafka_consume_per_s": 1.3,
    "send_and_wait_p50_ms": 0.4,
    "send_and_wait_p99_ms": 0.4,
    "resident_mb": 0.15,
    "start_s": 0.1,
}


class WrongAnswerError(RuntimeError):
    """A client got another number of records than were sent."""


class Running:
    """A broker in a process of its own."""

    def __init__(self, address: str, pid: int, start_s: float) -> None:
        self.address, self.pid, self.start_s = address, pid, start_s

    @property
    def resident_mb(self) -> float:
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) / 1024


@contextmanager
def running(system: str, folder: Path) -> Iterator[Running]:
    """The broker, from its process to its first answer timed."""
    began = time.perf_counter()
    if system == "kafka":
        broker = ApacheKafka(folder, java_options=KAFKA_HEAP)
        broker.start()
        try:
            first_answer(broker.bootstrap)
            yield Running(broker.bootstrap, broker.pid, time.perf_counter() - began)
        finally:
            broker.stop()
        return
    port = free_port()
    command = [sys.executable, "-m", "streams", "broker", "--port", str(port), "--data", str(folder), "-l", "warning"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        first_answer(f"127.0.0.1:{port}")
        yield Running(f"127.0.0.1:{port}", process.pid, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def first_answer(address: str) -> None:
    """Asks ApiVersions until it is answered."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(bytes.fromhex("0000000a 0012 0000 00000001 ffff"))
                if connection.recv(4):
                    return
        except OSError:
            time.sleep(0.002)
    raise RuntimeError(f"no answer from {address}")


def run(*command: str, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


# librdkafka, by kcat


def lines_of(count: int, size: int, folder: Path) -> Path:
    path = folder / f"{count}-{size}.txt"
    if not path.exists():
        with path.open("w") as file:
            file.writelines(f"{number:010d}".ljust(size, "x") + "\n" for number in range(count))
    return path


def librdkafka(broker: Running, work: Path, n: int) -> dict[str, float]:
    records = lines_of(n, BYTES_100, work)
    topic = ("-t", "rd", "-p", "0", "-b", broker.address)
    began = time.perf_counter()
    run("kcat", "-P", *topic, "-l", str(records), "-X", "linger.ms=5", "-X", "acks=1")
    produced = time.perf_counter()
    with (work / "out").open("wb") as out:
        subprocess.run(["kcat", "-C", *topic, "-o", "beginning", "-e", "-q"], stdout=out, check=True, timeout=600)
    consumed = time.perf_counter()
    if (work / "out").read_bytes() != records.read_bytes():
        raise WrongAnswerError("kcat read something else than it wrote")
    return {
        "librdkafka_produce_100b_per_s": n / (produced - began),
        "librdkafka_consume_100b_per_s": n / (consumed - produced),
    }


# Kafka's own perf tools


def java(main: str, *arguments: str) -> str:
    return run(
        "java", "-Xmx512m", f"org.apache.kafka.tools.{main}", *arguments, env={**os.environ, "CLASSPATH": class_path()}
    )


def java_produce(broker: Running, topic: str, n: int, size: int, *properties: str) -> float:
    counts = (
        "--num-records",
        str(n),
        "--warmup-records",
        str(n // 5),
        "--record-size",
        str(size),
        "--throughput",
        "-1",
    )
    settings = ("batch.size=65536", "linger.ms=5", *properties)
    printed = java(
        "ProducerPerformance",
        *("--topic", topic, *counts, "--bootstrap-server", broker.address, "--command-property", *settings),
    )
    found = re.findall(r"([\d.]+) records/sec", printed)
    return float(found[-1])


def java_tools(broker: Running, work: Path, n: int) -> dict[str, float]:
    few = n // 4
    return {
        "java_produce_100b_acks1_per_s": java_produce(
            broker, "j100", n, BYTES_100, "acks=1", "enable.idempotence=false"
        ),
        "java_produce_1k_acks_all_per_s": java_produce(broker, "j1k", few, BYTES_1K, "acks=all"),
        "java_consume_100b_per_s": java_consume(broker, "j100", n),
    }


def java_consume(broker: Running, topic: str, n: int) -> float:
    printed = java(
        "ConsumerPerformance", "--bootstrap-server", broker.address, "--topic", topic, "--num-records", str(n)
    )
    header, values = (line.split(", ") for line in printed.strip().splitlines()[-2:])
    row = dict(zip(header, values, strict=True))
    return float(row["fetch.nMsg.sec"])


# aiokafka


def aiokafka(broker: Running, work: Path, n: int) -> dict[str, float]:
    printed = run(sys.executable, "-m", "benchmarks.broker_aiokafka", broker.address, str(n // 4))
    figures: dict[str, float] = json.loads(printed)
    return figures


CLIENTS: tuple[Callable[[Running, Path, int], dict[str, float]], ...] = (librdkafka, java_tools, aiokafka)


def measure(system: str, work: Path, n: int) -> dict[str, float]:
    """All figures of one broker."""
    with tempfile.TemporaryDirectory(dir=work) as folder, running(system, Path(folder) / "broker") as broker:
        figures = {"start_s": broker.start_s}
        for client in CLIENTS:
            figures |= client(broker, work, n)
        figures["resident_mb"] = broker.resident_mb
    return figures


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks broker", description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="records of 100 bytes (default: 1,000,000)")
    parser.add_argument("--runs", type=int, default=3, help="rounds; each runs both brokers once (default: 3)")
    parser.add_argument("--record", action="store_true", help="append the lines to benchmarks/history.jsonl")
    options = parser.parse_args(arguments)
    missing = [name for name in ("java", "mvn", "kcat") if shutil.which(name) is None]
    if missing:
        print(f"not on the PATH: {', '.join(missing)}", file=sys.stderr)
        return 2
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        for round_number in range(options.runs):
            for system in SYSTEMS if round_number % 2 == 0 else reversed(SYSTEMS):
                figures = measure(system, Path(work), options.n)
                line = {"workload": "broker", "system": system, "n": options.n, **figures}
                lines.append(line)
                print(json.dumps(line), flush=True)
    lines.append(summary(lines))
    print(json.dumps(lines[-1]))
    if options.record:
        from benchmarks.__main__ import record

        record(lines)
    return 0


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of ours by Kafka's, each beside its goal."""
    ratios = {}
    for name in lines[0]:
        values = {system: [line[name] for line in lines if line["system"] == system] for system in SYSTEMS}
        if name in GOALS or name.endswith(("_per_s", "_ms", "_mb", "_s")):
            ratio = statistics.median(values["streams"]) / statistics.median(values["kafka"])
            ratios[name] = {"ratio": round(ratio, 3), "goal": GOALS.get(name)}
    return {"workload": "broker", "summary": ratios}


if __name__ == "__main__":
    sys.exit(main())
