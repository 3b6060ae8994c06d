"""The smallest case on which both sides still disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.interop.kafka_streams.runner import Case

ATTEMPTS_MAX = 400


def minimal(case: Case, disagreement: Callable[[Case], Any]) -> tuple[Case, Any]:
    """Leaves out steps and events as long as `disagreement(case)` gives one of the same kind; the case, and its."""
    last = disagreement(case)
    attempts = 0
    again = True
    while again and attempts < ATTEMPTS_MAX:
        again = False
        for smaller in _smaller(case):
            attempts += 1
            found = disagreement(smaller)
            if found is not None and found.kind == last.kind:
                case, last, again = smaller, found, True
                break
            if attempts >= ATTEMPTS_MAX:
                break
    return case, last


def _smaller(case: Case) -> Iterator[Case]:
    events, steps = case["input"], case["steps"]
    size = len(events) // 2
    while size:
        for start in range(0, len(events), size):
            left = events[:start] + events[start + size :]
            if left:
                yield {**case, "input": left}
        size //= 2
    for place, step in enumerate(steps):
        if not _users(steps, step):
            yield _only_topics({**case, "steps": steps[:place] + steps[place + 1 :]})
    for place, step in enumerate(steps):
        if isinstance(step.get("from"), str) and "id" in step and step["op"] != "split":
            rest = steps[:place] + [_instead(other, step["id"], step["from"]) for other in steps[place + 1 :]]
            if not any(step["op"] == "merge" and len(set(step["from"])) == 1 for step in rest):
                yield {**case, "steps": rest}
    if case.get("optimize", "none") != "none":
        yield {**case, "optimize": "none"}
    for place, event in enumerate(events):
        for name in ("headers", "value"):
            if event.get(name) and event[name] != {"n": 0}:
                simple = {"headers": [], "value": {"n": 0}}[name]
                yield {**case, "input": [*events[:place], {**event, name: simple}, *events[place + 1 :]]}


def _users(steps: list[dict[str, Any]], step: dict[str, Any]) -> bool:
    id = step.get("id")
    return id is not None and any(
        parent == id or parent.startswith(f"{id}.") for other in steps for parent in _parents(other)
    )


def _parents(step: dict[str, Any]) -> list[str]:
    parents: str | list[str] = step.get("from", [])
    return [parents] if isinstance(parents, str) else parents


def _instead(step: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    parents = step.get("from")
    if isinstance(parents, str):
        return {**step, "from": new if parents == old else parents}
    return {**step, "from": [new if parent == old else parent for parent in parents]} if parents else step


def _only_topics(case: Case) -> Case:
    """Without events of topics that no step reads any more."""
    topics = {
        name for step in case["steps"] if step["op"] in ("stream", "table", "global_table") for name in [step["topic"]]
    }
    events = [event for event in case["input"] if event.get("topic", "") in topics or "advance_ms" in event]
    return {**case, "input": events}
