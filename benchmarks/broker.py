"""`python -m benchmarks broker`: our broker against Apache Kafka 4.3.1, the same clients, in turn.

One client and one partition at a time, so most figures are the client's as much as the broker's. No fsync on either
side, data folders on the same disk, Kafka with the JVM's settings of its start script; both are warmed up. Every figure
has its answer checked: as many records come out as went in. Needs java, mvn and kcat; what is missing is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.broker_process import SYSTEMS, Running, running, stamp
from benchmarks.history import record
from tests.interop.apache_kafka import class_path

BYTES_100, BYTES_1K = 100, 1024
READS = 3
# How the names of figures end.
MEASURED = ("_per_s", "_ms", "_mb", "_s", "_cores", "_per_million")
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
    "peak_mb": 0.15,
    "start_s": 0.1,
}


class WrongAnswerError(RuntimeError):
    """A client got another number of records than were sent."""


def run(*command: str, **options: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, **options
    )
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


def warm_up(broker: Running, work: Path, n: int) -> None:
    """Two times as many as are counted: a JVM's first millions run two to three times slower than the rest."""
    for topic in ("warm-up-1", "warm-up-2"):
        librdkafka(broker, work, n, topic)


def librdkafka(broker: Running, work: Path, n: int, name: str = "rd") -> dict[str, float]:
    records = lines_of(n, BYTES_100, work)
    topic = ("-t", name, "-p", "0", "-b", broker.address)
    began = time.perf_counter()
    run("kcat", "-P", *topic, "-l", str(records), "-X", "linger.ms=5", "-X", "acks=1")
    produce_s = time.perf_counter() - began
    consume_s = min(kcat_read(topic, records, n, work) for _ in range(READS))
    return {"librdkafka_produce_100b_per_s": n / produce_s, "librdkafka_consume_100b_per_s": n / consume_s}


def kcat_read(topic: tuple[str, ...], records: Path, n: int, work: Path) -> float:
    """Seconds of one read. The best of several counts: librdkafka now and then waits 0.5 s before it begins, when the
    answer about the leader comes before it has made up its mind to fetch."""
    began = time.perf_counter()
    with (work / "out").open("wb") as out:
        subprocess.run(
            ["kcat", "-C", *topic, "-o", "beginning", "-c", str(n), "-q"], stdout=out, check=True, timeout=600
        )
    took_s = time.perf_counter() - began
    if (work / "out").read_bytes() != records.read_bytes():
        raise WrongAnswerError("kcat read something else than it wrote")
    return took_s


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
    kept = end_offset(broker, topic)
    if kept != n:
        raise WrongAnswerError(f"{topic} has {kept} records, {n} were sent")
    found = re.findall(r"([\d.]+) records/sec", printed)
    return float(found[-1])


def end_offset(broker: Running, topic: str) -> int:
    printed = run("kcat", "-Q", "-b", broker.address, "-t", f"{topic}:0:-1")
    return int(printed.split()[-1])


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
    if int(row["data.consumed.in.nMsg"]) < n:
        raise WrongAnswerError(f"{topic}: {row['data.consumed.in.nMsg']} of {n} records were read")
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
        warm_up(broker, work, n)
        for client in CLIENTS:
            figures |= client(broker, work, n)
        figures["broker_cpu_s"] = broker.cpu_s
        figures["peak_mb"] = broker.peak_mb
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints, and gives the exit code."""
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
        for number in range(options.runs):
            for system in SYSTEMS if number % 2 == 0 else reversed(SYSTEMS):
                figures = {name: round(figure, 4) for name, figure in measure(system, Path(work), options.n).items()}
                line = {"workload": "broker", "system": system, "run": number, "n": options.n, **figures}
                lines.append(line | stamp("aiokafka"))
                print(json.dumps(lines[-1]), flush=True)
    lines.append(summary("broker", lines, GOALS))
    print(json.dumps(lines[-1]))
    if options.record:
        record(lines)
    return 0


def summary(workload: str, lines: Sequence[dict[str, Any]], goals: Mapping[str, float]) -> dict[str, Any]:
    """Of each figure: smallest, median and largest of both sides, and the ratio of the medians beside its goal."""
    figures = {}
    for name in lines[0]:
        if not name.endswith(MEASURED):
            continue
        sides = {system: [line[name] for line in lines if line["system"] == system] for system in SYSTEMS}
        ratio = statistics.median(sides["streams"]) / statistics.median(sides["kafka"])
        spread = {system: [min(of), statistics.median(of), max(of)] for system, of in sides.items()}
        figures[name] = {"ratio": round(ratio, 3), "goal": goals.get(name), **spread}
    return {"summary": workload, "runs": len(lines) // 2, "min_median_max": figures}


if __name__ == "__main__":
    sys.exit(main())
