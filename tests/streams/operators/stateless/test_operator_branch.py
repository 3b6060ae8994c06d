"""branch: what a split hands to it goes on as it is; which records those are is shown in test_operator_split.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_a_branch_hands_the_batch_on_as_it_is(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.split(name="x").branch(lambda value: value > 1, "big").default("small"))
    assert made.node.kind == "branch"
    batch = made.batch([("a", 1), (None, 2)])
    assert made.operator.process(batch) is batch
