"""`python -m benchmarks compare`: ours and the peers side by side, and tables of what came out.

Each workload embedded (beside plain loops, on both data sets) and on one Apache Kafka (beside other stream processors);
Kafka and the peers are set up when they are wanted. A round runs each system once, and the order turns round from round
to round. Every run goes to `benchmarks/results/<date>.jsonl`; a run that fails leaves the others their figures.
`python -m benchmarks render` then writes the tables and plots of the manual.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import harness, profile, results, scale, tables, workload
from benchmarks.figures import Line
from benchmarks.goals import KAFKA_STREAMS_SOON, YARDSTICK
from benchmarks.harness import TIMES, FailedRunError, Plan
from benchmarks.kafka import Kafka, started
from benchmarks.peers import NAMES, PeerMissingError, Variant, load
from benchmarks.results import Results
from tests.interop.apache_kafka import Missing

ON_KAFKA = {
    "windowed": ("kafka-streams", "quix", "faust", "bytewax"),
    "stateless": ("kafka-streams", "quix", "faust", "bytewax"),
    "agent": ("kafka-streams", "quix", "faust"),
    "join": ("kafka-streams",),
    "keyed": ("kafka-streams",),
    "restore": ("kafka-streams",),
    "start": ("kafka-streams", "quix", "faust"),
    "latency": (KAFKA_STREAMS_SOON, "quix:exactly_once"),
}
KAFKA_N = {"windowed": 2_000_000, "stateless": 2_000_000}
"""More records than embedded, so that what is paid once (a transaction's first round trips) is a small part."""
EMBEDDED = {
    "windowed": ("bound-dict", "bound-kernel"),
    "windowed-short": ("bound-dict", "bound-kernel"),
    "stateless": (YARDSTICK, "bound-dict"),
    "agent": (YARDSTICK, "bound-dict"),
    "join": (YARDSTICK, "bound-dict"),
    "restore": (YARDSTICK,),
    "start": ("bare-python",),
}
PROFILED = ("windowed", "windowed-short", "stateless", "agent", "join")
MESSY: Mapping[str, Sequence[str]] = {"embedded": PROFILED, "kafka": ("windowed", "stateless")}
MESSY_PEERS = ("kafka-streams",)
"""Peers whose programs go on behind values that do not decode."""
WORKLOADS = (*dict.fromkeys((*EMBEDDED, *ON_KAFKA)), "scale")
TRANSPORTS = ("embedded", "kafka")


@dataclass(frozen=True)
class Choice:
    """What of all is measured."""

    workloads: Sequence[str] = WORKLOADS
    transports: Sequence[str] = TRANSPORTS
    data: Sequence[str] = ("events", "messy")
    peers: Sequence[str] = NAMES
    rounds: int = 3
    n: int | None = None
    warm_up: int | None = None
    minutes: float = math.inf  # no case begins after so many


@dataclass
class Measured:
    """What came out so far."""

    results: Results
    lines: list[Line] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.began_s) / 60

    def add(self, line: Line) -> None:
        self.lines.append(self.results.add(line))
        print(_short(line), file=sys.stderr, flush=True)

    def fail(self, what: str, error: Exception) -> None:
        self.failures.append(f"{what}: {error}")
        print(self.failures[-1], file=sys.stderr, flush=True)


def plans(choice: Choice, transport: str, kafka: Kafka | None) -> Iterator[Plan]:
    """What is measured on a transport: each workload once for each data set, `latency` at each of its rates."""
    from benchmarks.latency import RATES

    cases = EMBEDDED if transport == "embedded" else ON_KAFKA
    for name in (name for name in choice.workloads if name in cases):
        for dataset in choice.data:
            if dataset == "messy" and name not in MESSY[transport]:
                continue
            for rate in RATES if name == "latency" else RATES[:1]:
                yield Plan(
                    workload=name,
                    dataset=dataset,
                    n=choice.n or _records(name, transport),
                    runs=choice.rounds,
                    peers=_chosen(cases[name], choice.peers if dataset == "events" else MESSY_PEERS),
                    ours=harness.ours_here(),
                    transport=transport,
                    rate=rate,
                    warm_up=choice.warm_up,
                    kafka=kafka,
                )


def _records(name: str, transport: str) -> int:
    usual = workload.load(name).N
    return KAFKA_N.get(name, usual) if transport == "kafka" else usual


