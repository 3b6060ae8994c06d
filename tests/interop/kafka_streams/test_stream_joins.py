"""Joins of two streams are Kafka Streams' but for what is listed (D2, D4): the model of our rule, with those two rules
put back, answers exactly as Kafka does. That ours is the model without them, the operator's own test shows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.kafka_streams.kafka import KafkaStreams
from tests.streams.operators.joins.stream_join_model import WAYS, Model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = 150

Record = tuple[int, str | None, int | None, int]
"""Side, key, value, timestamp."""


@pytest.fixture(scope="module")
def kafka(java: None) -> Iterator[KafkaStreams]:
    with KafkaStreams() as opened:
        yield opened


@pytest.mark.parametrize("itself", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_kafka_is_the_model_with_its_two_rules(kafka: KafkaStreams, way: str, itself: bool) -> None:
    drawn = random.Random(f"{way} {itself}")
    for _ in range(CASES):
        before = drawn.choice([0, 3, 5, 10])
        window = {"before": before, "after": drawn.choice([-before, 0, 3, 5, 10]), "grace": drawn.choice([0, 0, 2, 5])}
        rows = _records(drawn, itself)
        answer = kafka.ask(_case(way, window, rows, itself))
        assert answer["error"] is None
        found = [[(key, value["s"], at) for key, value, at, _ in after.get("out", ())] for after in answer["after"]]
        assert found == _modelled(way, window, rows, itself), (window, rows)


def _records(drawn: random.Random, itself: bool) -> list[Record]:
    """Ties, late records, nulls; far from 0, below which Kafka has no time."""
    time, disorder, rows = 100, drawn.choice([0, 3, 10, 30]), []
    for number in range(drawn.randint(3, 25)):
        time += drawn.choice([0, 0, 1, 2, 5, 11])
        key = drawn.choice(["a", "b", "c"]) if drawn.random() > 0.05 else None
        value = number if drawn.random() > 0.05 else None
        late = drawn.randint(0, disorder) if drawn.random() < 0.4 else 0
        rows.append((0 if itself else drawn.randint(0, 1), key, value, time - late))
    return rows


def _case(way: str, window: dict[str, int], rows: list[Record], itself: bool) -> dict[str, Any]:
    return {
        "steps": [
            {"id": "l", "op": "stream", "topic": "t0"},
            *([] if itself else [{"id": "r", "op": "stream", "topic": "t1"}]),
            {"id": "j", "op": way, "from": ["l", "l" if itself else "r"], "fn": {"fn": "pair"}, "within": window},
            {"op": "to", "from": "j", "topic": "out"},
        ],
        "input": [
            {"topic": f"t{side}", "key": key, "value": None if value is None else {"s": str(value)}, "timestamp": at}
            for side, key, value, at in rows
        ],
    }


def _modelled(way: str, window: dict[str, int], rows: list[Record], itself: bool) -> list[list[tuple[Any, str, int]]]:
    model = Model(window["before"], window["after"], window["grace"], WAYS[way], kafka=True)
    after = [[out for side in ((0, 1) if itself else (row[0],)) for out in model.take(side, *row[1:])] for row in rows]
    return [[(key, f"({_shown(left)},{_shown(right)})", at) for key, (left, right), at in outs] for outs in after]


def _shown(value: int | None) -> str:
    return "null" if value is None else str(value)
