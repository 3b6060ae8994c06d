"""python -m tests.interop.kafka_streams [--topology] CASE.json ...: what Kafka Streams answers, event by event.

`-` reads one case from standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.interop.kafka_streams.kafka import KafkaStreams


def main(arguments: list[str]) -> int:
    with_topology = "--topology" in arguments
    names = [argument for argument in arguments if argument != "--topology"]
    if not names:
        print(__doc__)
        return 2
    failed = False
    with KafkaStreams() as kafka:
        for name in names:
            case = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text())
            answer = kafka.ask(case)
            failed |= answer["error"] is not None
            show(case, answer, with_topology)
    return int(failed)


def show(case: dict[str, Any], answer: dict[str, Any], with_topology: bool) -> None:
    if with_topology:
        print(answer.get("topology", ""))
    for event, outputs in zip(case.get("input", ()), answer["after"], strict=False):
        print(json.dumps(event))
        for topic, records in outputs.items():
            for record in records:
                print(f"    {topic}: {json.dumps(record)}")
    if answer["error"] is not None:
        print("error:", answer["error"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
