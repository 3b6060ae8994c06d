"""Bytewax 0.21.1: Kafka in and out, state in memory, snapshots of it in SQLite every ten seconds (its default).

It has neither transactions nor changelogs nor groups of consumers: a crash reads again what came after the last
snapshot, and results since then leave twice. A window is forgotten when it closes, so that nothing is kept for a day.
It reads to the end of the topic and ends, which is when its clock stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks import stateless
from benchmarks.peers import Found
from benchmarks.peers.environment import python_with
from benchmarks.topics import Log
from benchmarks.workload import Answer, Inputs, unique

VERSIONS = {"bytewax": "0.21.1"}
RECORDS = 300_000
WARM_UP = 0
ENDS = True

_REQUIREMENTS = [f"bytewax=={VERSIONS['bytewax']}", "confluent-kafka", "orjson"]


def prepare() -> None:
    """Makes its environment. Raises PeerMissingError."""
    python_with("bytewax", _REQUIREMENTS)


def command() -> tuple[list[str], Mapping[str, str]]:
    return [str(python_with("bytewax", _REQUIREMENTS)), str(Path(__file__).with_name("program.py"))], {"PYTHONPATH": ""}


def _windowed(log: Log, inputs: Inputs, app: str) -> Answer:
    closing = int(inputs["events"].facts.ts.max())
    rows = ((key or b"", msgspec.json.decode(value or b"")) for key, value, _ in log.rows("totals"))
    groups = unique(((key.decode(), of["start"]), [of["count"], of["total"]]) for key, of in rows)
    return {group: totals for group, totals in groups.items() if group[1] <= closing}


FOUND: dict[str, Found] = {
    "windowed": _windowed,
    "stateless": lambda log, inputs, app: stateless.found(log, inputs),
}
