"""kafka-python's own integration tests end on our broker as they end on Apache Kafka."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.interop.java_needed import require_java
from tests.interop.kafka_python_suite import run, unpack

DIFFERENCES: dict[str, str] = json.loads((Path(__file__).parent / "kafka_python_differences.json").read_text())
"""By test that may end otherwise, why."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_same_results_as_on_apache_kafka(tmp_path: Path) -> None:
    require_java()
    source = unpack(tmp_path)
    kafka, ours = run(source, "kafka"), run(source, "ours")
    assert ours.keys() == kafka.keys()
    assert len(kafka) > 60, "the source distribution carries its integration tests"
    different = {name: (kafka[name], ours[name]) for name in kafka if _kind(kafka[name]) != _kind(ours[name])}
    unexplained = {name: both for name, both in different.items() if name not in DIFFERENCES}
    assert not unexplained, "\n".join(f"{name}: kafka {k}, ours {o}" for name, (k, o) in unexplained.items())
    assert different.keys() >= DIFFERENCES.keys(), "no longer different; take it from the list"


def _kind(outcome: str) -> str:
    return outcome.partition(":")[0]
