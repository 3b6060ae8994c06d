"""`python -m benchmarks WORKLOAD`: one JSON line a run, ours and the peers in turn, and a summary line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks import workload
from benchmarks.harness import (
    OURS,
    FailedRunError,
    Plan,
    one_of_ours,
    ours_here,
    peer,
    peers,
    say_what_is_left_out,
    summary,
)
from benchmarks.history import HISTORY, record
from benchmarks.peers import NAMES, PeerMissingError

COMMANDS = ("broker", "broker-load", "compare", "driver", "pauses", "profile", "render", "scale")
"""Modules that have figures and options of their own."""


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints, and returns the exit code: 1 when a run crashed or answered wrongly."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        command: Callable[[list[str]], int] = import_module(f"benchmarks.{arguments[0].replace('-', '_')}").main
        return command(arguments[1:])
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.dataset == "messy" and options.workload not in workload.MESSY:
        parser.error(f"{options.workload} has no messy form")
    say_what_is_left_out()
    module = workload.load(options.workload)
    plan = Plan(
        workload=options.workload,
        dataset=options.dataset,
        n=options.n or module.N,
        runs=options.runs,
        peers=() if options.only_ours else peers(options.peer or module.PEERS),
        ours=() if options.only_peers else tuple(options.ours or ours_here()),
        transport=options.transport,
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"Commands with options of their own, in place of a workload: {', '.join(COMMANDS)}; COMMAND --help.",
    )
    parser.add_argument("workload", choices=workload.NAMES)
    parser.add_argument("--n", type=int, help="records (default: what the workload says)")
    parser.add_argument("--runs", type=int, default=3, help="rounds; each runs every system once (default: 3)")
    parser.add_argument("--data", "--dataset", dest="dataset", choices=("events", "messy"), default="events")
    parser.add_argument("--transport", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument(
        "--peer",
        action="append",
        type=peer,
        metavar="NAME",
        help="bound-dict (this workload's loop), bound-dict:LOOP (another's), bound-kernel (of windowed), bare-python; "
        f"on Kafka {', '.join(NAMES)}, each with :THREADS, :exactly_once, :at_least_once, :commit=MS; may be repeated",
    )
    parser.add_argument(
        "--ours",
        action="append",
        type=one_of_ours,
        choices=OURS,
        help="ours with compiled twins, or without (default: both)",
    )
    parser.add_argument("--rate", type=int, default=1_000, help="records a second, for latency (default: 1,000)")
    parser.add_argument("--only-peers", action="store_true", help="leave our worker out")
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help=f"append the lines to {HISTORY.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
