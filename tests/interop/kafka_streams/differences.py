"""Where our answer may differ from Kafka's, each with its reason; docs/explanation/differences.md tells users.

Most are put as a question: `asked` changes the case for Kafka so that its defect does not show, and then the answers
have to be equal. `allows` and `behind` are for the rest: they say from Kafka's answer what need not be.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Case = dict[str, Any]
Step = dict[str, Any]

RETENTION_MS = 100_000


@dataclass(frozen=True)
class Difference:
    id: str
    reason: str
    asked: Callable[[Case], Case] | None = None
    """The case as Kafka is asked it."""
    allows: Callable[[Case, dict[str, Any]], bool] | None = None
    """Whether Kafka's answer to the case is one that ours need not be like."""
    behind: Callable[[Case, dict[str, Any]], list[str]] | None = None
    """The steps behind which ours need not be like Kafka's."""


def _parents(step: Step) -> list[str]:
    parents: str | list[str] = step.get("from", [])
    return [parents] if isinstance(parents, str) else parents


def _before(case: Case, place: Callable[[Step], bool], made: Callable[[Step], Step]) -> Case:
    """The case with another step before each that `place` chooses; `made` gives it."""
    steps: list[Step] = []
    for step in deepcopy(case["steps"]):
        if place(step):
            before = made(step)
            steps.append(before)
            step["from"] = before["id"]
        steps.append(step)
    return {**case, "steps": steps}


def _kept_long(case: Case) -> Case:
    steps = deepcopy(case["steps"])
    for step in steps:
        if step.get("emit") == "close":
            step["retention_ms"] = max(step.get("retention_ms", 0), RETENTION_MS)
    return {**case, "steps": steps}


def _without_nulls(case: Case) -> Case:
    """With a filter of nulls before each group whose windows Kafka lets them into."""
    steps = {step["id"]: step for step in case["steps"] if "id" in step}
    groups = set()
    for step in case["steps"]:
        window = step.get("window", {}).get("kind")
        if window in ("tumbling", "hopping", "session", "unlimited"):
            groups.update(_parents(step))
    groups = {id for id in groups if steps[id]["op"] in ("group_by", "group_by_key")}
    return _before(
        case,
        lambda step: step.get("id") in groups,
        lambda step: {"id": f"{step['id']}-full", "op": "filter", "from": step["from"], "fn": {"fn": "has_value"}},
    )


_FOLDS = ("count", "reduce", "aggregate", "cogroup")
_OF_CHANGES = (
    "filter",
    "filter_not",
    "map_values",
    "transform_values",
    "group_by",
    "suppress",
    "join",
    "left_join",
    "outer_join",
)


def _looked_at_changes(case: Case) -> list[str]:
    """The aggregations of streams whose changes go through steps on tables."""
    steps = {step["id"]: step for step in case["steps"] if "id" in step}
    parents = {id: _parents(step) for id, step in steps.items()}
    tables = {
        id for id, step in steps.items() if step["op"] in _FOLDS and "subtract" not in step and _of_stream(steps, step)
    }
    return [
        id
        for id in tables
        if any(id in above and steps[other]["op"] in _OF_CHANGES for other, above in parents.items())
    ]


def _of_stream(steps: dict[str, Step], step: Step) -> bool:
    groups = _parents(step)
    while steps[groups[0]]["op"] == "windowed_by":
        groups = [steps[groups[0]]["from"]]
    return "value" not in steps[groups[0]].get("fn", {})


def _window_of(case: Case, id: str) -> str | None:
    steps = {step["id"]: step for step in case["steps"] if "id" in step}
    step = steps[id]
    if "window" not in step and isinstance(step["from"], str):
        step = steps[step["from"]]
    kind: str | None = step.get("window", {}).get("kind")
    return kind


def _first_replaces_nothing(case: Case) -> Case:
    looked = [id for id in _looked_at_changes(case) if _window_of(case, id) != "session"]
    steps = [{**step, "first_replaces_nothing": True} if step.get("id") in looked else step for step in case["steps"]]
    return {**case, "steps": steps}


def _steps_on_table(case: Case, ids: set[str]) -> list[str]:
    """The steps on tables that take the changes of one of these."""
    return [step["id"] for step in case["steps"] if step["op"] in _OF_CHANGES and ids & set(_parents(step))]


def _of_sliding(case: Case, answer: dict[str, Any]) -> list[str]:
    return _steps_on_table(case, {id for id in _looked_at_changes(case) if _window_of(case, id) == "sliding"})


def _of_sessions(case: Case, answer: dict[str, Any]) -> list[str]:
    times = [event["timestamp"] for event in case["input"] if "timestamp" in event]
    if len(set(times)) == len(times):
        return []
    return _steps_on_table(case, {id for id in _looked_at_changes(case) if _window_of(case, id) == "session"})


def _told_by_suppress(case: Case, answer: dict[str, Any]) -> list[str]:
    """The steps on tables, near a suppress or not, that go by what a change replaces: groups, and filters that know."""
    reached = {step["id"] for step in case["steps"] if step["op"] == "suppress"}
    for step in case["steps"]:
        if step["op"] in _OF_CHANGES and step["op"] != "group_by" and reached & set(_parents(step)):
            reached.add(step["id"])
    by_olds = ("group_by", "filter", "filter_not")
    return [id for id in _steps_on_table(case, reached) if _op_of(case, id) in by_olds]


def _op_of(case: Case, id: str) -> str:
    op: str = next(step["op"] for step in case["steps"] if step.get("id") == id)
    return op


