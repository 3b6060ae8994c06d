"""The oracle itself: a case in, Kafka's answer out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.kafka_streams.kafka import KafkaStreams

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def kafka(java: None) -> Iterator[KafkaStreams]:
    with KafkaStreams() as opened:
        yield opened


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
