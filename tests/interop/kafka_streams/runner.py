"""A case on our side, and how its answer differs from Kafka's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

import streams
import streams.testing
from streams.graph.nodes import ForeignKeyJoinNode, SourceNode
from streams.kernels import compiled
from streams.windows import Windowed
from tests.interop.kafka_streams.functions import Row
from tests.interop.kafka_streams.topologies import build

Case = dict[str, Any]
Outputs = dict[str, list[list[Any]]]
"""Topic to its records, each [key, value, timestamp, headers]."""

PARTITIONS = 4


@dataclass(frozen=True)
class Way:
    """One way to run a case. `cut_by` seeds where the input is cut into batches; None gives it record by record.
    `twins` has the compiled ones run, which have to be loaded.
    """

    columns: bool = False
    twins: bool = False
    cut_by: int | None = None
    partitions: int = 1

    @property
    def kind(self) -> str:
        cut = "record by record" if self.cut_by is None else "cut at random"
        over = "" if self.partitions == 1 else f" over {self.partitions} partitions"
        compiled = "compiled " if self.twins else ""
        return f"{compiled}{'columns' if self.columns else 'rows'} {cut}{over}"

    def __str__(self) -> str:
        return self.kind if self.cut_by is None else f"{self.kind} (by {self.cut_by})"


def kafka_outputs(answer: dict[str, Any]) -> Outputs:
    """All that Kafka wrote, event after event."""
    outputs: Outputs = {}
    for after in answer["after"]:
        for topic, records in after.items():
            outputs.setdefault(topic, []).extend(records)
    return outputs


def our_outputs(case: Case, way: Way) -> Outputs:
    """Raises NotThere, and whatever our side raises."""
    app = build(case, columns=way.columns)
    compiled.switch(on=way.twins)
    with streams.testing.Driver(app, partitions=way.partitions) as driver:
        for group in cut(case["input"], way.cut_by):
            if "advance_ms" in group[0]:
                driver.advance(wall=f"{group[0]['advance_ms']}ms")
            else:
                driver.pipe(group[0]["topic"], [_record(event) for event in group])
        return {
            topic: records for topic in written(case) if (records := [_read(record) for record in driver.read(topic)])
        }


def planned(case: Case) -> Any:
    """The plan of the case's app. Raises NotThere."""
    return build(case, columns=False).plan()


def undecided(case: Case, way: Way) -> set[str]:
    """The topics of which nothing says in which order they are written: those behind a task that reads one topic in two
    ways, one of them through a repartition, if the input comes in batches or lies in several partitions. Record by
    record two repartition topics take turns; of three which is next is as Kafka's heap has it.
    """
    in_turns = 2 if way.cut_by is None and way.partitions == 1 else 0
    subs = planned(case).subtopologies
    written = {node.topic.name: node for sub in subs for node in sub.repartitions}
    roots = {source.topic.name: {source.topic.name} - set(written) for sub in subs for source in sub.sources}
    for _ in written:
        for topic, node in written.items():
            roots[topic] = set().union(*(roots[name] for name in _topics_above(node)))
    found: set[str] = set()
    for _ in subs:
        for sub in subs:
            names = {source.topic.name for source in sub.sources}
            direct = set() if way.cut_by is not None else names - set(written)
            read = [roots[name] for name in names - direct - _answers(sub)]
            twice = len(read) > in_turns and sum(map(len, read)) > len(set().union(*read))
            if names & found or twice:
                found |= {name for node in sub.nodes for name in _topics_written(node)}
    return found


def _answers(sub: Any) -> set[str]:
    """The topics of answers to a foreign-key join: which counts is for the join to see, however they come."""
    joins = [node for node in sub.nodes if isinstance(node, ForeignKeyJoinNode)]
    return {parent.topic.name for node in joins for parent in node.parents if isinstance(parent, SourceNode)}


def _topics_written(node: Any) -> list[str]:
    if node.parents and getattr(node, "topic", None) is not None:
        return [node.topic.name]
    return list(getattr(node, "topics", None) or ())


def hangs_on_one_task(case: Case) -> bool:
    """Whether a processor goes by the time of its task, of which Kafka's driver has one for all that is in a case."""
    by_time = any(step.get("time") == "stream" for step in case["steps"])
    return by_time and len(planned(case).subtopologies) > 1


def _topics_above(node: Any) -> set[str]:
    if not node.parents:
        return {node.topic.name} if hasattr(node, "topic") else set()
    return set().union(*map(_topics_above, node.parents))


def cut(events: list[dict[str, Any]], by: int | None) -> Iterator[list[dict[str, Any]]]:
    """Groups of events that are given together: of one topic each, and cut at random besides."""
    random = Random(by)
    group: list[dict[str, Any]] = []
    for event in events:
        alone = by is None or "advance_ms" in event or random.random() < 0.25
        if group and (alone or group[0].get("topic") != event.get("topic")):
            yield group
            group = []
        group.append(event)
    if group:
        yield group


def written(case: Case) -> list[str]:
    """The topics that a case writes."""
    sinks = [step for step in case["steps"] if step["op"] == "to"]
    return sorted({name for sink in sinks for name in ([sink["topic"]] if "topic" in sink else sink["fn"]["topics"])})


def _record(event: dict[str, Any]) -> tuple[Any, ...]:
    value = event.get("value")
    headers = [(name, text.encode()) for name, text in event.get("headers", [])]
    return event.get("key"), None if value is None else Row(**value), event["timestamp"], headers


def _read(record: Any) -> list[Any]:
    headers = [[name, None if data is None else data.decode()] for name, data in record.headers]
    return [_plain_key(record.key), _plain_value(record.value), record.timestamp, headers]


def _plain_key(key: Any) -> Any:
    if isinstance(key, Windowed):
        return {"key": _plain_key(key.key), "start": key.start, "end": key.end}
    return key


def _plain_value(value: Any) -> Any:
    """As JSON has it; fields of None are missing."""
    plain = msgspec.to_builtins(value)
    return {name: item for name, item in plain.items() if item is not None} if isinstance(plain, dict) else plain


def in_order(outputs: Outputs, *, of_each_key: bool) -> dict[str, Any]:
    """What is compared: each topic's records in order, or, over several partitions, those of each key."""
    if not of_each_key:
        return dict(outputs)
    found: dict[str, Any] = {}
    for topic, records in outputs.items():
        keys = found[topic] = {}
        for record in records:
            keys.setdefault(repr(record[0]), []).append(record)
        if "None" in keys:  # they go round, so that their order is lost
            keys["None"].sort(key=repr)
    return found
