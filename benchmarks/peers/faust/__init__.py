"""faust-streaming: agents and tables over RocksDB, at least once (its default), commits as often as ours.

It emits no results when windows close: `on_window_close` goes by the wall clock, which is years ahead of the events.
Its answers are read from its changelogs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks import stateless
from benchmarks.peers import Found
from benchmarks.peers.environment import python_with
from benchmarks.topics import Log
from benchmarks.workload import Answer, Inputs

VERSIONS = {"faust-streaming": "0.15.3"}
RECORDS = 20_000
WARM_UP = 0
ENDS = False

_REQUIREMENTS = [f"faust-streaming[rocksdict]=={VERSIONS['faust-streaming']}", "orjson"]


def prepare() -> None:
    """Makes its environment. Raises PeerMissingError."""
    python_with("faust", _REQUIREMENTS)


def command() -> tuple[list[str], Mapping[str, str]]:
    return [str(python_with("faust", _REQUIREMENTS)), str(Path(__file__).with_name("program.py"))], {"PYTHONPATH": ""}


def _windowed(log: Log, inputs: Inputs, app: str) -> Answer:
    closing = int(inputs["events"].facts.ts.max())
    decode = msgspec.json.decode
    rows = ((decode(key), decode(value)) for key, value in log.latest(f"{app}-totals-changelog").items())
    groups = {(user, round(start * 1000)): totals for (user, (start, _)), totals in rows}
    return {group: totals for group, totals in groups.items() if group[1] <= closing}


def _spent(log: Log, inputs: Inputs, app: str) -> Answer:
    decode = msgspec.json.decode
    return {decode(key): decode(value) for key, value in log.latest(f"{app}-table-changelog").items()}


FOUND: dict[str, Found] = {
    "windowed": _windowed,
    "stateless": lambda log, inputs, app: stateless.found(log, inputs),
    "agent": _spent,
    "start": _spent,
}
