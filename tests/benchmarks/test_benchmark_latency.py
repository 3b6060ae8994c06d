"""The client of `latency`: what it makes of records that come, are lost, wrong or repeated; over our own broker."""

from __future__ import annotations

import pytest

import broker_embedded
from benchmarks import latency_client
from benchmarks.kafka import java_hash
from benchmarks.latency import Offered

SENT = {1: 10.0, 2: 20.0}


@pytest.mark.parametrize(
    "came", [[(1, 5, 20.0)], [(1, 5, 20.0), (2, 5, 41.0)], [(1, 5, 20.0), (2, 5, 40.0), (2, 6, 40.0)]]
)
def test_a_wrong_answer_gives_no_figure(came: list[tuple[int, int, float]]) -> None:
    with pytest.raises(RuntimeError, match="2 were sent"):
        latency_client._check(SENT, came)


def test_a_right_answer_passes() -> None:
    latency_client._check(SENT, [(2, 5, 40.0), (1, 6, 20.0)])


def test_it_sends_at_its_rate_and_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic that it sends to is the one that it reads: nothing doubles the amounts there."""
    monkeypatch.setattr(latency_client, "_check", lambda sent, came: None)
    with broker_embedded.running(config={"num.partitions": "4"}) as broker:
        offered = Offered(broker.bootstrap_servers, "events", "events", rate=200, seconds=0.5, warm_up_s=0.1)
        figures = latency_client.measure(vars(offered))
    assert 50 <= figures["n"] <= 101 and figures["rate"] == 200
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"] <= figures["max_ms"]


@pytest.mark.parametrize(("group", "expected"), [("agent-xyz-1", 568726581), ("latency", 46576386)])
def test_the_partition_of_a_group_is_by_javas_hash(group: str, expected: int) -> None:
    """The second one is negative in Java."""
    assert java_hash(group) == expected