def _tables(case: Case) -> set[str]:
    """The steps that give tables."""
    found: set[str] = set()
    for step in case["steps"]:
        parents = _parents(step)
        of_table = bool(parents) and parents[0] in found
        if step["op"] in (*_FOLDS, "table", "to_table") or (of_table and step["op"] in _OF_CHANGES):
            found.add(step.get("id", ""))
    return found


def _joined_tables(case: Case) -> set[str]:
    """The joins of tables, and the tables computed from them row by row."""
    tables = _tables(case)
    found: set[str] = set()
    for step in case["steps"]:
        joined = step["op"].endswith("join") or (found & set(_parents(step)) and step["op"] != "group_by")
        if step.get("id") in tables and joined:
            found.add(step["id"])
    return found


def _without_deletions_of_nothing(case: Case) -> Case:
    """With a processor behind each `to_stream` of such a table: it drops deletions of what was not there."""
    joined = _joined_tables(case)
    steps: list[Step] = []
    for step in case["steps"]:
        if step["op"] != "to_stream" or step["from"] not in joined:
            steps.append(step)
            continue
        id, changes, only = step["id"], f"{step['id']}-changes", {"op": "process_values", "processor": "changes_only"}
        steps.append({"id": changes, "op": "to_stream", "from": step["from"]})
        if "fn" not in step:
            steps.append({"id": id, "from": changes, **only})
        else:
            steps.append({"id": f"{id}-only", "from": changes, **only})
            steps.append({"id": id, "op": "select_key", "from": f"{id}-only", "fn": step["fn"]})
    return {**case, "steps": steps}


def _late(*ops: str) -> Callable[[Case, dict[str, Any]], list[str]]:
    def found(case: Case, answer: dict[str, Any]) -> list[str]:
        late = answer.get("late", [])
        return [step["id"] for step in case["steps"] if step.get("id") in late and step["op"] in ops]

    return found


def _self_joined_with_two_stores(case: Case) -> Case:
    joins = [step for step in case["steps"] if "within" in step and step["from"][0] == step["from"][1]]
    if not joins or case.get("optimize") != "all":
        return case
    return {**case, "optimize": "reuse.ktable.source.topics,merge.repartition.topics"}


def _fails_without_key(case: Case, answer: dict[str, Any]) -> bool:
    graced = any("grace_ms" in step for step in case["steps"])
    return graced and "NullPointerException: key cannot be null" in (answer["error"] or "")


def behind(case: Case, ids: list[str]) -> set[str]:
    """The topics that some step of these gets to."""
    reached = set(ids)
    topics: set[str] = set()
    for step in case["steps"]:
        parents = _parents(step)
        if reached & {parent.split(".")[0] for parent in parents}:
            reached.add(step.get("id", ""))
            if step["op"] == "to":
                topics.update([step["topic"]] if "topic" in step else step["fn"]["topics"])
    return topics


DIFFERENCES = [
    Difference(
        "D1",
        "With emit on close Kafka loses windows that leave its store before they are emitted; ours emits every one.",
        asked=_kept_long,
    ),
    Difference(
        "D2",
        "In a left or outer join of streams Kafka lets a record leave alone before its grace is over, and may join it "
        "later all the same; ours waits, and gives one result or the other.",
        behind=_late("left_join", "outer_join"),
    ),
    Difference(
        "D3",
        "Kafka's tumbling, hopping, unlimited and session windows fold records without a value; ours leave them out, "
        "as sliding windows and aggregations without windows do in both.",
        asked=_without_nulls,
    ),
    Difference(
        "D4",
        "Whether two records meet in Kafka's join of streams when one is late hangs on how far the other side has "
        "come; ours meet unless the windows of both, and their grace, have passed.",
        behind=_late("join"),
    ),
    Difference(
        "D5",
        "Kafka's join of a stream with a table and a grace period fails at a record without a key; ours leaves it out, "
        "and in a left join gives it nothing from the table, as the join without grace does in both.",
        allows=_fails_without_key,
    ),
    Difference(
        "D6",
        "Kafka's joins of tables delete rows that were never there; ours do not.",
        asked=_without_deletions_of_nothing,
    ),
    Difference(
        "D8",
        "The first change of an aggregation says in Kafka that it replaces the initial value, and of a sliding window "
        "that it replaces what another window holds; a table made of it takes back what it never took in (so how many "
        "keys a count has stays at 1). Ours replaces nothing.",
        asked=_first_replaces_nothing,
        behind=_of_sliding,
    ),
    Difference(
        "D9",
        "With topology.optimization=all Kafka's join of a stream with itself gives its results in another order, and "
        "in an outer join drops records without a key; ours gives what it gives without.",
        asked=_self_joined_with_two_stores,
    ),
    Difference(
        "D10",
        "What leaves Kafka's suppress says that it replaces the last change that was held back; ours says what left "
        "before, so that a table grouped from it is right.",
        behind=_told_by_suppress,
    ),
    Difference(
        "D12",
        "A session that already begins and ends with the record at hand says in Kafka that it replaces nothing, so "
        "that a table grouped from it keeps what it was; ours says what it replaces.",
        behind=_of_sessions,
    ),
]


def as_asked(case: Case) -> tuple[Case, list[str]]:
    """The case as Kafka is asked it, and the differences for which it is another one."""
    changed = []
    for difference in DIFFERENCES:
        if difference.asked is not None:
            asked = difference.asked(case)
            if asked != case:
                changed.append(difference.id)
            case = asked
    return case, changed
