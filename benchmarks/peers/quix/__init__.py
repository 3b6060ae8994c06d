"""Quix Streams: `StreamingDataFrame` over RocksDB, at least once (its default), commits as often as ours.

It deletes a window when it has closed, so there is none in the end whose changelog could be looked through.
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

VERSIONS = {"quixstreams": "3.28.1"}
RECORDS = 100_000
WARM_UP = 0
ENDS = False

_REQUIREMENTS = [f"quixstreams=={VERSIONS['quixstreams']}"]


def prepare() -> None:
    """Makes its environment. Raises PeerMissingError."""
    python_with("quix", _REQUIREMENTS)


def command() -> tuple[list[str], Mapping[str, str]]:
    return [str(python_with("quix", _REQUIREMENTS)), str(Path(__file__).with_name("program.py"))], {"PYTHONPATH": ""}


def _windowed(log: Log, inputs: Inputs, app: str) -> Answer:
    rows = ((key or b"", msgspec.json.decode(value or b"")) for key, value, _ in log.rows("totals"))
    return unique(((key.decode(), of["start"]), [of["count"], of["total"]]) for key, of in rows)


def _spent(log: Log, inputs: Inputs, app: str) -> Answer:
    topic = next(topic for topic in log.topics() if topic.startswith(f"changelog__{app}"))
    decode = msgspec.json.decode
    return {decode(key.partition(b"|")[0]): decode(value) for key, value in log.latest(topic).items()}


FOUND: dict[str, Found] = {
    "windowed": _windowed,
    "stateless": lambda log, inputs, app: stateless.found(log, inputs),
    "agent": _spent,
    "start": _spent,
}
