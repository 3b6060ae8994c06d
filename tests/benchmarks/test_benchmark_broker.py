"""The benchmarks of the broker: their arithmetic, and the load at its smallest, on ours."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as command
from benchmarks import broker, broker_load
from benchmarks.broker_load import Load
from benchmarks.broker_process import Running


def test_the_summary_has_spread_and_ratio_of_both() -> None:
    lines = [
        {"workload": "broker", "system": system, "run": run, "n": 1, "produce_per_s": value}
        for system, values in {"streams": (3, 1, 2), "kafka": (1, 1, 4)}.items()
        for run, value in enumerate(values)
    ]
    assert broker.summary("broker", lines, {"produce_per_s": 1.25}) == {
        "summary": "broker",
        "runs": 3,
        "min_median_max": {"produce_per_s": {"ratio": 2.0, "goal": 1.25, "streams": [1, 2, 3], "kafka": [1, 1, 4]}},
    }


def test_every_goal_is_a_cost_or_a_rate_of_the_summary() -> None:
    for name in (*broker.GOALS, *broker_load.GOALS):
        assert name.endswith(broker.MEASURED)


@pytest.mark.parametrize(("clients", "topics"), [(4, 4), (100, 10)])
def test_both_kinds_of_clients_have_topics_that_are_compacted(clients: int, topics: int) -> None:
    load = Load(clients=clients)
    assert len(load.topics) == topics
    for kind in (0, 1):
        own = set(load.topics[kind::2])
        assert own & set(load.compacted)
        assert own - set(load.compacted)


def test_processor_time_and_memory_of_a_process() -> None:
    import os

    this = Running("", os.getpid(), 0)
    assert this.cpu_s > 0
    assert this.peak_mb > 1


@pytest.mark.slow
def test_a_small_load_on_ours(capsys: pytest.CaptureFixture[str]) -> None:
    size = (
        "--partitions",
        "20",
        "--clients",
        "4",
        "--rate",
        "400",
        "--seconds",
        "1",
        "--warm-up",
        "0.5",
        "--runs",
        "1",
    )
    assert command.main(["broker-load", *size, "--only", "streams"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["answer_ok"]
    assert line["partitions"] == 20
    assert line["offered_produced_per_s"] == line["offered_consumed_per_s"] > 0
    assert line["offered_produce_p50_ms"] <= line["offered_produce_p99_ms"] <= line["offered_produce_max_ms"]
    assert line["full_client_cores"] > 0
