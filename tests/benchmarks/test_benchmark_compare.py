"""The comparison: what is measured with whom, the table, and a failed run that leaves the others their figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import compare, harness, workload
from benchmarks.harness import Plan
from benchmarks.peers import NAMES, Variant, load


def line(system: str, run: int, **figures: float) -> dict[str, Any]:
    return {"workload": "windowed", "system": system, "run": run, "n": 1_000_000, **figures}


def test_ratios_are_of_the_runs_of_one_round() -> None:
    lines = [line("streams", run, events_per_s=rate) for run, rate in enumerate((600, 100, 900))]
    lines += [line("kafka-streams", run, events_per_s=rate) for run, rate in reversed(list(enumerate((100, 50, 100))))]
    assert list(compare.rows(lines)) == [
        ["windowed", "kafka-streams", "events_per_s", "600", "100", "6 (2 to 9)", "at least 5"]
    ]


def test_a_missed_goal_is_bold_also_where_less_is_better() -> None:
    lines = [line("streams", 0, events_per_s=400, peak_rss_mb=50.0, cpu_s=2.0)]
    lines += [line("kafka-streams", 0, events_per_s=100, peak_rss_mb=100.0, cpu_s=8.0)]
    assert [row[-2:] for row in compare.rows(lines)] == [
        ["**4 (4 to 4)**", "at least 5"],
        ["**0.5 (0.5 to 0.5)**", "at most 0.2"],
        ["0.25 (0.25 to 0.25)", ""],
    ]


def test_every_rate_of_latency_has_rows_of_its_own() -> None:
    lines = [
        {"workload": "latency", "system": system, "run": 0, "n": 1, "rate": rate, "p50_ms": 1.0, "p99_ms": ms}
        for rate, ms in ((1_000, 2.0), (10_000, 3.0))
        for system in ("streams", "quix:exactly_once")
    ]
    found = [(row[0], row[2], row[3]) for row in compare.rows(lines)]
    assert ("latency 1,000/s", "p99_ms", "2.00") in found and ("latency 10,000/s", "p99_ms", "3.00") in found


def test_what_is_compared_can_be_done_by_whom_it_is_compared_with() -> None:
    for name, peers in compare.PEERS.items():
        assert name in workload.NAMES
        for system in peers:
            peer = Variant.of(system).peer
            assert peer in NAMES
            assert name in load(peer).FOUND or name in ("restore", "latency")
    for goal in compare.GOALS:
        assert goal.peer in compare.PEERS[goal.workload]


def test_a_failed_run_leaves_the_others_their_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def lines(plan: Plan) -> Iterator[dict[str, Any]]:
        if plan.workload == "windowed":
            raise harness.FailedRunError("wrong answer")
        for system in ("streams", *plan.peers):
            yield line(system, 0, events_per_s=100) | {"workload": plan.workload, "versions": {"python": "3"}}

    monkeypatch.setattr(Plan, "lines", lines)
    monkeypatch.setattr(compare, "RESULTS", tmp_path)
    assert command.main(["compare", "windowed", "stateless", "--rounds", "1"]) == 1
    out, err = capfd.readouterr()
    assert "windowed: wrong answer" in err and "| stateless | kafka-streams |" in out and "python 3" in out
    written = [json.loads(text) for text in next(tmp_path.iterdir()).read_text().splitlines()]
    assert [of["system"] for of in written] == ["streams", *compare.PEERS["stateless"]]
    assert {"commit", "at", "load", "cpus"} <= set(written[0])
