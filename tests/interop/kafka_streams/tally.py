"""What was run: for each operation how many cases, and in how many of them it really ran on columns."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from streams.batch import Batch
from streams.columns import Column
from streams.operators.base import Operator

Case = dict[str, Any]
_KINDS = {
    **dict.fromkeys(
        ("stream", "repartition", "select_key", "map", "flat_map", "flat_map_values", "peek", "merge"), "stream"
    ),
    **dict.fromkeys(("to_stream", "process", "process_values"), "stream"),
    **dict.fromkeys(("table", "to_table", "transform_values", "suppress", "count", "reduce", "aggregate"), "table"),
    "cogroup": "table",
    "global_table": "global",
}


def labels(case: Case) -> dict[str, str]:
    """Of each step (by its id, or its place) the operation in words: `sliding count`, `stream-table join`."""
    kinds: dict[str, str] = {}
    windows: dict[str, str] = {}
    found: dict[str, str] = {}
    for place, step in enumerate(case["steps"]):
        id, op = step.get("id", str(place)), step["op"]
        parents = step.get("from", [])
        of = [kinds[parent] for parent in ([parents] if isinstance(parents, str) else parents)]
        kinds[id] = _KINDS.get(op) or (of[0] if of else "")
        found[id] = _label(step, of, windows.get(parents) if isinstance(parents, str) else None)
        if op == "table" and "history_ms" in step:
            kinds[id] = "versioned"
        if op in ("group_by", "group_by_key"):
            kinds[id] = f"grouped {of[0]}"
        if op == "windowed_by":
            windows[id] = step["window"]["kind"]
        if op == "split":
            kinds.update({f"{id}.{branch}": "stream" for branch in [*range(len(step["branches"])), "default"]})
    return found


def _label(step: dict[str, Any], of: list[str], window: str | None) -> str:
    op = step["op"]
    if op.endswith("join"):
        sides = "foreign-key" if "foreign_key" in step else "-".join(of)
        return f"{sides} {op}" + (" with grace" if "grace_ms" in step else "")
    if op == "cogroup":
        return f"{step['window']['kind']} cogroup" if "window" in step else op
    if op in ("count", "reduce", "aggregate"):
        kind = window or of[0]
        named = " by names" if step.get("fn", {}).get("fn") == "named" else ""
        return f"{kind} {op}{named}" + (" at close" if step.get("emit") == "close" else "")
    if op == "suppress":
        return f"suppress until {'close' if 'until' in step else 'time'}"
    if op == "table":
        return "versioned table" if "history_ms" in step else op
    if op in ("process", "process_values"):
        return f"{op} {step['processor']}" + (f" by {step['time']}" if "time" in step else "")
    table = of[:1] == ["table"] and op in ("filter", "filter_not", "map_values", "group_by")
    return f"table {op}" if table else op


@dataclass
class Tally:
    """Counts, and as text a table of them."""

    ran: Counter[str] = field(default_factory=Counter)
    on_columns: Counter[str] = field(default_factory=Counter)
    not_there: Counter[str] = field(default_factory=Counter)
    allowed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    disagreements: Counter[str] = field(default_factory=Counter)
    cases: int = 0
    topics: int = 0
    topics_left_out: int = 0

    def add(self, case: Case, columns: set[str]) -> None:
        self.cases += 1
        found = labels(case)
        self.ran.update(set(found.values()))
        self.on_columns.update({found.get(name, "group_by") for name in columns})

    def __str__(self) -> str:
        compared = f"{self.topics} topics compared, {self.topics_left_out} left out"
        lines = [f"{self.cases} cases, {compared}", f"{'operation':44}{'cases':>7}{'on columns':>12}"]
        lines += [f"{name:44}{count:7}{self.on_columns[name]:12}" for name, count in sorted(self.ran.items())]
        for title, counts in (
            ("ways", self.ways),
            ("allowed differences", self.allowed),
            ("left out", self.left_out),
            ("not there", self.not_there),
        ):
            lines += (
                [f"{title}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))]
                if counts
                else []
            )
        return "\n".join(lines)


@contextmanager
def watching_columns() -> Iterator[set[str]]:
    """The names of the steps that got an answer from columns. The one without a name of ours is that of a group_by."""
    from streams.operators.aggregations import named_aggregates
    from streams.operators.evaluation import Evaluation

    seen: set[str] = set()
    evaluate, fold = Evaluation.column, named_aggregates.NamedStates._fold_all

    def column(self: Evaluation, batch: Batch) -> Column | None:
        made = evaluate(self, batch)
        if made is not None:
            seen.update(_asking())
        return made

    def fold_all(self: named_aggregates.NamedStates, columns: list[Column], slots: Any) -> None:
        fold(self, columns, slots)
        seen.add(self._node.name)

    with (
        mock.patch.object(Evaluation, "column", column),
        mock.patch.object(named_aggregates.NamedStates, "_fold_all", fold_all),
    ):
        yield seen


def _asking() -> Iterator[str]:
    """The name of the operator at work, found on the stack."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        asking = frame.f_locals.get("self")
        if isinstance(asking, Operator):
            yield asking.node.name
            return
        frame = frame.f_back