def _chosen(systems: Sequence[str], peers: Sequence[str]) -> tuple[str, ...]:
    """Those that are wanted; loops are not asked for."""
    wanted = [system for system in systems if Variant.of(system).peer not in NAMES or Variant.of(system).peer in peers]
    return harness.peers(wanted)


def with_peers(plan: Plan, fail: Callable[[str, Exception], None]) -> Plan:
    """The plan with those of its peers whose environments can be made here."""
    there = []
    for system in plan.peers:
        try:
            if (peer := Variant.of(system).peer) in NAMES:
                load(peer).prepare()
        except PeerMissingError as error:
            fail(plan.workload, error)
        else:
            there.append(system)
    return replace(plan, peers=tuple(there))


def run(plan: Plan, measured: Measured) -> None:
    """All rounds of a plan, then a profile of ours."""
    try:
        for line in with_peers(plan, measured.fail).lines(measured.fail):
            measured.add(line)
        if plan.transport == "embedded" and plan.workload in PROFILED and plan.dataset == "events":
            for system in plan.ours:
                measured.add(profile.line(plan, system))
    except (FailedRunError, PeerMissingError, workload.WrongAnswerError, RuntimeError) as error:
        measured.fail(f"{plan.workload}, {plan.transport}", error)
    finally:
        if plan.kafka is not None:
            plan.kafka.unload()


@contextmanager
def broker(transport: str) -> Iterator[Kafka | None]:
    """What a transport needs."""
    if transport == "kafka":
        with started() as kafka:
            yield kafka
    else:
        yield None


def measure(choice: Choice, measured: Measured) -> None:
    """All that is chosen, one after the other."""
    for transport in choice.transports:
        grows = "scale" in choice.workloads and transport == "kafka"
        if not grows and not any(plans(choice, transport, None)):
            continue
        try:
            with broker(transport) as kafka:
                for plan in plans(choice, transport, kafka):
                    if measured.minutes < choice.minutes:
                        run(plan, measured)
                if grows and measured.minutes < choice.minutes:
                    for line in scale.lines(kafka, choice.n, min(choice.rounds, scale.ROUNDS_MAX)):
                        measured.add(line)
        except (Missing, FailedRunError, workload.WrongAnswerError) as error:
            measured.fail(transport, error)


def main(arguments: list[str]) -> int:
    """Measures, prints, and gives the exit code: 1 when a run failed or answered wrongly."""
    options = _parser().parse_args(arguments)
    choice = Choice(**{name: getattr(options, name) for name in Choice.__dataclass_fields__})
    harness.say_what_is_left_out()
    measured = Measured(Results(options.results or results.today()))
    measure(choice, measured)
    print(tables.report(measured.lines))
    print(f"\n{measured.minutes:.0f} minutes; {measured.results.path}")
    return int(bool(measured.failures))


def _short(line: Line) -> str:
    figures = (*TIMES.get(line["workload"], ("events_per_s",)), "cpu_s", "peak_rss_mb")
    system = line.get("system") or f"profile of {line['profile']}"
    names = (line["workload"], line["transport"], line["dataset"], system)
    return " ".join([*names, *(f"{name}={line[name]}" for name in figures if name in line)])


def _several(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """The type of an option that takes several names."""

    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := [name for name in found if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(allowed)}")
        return found

    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Choice()
    several: dict[str, tuple[Sequence[str], Any]] = {
        "workloads": (WORKLOADS, usual.workloads),
        "transports": (TRANSPORTS, usual.transports),
        "data": (usual.data, usual.data),
        "peers": (NAMES, usual.peers),
    }
    for name, (allowed, default) in several.items():
        text = f"of {', '.join(allowed)} (default: all)"
        parser.add_argument(f"--{name}", type=_several(allowed), default=list(default), metavar="A,B", help=text)
    parser.add_argument("--rounds", type=int, default=3, help="each runs every system once (default: 3)")
    parser.add_argument("--n", type=int, help="records for ours and Kafka Streams (default: what the workload says)")
    parser.add_argument("--results", type=Path, help="the file that runs are appended to (default: of this day)")
    parser.add_argument("--warm-up", type=int, metavar="N", help="records that do not count (Kafka Streams: 2,000,000)")
    parser.add_argument("--minutes", type=float, default=usual.minutes, help="begin nothing more after so long")
    return parser
