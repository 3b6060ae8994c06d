"""Tables and plots: ratios by round, goals, what is newest; and that those of the manual are those of the results."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks import render, svg, tables
from benchmarks.figures import cases, read
from benchmarks.results import newest
from benchmarks.svg import Bar

MACHINE = {"cpus": 2, "processor": "P", "memory_gb": 8, "system": "Linux"}


def line(system: str, run: int, *, comparison: str = "2026-01-02", **figures: Any) -> dict[str, Any]:
    stamp = {"comparison": comparison, "commit": "c", "machine": MACHINE, "versions": {"python": "3"}}
    usual = {"workload": "windowed", "transport": "kafka", "dataset": "events", "n": 1_000_000}
    return {**usual, "system": system, "run": run, **stamp, **figures}


def lines(**rates: list[int]) -> list[dict[str, Any]]:
    named = {name.replace("_", "-"): of for name, of in rates.items()}
    return [line(name, run, events_per_s=rate) for name, of in named.items() for run, rate in enumerate(of)]


def test_ratios_are_of_the_runs_of_one_round() -> None:
    [case] = cases(lines(streams=[600, 100, 900], kafka_streams=[100, 50, 100]))
    assert case.ratio("streams", "kafka-streams", "events_per_s") == (6, 2, 9)
    assert case.ratio("streams", "quix", "events_per_s") is None and case.rounds == 3


def test_a_comparison_of_later_takes_the_place_of_an_earlier_one() -> None:
    older = [line("streams", 0, comparison="2026-01-01", events_per_s=1), line("quix", 0, comparison="2026-01-01")]
    [case] = cases([*older, line("streams", 0, events_per_s=2)])
    assert case.systems == ["streams"] and case.spread("streams", "events_per_s") == (2, 2, 2)


def test_a_missed_goal_is_bold_also_where_less_is_better() -> None:
    found = [line("streams", 0, events_per_s=400, peak_rss_mb=50.0), line("streams-numpy", 0, events_per_s=600)]
    found += [line("kafka-streams", 0, events_per_s=100, peak_rss_mb=100.0)]
    assert tables.goals(cases(found)).splitlines()[2:] == [
        "| windowed | kafka | `kafka-streams` | events/s | 6, goal ≥ 5 | **4, goal ≥ 10** |",
        "| windowed | kafka | `kafka-streams` | MB |  | **0.5, goal ≤ 0.333** |",
    ]


def test_every_rate_of_latency_is_a_case_of_its_own() -> None:
    found = [
        line("quix:exactly_once", 0, workload="latency", rate=rate, p50_ms=1.0, p99_ms=ms)
        for rate, ms in ((1_000, 2.0), (10_000, 3.0))
    ]
    table = tables.systems(cases(found))
    assert "| latency 1,000/s | `quix:exactly_once` | ms, p99 | 2 |" in table
    assert "| latency 10,000/s | `quix:exactly_once` | ms, p99 | 3 |" in table


def test_layers_add_up_in_their_table() -> None:
    profile = line("", 0, profile="streams", layers={"parse": 0.5, "loop": 0.25})
    del profile["system"]
    row = tables.layers([profile, profile]).splitlines()[2:]
    assert row == ["| windowed | `streams` | 0.00 | 0.50 " + "| 0.00 " * 8 + "| 0.25 | 0.75 |"]


def test_how_cost_grows_is_told_by_the_newest_measurement() -> None:
    found = [
        line("streams", 0, workload="scale", axis="workers", at=at, events_per_s=rate, cpu_s=1.0, peak_rss_mb=9.0)
        | {"broker_cpu_s": 1.0, "seconds": 2.0, "comparison": day}
        for day, rates in (("2026-01-01", (1, 1)), ("2026-01-02", (10, 15)))
        for at, rate in zip((1, 2), rates, strict=True)
    ]
    assert tables.growth(found).splitlines()[2:] == [
        "| workers | 1 | 1.00 | 1.00 | 9 | 0.50 |  |",
        "| workers | 2 | 1.50 | 1.00 | 9 | 0.50 |  |",
    ]
    assert cases(found) == []


def test_a_page_has_the_tables_it_asks_for() -> None:
    text = "before\n<!-- figures: summary -->\nold\n<!-- end of figures -->\nbehind\n"
    made = render.page(text, lines(streams=[2_000_000], quix=[10_000]))
    header = "| events/s | `streams` | `streams-numpy` | `quix` |"
    assert made.splitlines()[2:5] == [header, "|---|---|---|---|", "| windowed | 2,000,000 | – | 10,000 |"]
    assert render.page(made, lines(streams=[2_000_000], quix=[10_000])) == made


def test_plots_are_whole_and_name_what_they_show() -> None:
    drawn = [
        svg.bars("Rates", "a < b", {"windowed": [Bar("streams", 2.0, "2 M", 0), Bar("x", 0.0, "0", 99)]}, line_at=1.0),
        svg.stacks("Layers", "us", {"windowed": {"parse": 1.0, "state": 0.0}}, ["parse", "state"]),
    ]
    for text in drawn:
        root = ET.fromstring(text)
        assert root.get("role") == "img"
        assert "windowed" in "".join(root.itertext())


def test_the_manual_shows_the_newest_results() -> None:
    """`python -m benchmarks render` writes them anew, as UPDATE_DOCS=1 does here."""
    results = newest()
    if results is None:
        pytest.skip("no results are kept")
    if os.environ.get("UPDATE_DOCS"):
        render.write(results)
    for path, text in render.rendered(read(results)).items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: python -m benchmarks render"


def test_files_are_written_when_they_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("<!-- figures: measured-with -->\n<!-- end of figures -->\n")
    monkeypatch.setattr(render, "PAGES", ("README.md",))
    monkeypatch.setattr(render, "PLOTS", {"speed-on-kafka.svg": render.on_kafka})
    results = tmp_path / "day.jsonl"
    results.write_text("\n".join(map(json.dumps, lines(streams=[2], quix=[1]))))
    assert [path.name for path in render.write(results, tmp_path)] == ["README.md", "speed-on-kafka.svg"]
    assert render.write(results, tmp_path) == []
    assert "2 processors (P), 8 GB, Linux; python 3; commit c" in (tmp_path / "README.md").read_text()
