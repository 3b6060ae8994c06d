"""`python -m benchmarks broker-load`: 1,000 partitions, 100 producers and 100 consumers, half of them over TLS.

Ours against Apache Kafka 4.3.1, in turn, while logs are compacted. The clients are librdkafka's, in two processes: one
without and one with TLS. Ten topics, each with producers and a group of consumers; four topics of the ten are
compacted: a segment is finished every five seconds, and dirty as soon as anything in it is. Three phases: warm-up, an
offered rate that both sides keep up with (latencies), as many as get through (throughput). Each record has to arrive
exactly once.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.broker_process import SYSTEMS, Running, running, stamp
from benchmarks.history import record
from tests.interop.apache_kafka import free_port

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "5000",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "5000",  # a record has arrived before it may go
}
SETTINGS = {"log.cleaner.backoff.ms": "1000", "auto.create.topics.enable": "false"}
# Ratio of ours to Kafka's: throughput at least, what is a cost at most.
GOALS = {
    "full_produced_per_s": 1.1,
    "full_consumed_per_s": 1.1,
    "offered_produce_p99_ms": 1.0,
    "offered_end_to_end_p99_ms": 1.0,
    "peak_mb": 0.15,
}


@dataclass(frozen=True)
class Load:
    """How much, and for how long."""

    partitions: int = 1000
    clients: int = 100  # producers, and as many consumers
    rate: int = 20_000  # records a second that are offered, over all producers
    seconds: float = 20
    warm_up_seconds: float = 60
    in_flight: int = 100  # of each producer, when as many are sent as get through

    @property
    def topics(self) -> list[str]:
        return [f"load-{number}" for number in range(max(4, self.clients // 10))]

    @property
    def compacted(self) -> list[str]:
        """Of each process's topics every second."""
        return [topic for number, topic in enumerate(self.topics) if number // 2 % 2]


# The broker


def with_tls(folder: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Settings of a broker with one listener of each kind, and the settings of librdkafka for each."""
    import trustme
    from cryptography.hazmat.primitives import serialization

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # the only form that Kafka reads
    store, trusted = folder / "broker.pem", folder / "authority.pem"
    store.write_bytes(key + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    authority.cert_pem.write_to_path(str(trusted))
    plain, tls = (f"127.0.0.1:{free_port()}" for _ in range(2))
    settings = {
        "listeners": f"PLAINTEXT://{plain},SSL://{tls}",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
    }
    clients = [
        {"bootstrap.servers": plain},
        {"bootstrap.servers": tls, "security.protocol": "ssl", "ssl.ca.location": str(trusted)},
    ]
    return SETTINGS | settings, clients


def make_topics(address: str, load: Load) -> None:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    each = load.partitions // len(load.topics)
    wanted = [NewTopic(topic, each, 1, config=COMPACTED if topic in load.compacted else {}) for topic in load.topics]
    admin = AdminClient({"bootstrap.servers": address})
    for made in admin.create_topics(wanted, request_timeout=60).values():
        made.result()


def compacted_partitions(folder: Path, load: Load) -> int:
    """How many have been compacted, by the checkpoint that both brokers write."""
    found = [path.read_text().splitlines()[2:] for path in folder.rglob("cleaner-offset-checkpoint")]
    rows = [line.rsplit(" ", 2) for lines in found for line in lines]
    return sum(topic in load.compacted and int(offset) > 0 for topic, _, offset in rows)


# The clients


class ClientProcess:
    """Clients of one kind in a process of their own."""

    def __init__(self, client: dict[str, Any], topics: Sequence[str], load: Load) -> None:
        settings = {
            "client": client,
            "topics": topics,
            "partitions": load.partitions // len(load.topics),
            "clients": load.clients // 2,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.broker_load_clients", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, phase: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(phase) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Raises RuntimeError when the process has ended; why is on standard error."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of clients ended with exit code {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def clients_of(kinds: Sequence[dict[str, Any]], load: Load) -> Iterator[list[ClientProcess]]:
    """A process for each kind; each has every other topic for itself."""
    with ExitStack() as stack:
        processes = []
        for number, client in enumerate(kinds):
            processes.append(ClientProcess(client, load.topics[number :: len(kinds)], load))
            stack.callback(processes[-1].close)
        for process in processes:
            process.answer()
        yield processes


# Phases


def phase(broker: Running, processes: Sequence[ClientProcess], asked: dict[str, Any]) -> dict[str, float]:
    """One phase in all processes at once: what they saw, and what it has cost."""
    broker_cpu_s, clients_cpu_s, began = broker.cpu_s, _children_cpu_s(processes), time.perf_counter()
    for process in processes:
        process.ask(asked)
    answers = [process.answer() for process in processes]
    seconds = time.perf_counter() - began
    broker_cpu_s = broker.cpu_s - broker_cpu_s
    clients_cpu_s = _children_cpu_s(processes) - clients_cpu_s
    produced, consumed = (sum(answer[name] for answer in answers) for name in ("produced", "consumed"))
    return {
        "produced_per_s": round(produced / seconds),
        "consumed_per_s": round(consumed / seconds),
        "broker_cpu_s_per_million": round(1e6 * broker_cpu_s / produced, 2),
        "broker_cores": round(broker_cpu_s / seconds, 3),
        "client_cores": round(clients_cpu_s / seconds, 3),
        **_latencies(answers),
    }


def _children_cpu_s(processes: Sequence[ClientProcess]) -> float:
    return sum(Running("", process._process.pid, 0).cpu_s for process in processes)


def _latencies(answers: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of the processes together: of as many records each, so the percentiles are those of both halves in one."""
    figures: dict[str, float] = {}
    for name in ("produce_ms", "end_to_end_ms"):
        merged = sorted(value for answer in answers for value in answer[name])
        percentiles = statistics.quantiles(merged, n=100, method="inclusive")
        label = name.removesuffix("_ms")
        figures |= {
            f"{label}_p50_ms": round(percentiles[49], 3),
            f"{label}_p99_ms": round(percentiles[98], 3),
            f"{label}_max_ms": round(merged[-1], 3),
        }
        for kind, answer in zip(("plain", "tls"), answers, strict=False):
            figures[f"{label}_{kind}_p99_ms"] = answer[name][98]
    return figures


def measure(system: str, work: Path, load: Load) -> dict[str, float]:
    """All figures of one broker. Raises RuntimeError for an error of a client, or a wrong answer."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        settings, kinds = with_tls(folder)
        with running(system, folder / "broker", settings) as broker:
            make_topics(broker.address, load)
            figures = {"start_s": broker.start_s}
            with clients_of(kinds, load) as processes:
                phase(broker, processes, {"seconds": load.warm_up_seconds, "in_flight": load.in_flight})
                offered = phase(broker, processes, {"seconds": load.seconds, "rate": load.rate // len(kinds)})
                figures |= {f"offered_{name}": value for name, value in offered.items()}
                full = phase(broker, processes, {"seconds": load.seconds, "in_flight": load.in_flight})
                figures |= {f"full_{name}": value for name, value in full.items()}
            figures["peak_mb"] = round(broker.peak_mb, 1)
            figures["compacted_partitions"] = compacted_partitions(folder, load)
    return figures


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    systems = [options.only] if options.only else list(SYSTEMS)
    if "kafka" in systems and (missing := [name for name in ("java", "mvn") if shutil.which(name) is None]):
        print(f"not on the PATH: {', '.join(missing)}", file=sys.stderr)
        return 2
    load = Load(options.partitions, options.clients, options.rate, options.seconds, options.warm_up)
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        for run in range(options.runs):
            for system in systems if run % 2 == 0 else reversed(systems):
                lines.append(_line(system, run, load, measure(system, Path(work), load)))
                print(json.dumps(lines[-1]), flush=True)
    if len(systems) > 1:
        from benchmarks.broker import summary

        lines.append(summary("broker-load", lines, GOALS))
        print(json.dumps(lines[-1]))
    if options.record:
        record(lines)
    return 0


def _line(system: str, run: int, load: Load, figures: dict[str, float]) -> dict[str, Any]:
    size = {"partitions": load.partitions, "clients": load.clients, "rate": load.rate, "seconds": load.seconds}
    return {"workload": "broker-load", "system": system, "run": run, **size, **figures, **stamp("confluent-kafka")}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks broker-load", description=__doc__)
    parser.add_argument("--partitions", type=int, default=Load.partitions, help="over all topics (default: 1000)")
    parser.add_argument("--clients", type=int, default=Load.clients, help="producers, and consumers (default: 100)")
    parser.add_argument("--rate", type=int, default=Load.rate, help="records a second offered (default: 20000)")
    parser.add_argument("--seconds", type=float, default=Load.seconds, help="of each phase (default: 20)")
    parser.add_argument("--warm-up", type=float, default=Load.warm_up_seconds, help="seconds not counted (default: 60)")
    parser.add_argument("--runs", type=int, default=3, help="rounds; each runs both brokers once (default: 3)")
    parser.add_argument("--only", choices=SYSTEMS, help="this broker alone")
    parser.add_argument("--record", action="store_true", help="append the lines to benchmarks/history.jsonl")
    return parser


if __name__ == "__main__":
    sys.exit(main())
