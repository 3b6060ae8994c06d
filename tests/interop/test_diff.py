"""Both brokers answer the same requests alike, field by field, at every version: see diff/scenarios/."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.interop.diff.compare import Difference
from tests.interop.diff.run import run_all
from tests.interop.java_needed import require_java
from tests.interop.targets import running_broker

DIFFERENCES = json.loads((Path(__file__).parent / "diff" / "differences.json").read_text())
"""Rows of `where` and `kafka` (patterns of a difference's first line and of Kafka's value) and `why`."""


def _reason(difference: Difference) -> str | None:
    where = str(difference).partition("\n")[0]
    for row in DIFFERENCES:
        if re.fullmatch(row["where"], where) and re.fullmatch(row.get("kafka", ".*"), str(difference.kafka), re.DOTALL):
            return str(row["why"])
    return None


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_same_answers(tmp_path: Path) -> None:
    require_java()
    with running_broker("kafka", tmp_path / "kafka") as kafka, running_broker("ours", tmp_path / "ours") as ours:
        found = run_all(kafka.bootstrap, ours.bootstrap)
    unexplained = [difference for difference in found if _reason(difference) is None]
    assert not unexplained, "\n".join(map(str, unexplained))
    assert {_reason(difference) for difference in found} == {row["why"] for row in DIFFERENCES}, "some are no more"
