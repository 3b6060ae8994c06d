"""Both answers to a case, and how they differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.interop.kafka_streams import tally
from tests.interop.kafka_streams.differences import DIFFERENCES, as_asked, behind
from tests.interop.kafka_streams.kafka import KafkaStreams
from tests.interop.kafka_streams.runner import (
    Case,
    Outputs,
    Way,
    hangs_on_one_task,
    in_order,
    kafka_outputs,
    our_outputs,
    undecided,
)
from tests.interop.kafka_streams.topologies import NotThere


class Disagreement(AssertionError):
    """Ours is not Kafka's answer, and no known difference allows that. `kind` is what went wrong, in short."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Comparison:
    """Asks both, and keeps the tally."""

    kafka: KafkaStreams
    tally: tally.Tally

    def quietly(self, case: Case, ways: list[Way]) -> Disagreement | None:
        """The disagreement, if there is one; it does not count."""
        try:
            Comparison(self.kafka, tally.Tally()).check(case, ways)
        except Disagreement as disagreement:
            return disagreement
        except Exception:  # noqa: BLE001 - no case at all any more
            return None
        return None

    def check(self, case: Case, ways: list[Way]) -> None:
        """Raises Disagreement, and NotThere."""
        if hangs_on_one_task(case):
            self.tally.left_out["by the time of a task, of which Kafka's driver has one for all"] += 1
            return
        asked, changed = as_asked(case)
        self.tally.allowed.update(changed)
        answer = self.kafka.ask(asked)
        for difference in DIFFERENCES:
            if difference.allows is not None and difference.allows(case, answer):
                self.tally.allowed[difference.id] += 1
                return
        if answer["error"] is not None:
            raise Disagreement("Kafka fails", f"Kafka fails: {answer['error']}\n{shown(case)}")
        theirs = kafka_outputs(answer)
        left_out = self._left_out(case, answer)
        with tally.watching_columns() as columns:
            for way in ways:
                try:
                    ours = our_outputs(case, way)
                except NotThere:
                    raise
                except Exception as error:
                    raise Disagreement(
                        f"ours fails: {error!r:.60}",
                        f"ours fails ({way}): {type(error).__name__}: {error}\n{shown(case)}",
                    ) from error
                self.tally.ways[way.kind] += 1
                without = left_out | undecided(case, way)
                self.tally.topics += len(set(theirs) - without)
                self.tally.topics_left_out += len(set(theirs) & without)
                _equal(case, way, *(_without(outputs, without) for outputs in (theirs, ours)))
        self.tally.add(case, columns)

    def _left_out(self, case: Case, answer: dict[str, Any]) -> set[str]:
        """The topics in which the answers may differ."""
        topics: set[str] = set()
        for difference in DIFFERENCES:
            steps = difference.behind(case, answer) if difference.behind is not None else []
            self.tally.allowed.update([difference.id] if steps else [])
            topics |= behind(case, steps)
        return topics


def _without(outputs: Outputs, topics: set[str]) -> Outputs:
    return {topic: records for topic, records in outputs.items() if topic not in topics}


def _equal(case: Case, way: Way, theirs: Outputs, ours: Outputs) -> None:
    of_each_key = way.partitions > 1
    if in_order(theirs, of_each_key=of_each_key) != in_order(ours, of_each_key=of_each_key):
        bare = [in_order(_without_headers(outputs), of_each_key=of_each_key) for outputs in (theirs, ours)]
        kind = "headers differ" if bare[0] == bare[1] else "answers differ"
        raise Disagreement(kind, f"{way}\n{side_by_side(theirs, ours)}\n{shown(case)}")


def _without_headers(outputs: Outputs) -> Outputs:
    return {topic: [record[:3] for record in records] for topic, records in outputs.items()}


def side_by_side(theirs: Outputs, ours: Outputs) -> str:
    """Topic by topic, both answers from where they differ."""
    lines = []
    for topic in sorted({*theirs, *ours}):
        left, right = theirs.get(topic, []), ours.get(topic, [])
        if left == right:
            continue
        same = next(
            (at for at, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
            min(len(left), len(right)),
        )
        lines.append(f"{topic}: {same} records are the same; then")
        for name, records in (("Kafka", left), ("ours", right)):
            lines += [f"  {name:6}{json.dumps(record)}" for record in records[same : same + 6]] or [
                f"  {name:6}nothing"
            ]
    return "\n".join(lines)


def shown(case: dict[str, Any]) -> str:
    """A case as a file would have it, a line for each step and event."""
    steps = ",\n  ".join(json.dumps(step) for step in case["steps"])
    events = ",\n  ".join(json.dumps(event) for event in case["input"])
    optimize = json.dumps(case.get("optimize", "none"))
    return f'{{"steps": [\n  {steps}],\n "input": [\n  {events}],\n "optimize": {optimize}}}'
