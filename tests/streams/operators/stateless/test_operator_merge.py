"""merge: records go on as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_batches_are_handed_on_as_they_are(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.filter(lambda v: v > 1).merge(s.filter_not(lambda v: v > 1)))
    batch = made.batch([("a", 1), (None, None)])
    assert made.operator.process(batch) is batch


def test_where_branches_of_one_source_meet_rows_go_one_at_a_time(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.filter(lambda v: v > 1).merge(s))
    assert made.plan.subtopologies[0].row_reason == "branches of numbers meet again in numbers-merge"
