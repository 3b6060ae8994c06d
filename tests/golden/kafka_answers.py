"""What Kafka Streams says to a golden case, in the words of the case."""

from __future__ import annotations

import json
from typing import Any

from streams.durations import to_ms
from tests.golden.case import COMMANDS, OURS, Case, Run, record_of, shown
from tests.interop.kafka_streams.kafka import KafkaStreams


def outcomes(case: Case, kafka: KafkaStreams) -> list[list[str]]:
    """What comes of each event by Kafka. Left out records and tables are ours alone: they stay as they are."""
    app = case.app()
    bracket = Run(_Unopened(app)).bracket  # type: ignore[arg-type]
    topics = app.plan().topics
    steps = [json.loads(line) for line in case.kafka.splitlines() if line]
    inputs = [_inputs(event.lines) for event in case.events]
    answer = kafka.ask({"steps": steps, "input": [one for several in inputs for one in several]})
    assert answer["error"] is None, answer["error"]
    after = iter(answer["after"])
    found = []
    for event, several in zip(case.events, inputs, strict=True):
        came = [next(after) for _ in several]
        lines = [
            _shown(topic, record, topics[topic].value_type, bracket)
            for topic in sorted({topic for one in came for topic in one})
            for one in came
            for record in one.get(topic, [])
        ]
        found.append(lines + [line for line in event.expected if line.startswith(OURS) or not several])
    return found


class _Unopened:
    def __init__(self, app: Any) -> None:
        self.app = app


def _inputs(lines: list[str]) -> list[dict[str, Any]]:
    lines = [line.split("  #")[0].rstrip() for line in lines]
    if lines[0].startswith("clock "):
        return [{"advance_ms": to_ms(lines[0].removeprefix("clock ").strip().removeprefix("+"), "clock")}]
    if lines[0].split()[0] in COMMANDS:
        return []
    return [_input(line.removeprefix("+ ")) for line in lines]


def _input(line: str) -> dict[str, Any]:
    topic, record = record_of(line)
    headers = [[name, (value or b"").decode()] for name, value in record.headers]
    value = {"n": record.value} if isinstance(record.value, int) else record.value
    value = {"s": value} if isinstance(value, str) else value
    return {"topic": topic, "key": record.key, "value": value, "timestamp": record.timestamp, "headers": headers}


def _shown(topic: str, record: list[Any], kind: Any, bracket: str) -> str:
    key, value, timestamp, headers = record
    plain = f"{shown(key['key'])}[{key['start']},{key['end']}{bracket}" if isinstance(key, dict) else shown(key)
    if isinstance(value, dict) and kind in (int, str):
        value = value.get("n" if kind is int else "s")
    return f"{topic}  {plain}: {shown(value)} @{timestamp}" + "".join(f" {name}={text}" for name, text in headers)
