"""`python -m benchmarks profile WORKLOAD`: where the processor time of our worker goes, layer by layer.

The stacks of `benchmarks.sampler` go to a file in the collapsed form that speedscope and flamegraph.pl read.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.harness import OURS, FailedRunError, Plan, one_of_ours, ours_here

NAMES = ("windowed", "windowed-short", "stateless", "agent", "join", "keyed", "restore")
"""Workloads that run in the process that is looked at."""


def line(plan: Plan, system: str) -> dict[str, Any]:
    """Seconds by layer of one run, whose rate is no figure: looking takes its time. `report` is a file of tables."""
    (run,) = replace(plan, runs=1, peers=(), ours=(system,), profile=True).lines()
    kept = ("workload", "transport", "dataset", "n", "seconds", "cpu_s", "layers", "report", "versions")
    return {**{name: run[name] for name in kept}, "profile": system}


def main(arguments: list[str]) -> int:
    """Prints the tables of one run; 1 if it failed."""
    options = _parser().parse_args(arguments)
    n = options.n or workload.load(options.workload).N
    plan = Plan(options.workload, options.data, n, 1, (), transport=options.transport)
    try:
        found = line(plan, options.ours)
    except (FailedRunError, workload.WrongAnswerError) as error:
        print(error, file=sys.stderr)
        return 1
    print(Path(found["report"]).read_text(encoding="utf-8"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks profile", description=__doc__)
    parser.add_argument("workload", choices=NAMES)
    parser.add_argument("--n", type=int, help="records (default: what the workload says)")
    parser.add_argument("--data", choices=("events", "messy"), default="events")
    parser.add_argument("--transport", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument(
        "--ours", type=one_of_ours, choices=OURS, default=ours_here()[0], help="with compiled twins, or without"
    )
    return parser
