"""`python -m benchmarks WORKLOAD`: one JSON line a run, ours and the peers in turn, and a summary line."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.harness import FailedRunError, Plan, summary
from benchmarks.peers import PeerMissingError

HISTORY = Path(__file__).with_name("history.jsonl")


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints, and returns the exit code: 1 when a run crashed or answered wrongly."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["broker"]:
        from benchmarks import broker  # brokers and their clients have figures and options of their own

        return broker.main(arguments[1:])
    if arguments[:1] == ["broker-load"]:
        from benchmarks import broker_load

        return broker_load.main(arguments[1:])
    if arguments[:1] == ["pauses"]:
        from benchmarks import pauses

        return pauses.main(arguments[1:])
    if arguments[:1] == ["driver"]:
        from benchmarks import driver

        return driver.main(arguments[1:])
    if arguments[:1] == ["compare"]:
        from benchmarks import compare

        return compare.main(arguments[1:])
    if arguments[:1] == ["scale"]:
        from benchmarks import scale

        return scale.main(arguments[1:])
    if arguments[:1] == ["profile"]:
        arguments = [*arguments[1:], "--profile", "--runs", "1", "--only-ours"]
    options = _parser().parse_args(arguments)
    module = workload.load(options.workload)
    plan = Plan(
        workload=options.workload,
        dataset=options.dataset,
        n=options.n or module.N,
        runs=options.runs,
        peers=() if options.only_ours else tuple(options.peer or module.PEERS),
        ours=not options.only_peers,
        transport=options.transport,
        profile=options.profile,
        rate=options.rate,
    )
    lines: list[dict[str, Any]] = []
    try:
        for line in plan.lines():
            lines.append(line)
            print(json.dumps(line), flush=True)
    except (FailedRunError, PeerMissingError, workload.WrongAnswerError) as error:
        print(error, file=sys.stderr)
        return 1
    lines.append(summary(plan, lines))
    print(json.dumps(lines[-1]))
    if options.record:
        record(lines)
    return 0


def record(lines: list[dict[str, Any]], history: Path = HISTORY) -> None:
    """Appends lines to the history, with the commit and the time of day they were measured at."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    stamp = {"commit": commit.stdout.strip(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    with history.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**stamp, **line}) + "\n" for line in lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workload", choices=workload.NAMES)
    parser.add_argument("--n", type=int, help="records (default: what the workload says)")
    parser.add_argument("--runs", type=int, default=3, help="rounds; each runs every system once (default: 3)")
    parser.add_argument("--dataset", choices=("events", "messy"), default="events")
    parser.add_argument("--transport", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument(
        "--peer",
        action="append",
        metavar="NAME",
        help="bound-dict (this workload's loop), bound-dict:LOOP (another's), bare-python; on Kafka also "
        "kafka-streams, quix, faust, each with :THREADS, :exactly_once, :at_least_once, :commit=MS; may be repeated",
    )
    parser.add_argument("--rate", type=int, default=1_000, help="records a second, for latency (default: 1,000)")
    parser.add_argument("--only-peers", action="store_true", help="leave our worker out")
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--profile", action="store_true", help="sample our worker and print where its time goes")
    parser.add_argument("--record", action="store_true", help=f"append the lines to {HISTORY.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
