"""`python -m benchmarks compare [WORKLOAD ...]`: ours and the peers side by side, and a table of what came out.

Every run goes to `benchmarks/results/<date>.jsonl`. A ratio is of two runs of one round; the table has the median of
the rounds, the smallest and the largest. Of rates more is better, of times and memory less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.harness import TIMES, FailedRunError, Plan
from benchmarks.history import commit, now
from benchmarks.peers import PeerMissingError

RESULTS = Path(__file__).with_name("results")

KAFKA_STREAMS_SOON = "kafka-streams:1:commit=10"
"""Kafka Streams where latency counts: one thread and ten milliseconds gave the least, exactly once."""
PEERS = {
    "windowed": ("kafka-streams", "quix", "faust"),
    "stateless": ("kafka-streams", "quix", "faust"),
    "agent": ("kafka-streams", "quix", "faust"),
    "join": ("kafka-streams",),
    "keyed": ("kafka-streams",),
    "restore": ("kafka-streams",),
    "start": ("kafka-streams", "quix", "faust"),
    "latency": (KAFKA_STREAMS_SOON, "quix:exactly_once"),
}
EMBEDDED_PEERS = ("bound-dict:windowed",)


@dataclass(frozen=True)
class Goal:
    """What a ratio is to be: at least, or of times and memory at most."""

    workload: str
    peer: str
    figure: str
    ratio: float


GOALS = (
    Goal("windowed", "kafka-streams", "events_per_s", 5),
    Goal("windowed", "kafka-streams", "peak_rss_mb", 1 / 5),
    Goal("windowed", "quix", "events_per_s", 50),
    Goal("windowed", "faust", "events_per_s", 50),
    Goal("stateless", "kafka-streams", "events_per_s", 3),
    Goal("agent", "quix", "events_per_s", 30),
    Goal("agent", "faust", "events_per_s", 30),
    Goal("keyed", "kafka-streams", "events_per_s", 2),
    Goal("restore", "kafka-streams", "events_per_s", 4),
    Goal("start", "kafka-streams", "seconds", 1 / 3),
    Goal("latency", KAFKA_STREAMS_SOON, "p50_ms", 1 / 2),
    Goal("latency", KAFKA_STREAMS_SOON, "p99_ms", 1 / 2),
)

Line = dict[str, Any]


def plans(
    names: Sequence[str], transport: str, rounds: int, n: int | None, warm_up: int | None = None
) -> Iterator[Plan]:
    """What is measured: each workload once, `latency` at each of its rates."""
    from benchmarks.latency import RATES

    for name in names:
        module = workload.load(name)
        peers = PEERS[name] if transport == "kafka" else EMBEDDED_PEERS
        for rate in RATES if name == "latency" else RATES[:1]:
            yield Plan(
                workload=name,
                dataset="events",
                n=n or module.N,
                runs=rounds,
                peers=peers,
                transport=transport,
                rate=rate,
                warm_up=warm_up,
            )


def rows(lines: Sequence[Line]) -> Iterator[list[str]]:
    """The rows of the table: one for each workload, peer and figure.

    >>> of = lambda system, rate: {"workload": "windowed", "system": system, "events_per_s": rate, "run": 0}
    >>> list(rows([of("streams", 600_000), of("quix", 10_000)]))
    [['windowed', 'quix', 'events_per_s', '600,000', '10,000', '60 (60 to 60)', 'at least 50']]
    """
    cases = dict.fromkeys((line["workload"], line.get("rate")) for line in lines)
    for name, rate in cases:
        of = [line for line in lines if (line["workload"], line.get("rate")) == (name, rate)]
        ours = {line["run"]: line for line in of if line["system"] == "streams"}
        for peer in dict.fromkeys(line["system"] for line in of if line["system"] != "streams"):
            theirs = {line["run"]: line for line in of if line["system"] == peer}
            for figure in (*TIMES.get(name, ("events_per_s",)), "peak_rss_mb", "cpu_s_per_million"):
                pairs = [
                    (a, b)
                    for run in ours.keys() & theirs.keys()
                    if (a := _value(ours[run], figure)) is not None
                    if (b := _value(theirs[run], figure)) is not None
                ]
                if pairs:
                    yield [
                        name if rate is None else f"{name} {rate:,}/s",
                        peer,
                        figure,
                        *_cells(pairs, name, peer, figure),
                    ]


def _value(line: Line, figure: str) -> float | None:
    if figure == "cpu_s_per_million":
        return None if not line.get("cpu_s") or line["workload"] in TIMES else 1e6 * line["cpu_s"] / line["n"]
    value: float | None = line.get(figure)
    return value


def _cells(pairs: Sequence[tuple[float, float]], name: str, peer: str, figure: str) -> list[str]:
    ratios = [a / b for a, b in pairs]
    goal = next((goal for goal in GOALS if (goal.workload, goal.peer, goal.figure) == (name, peer, figure)), None)
    least = figure == "events_per_s"
    wanted = "" if goal is None else f"{'at least' if least else 'at most'} {goal.ratio:.3g}"
    middle = statistics.median(ratios)
    spread = f"{middle:.3g} ({min(ratios):.3g} to {max(ratios):.3g})"
    missed = goal is not None and (middle < goal.ratio if least else middle > goal.ratio)
    medians = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        *(f"{median:,.{0 if median >= 100 else 2}f}" for median in medians),
        f"**{spread}**" if missed else spread,
        wanted,
    ]


HEADER = ["workload", "peer", "figure", "ours", "the peer's", "ratio", "goal"]


def table(lines: Sequence[Line]) -> str:
    """As Markdown; a ratio that misses its goal is bold."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [HEADER, ["---"] * len(HEADER), *rows(lines)])


def versions(lines: Sequence[Line]) -> str:
    """What the figures were measured with."""
    found: dict[str, str] = {}
    for line in lines:
        found |= line["versions"]
    return ", ".join(f"{name} {version}" for name, version in found.items())


def main(arguments: list[str]) -> int:
    """Measures, prints, and gives the exit code: 1 when a run failed or answered wrongly."""
    options = _parser().parse_args(arguments)
    stamp = {"commit": commit(), "cpus": os.cpu_count()}
    results = options.results or RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"
    lines: list[Line] = []
    failed = False
    names = options.workloads or list(PEERS)
    for plan in plans(names, options.transport, options.rounds, options.n, options.warm_up):
        try:
            for line in plan.lines():
                lines.append(line | stamp | {"at": now(), "load": load()})
                append(results, lines[-1])
                print(_short(lines[-1]), file=sys.stderr, flush=True)
        except (FailedRunError, PeerMissingError, workload.WrongAnswerError) as error:
            print(f"{plan.workload}: {error}", file=sys.stderr)
            failed = True
    print(table(lines))
    print(f"\n{os.cpu_count()} processors; {versions(lines)}; {results}")
    return int(failed)


def append(results: Path, line: Line) -> None:
    """One line more in a file of results."""
    results.parent.mkdir(exist_ok=True)
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def load() -> float:
    """How many processes wanted a processor in the last minute, ours among them."""
    return round(os.getloadavg()[0], 1)


def _short(line: Line) -> str:
    figures = (*TIMES.get(line["workload"], ("events_per_s",)), "cpu_s", "peak_rss_mb")
    return " ".join([line["workload"], line["system"], *(f"{name}={line[name]}" for name in figures if name in line)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*PEERS, []], metavar="WORKLOAD", help=", ".join(PEERS))
    parser.add_argument("--transport", choices=("embedded", "kafka"), default="kafka")
    parser.add_argument("--rounds", type=int, default=3, help="each runs every system once (default: 3)")
    parser.add_argument("--n", type=int, help="records for ours and Kafka Streams (default: what the workload says)")
    parser.add_argument(
        "--results", type=Path, help="the file that runs are appended to (default: results/<date>.jsonl)"
    )
    parser.add_argument("--warm-up", type=int, metavar="N", help="records that do not count (Kafka Streams: 2,000,000)")
    return parser
