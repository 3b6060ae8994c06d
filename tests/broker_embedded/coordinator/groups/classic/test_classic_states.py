"""The table of legal moves, against Kafka's picture of it."""

from __future__ import annotations

import itertools

import pytest

from broker_embedded.coordinator.groups.classic.states import IllegalMoveError, State, check

LEGAL = """
Empty PreparingRebalance
PreparingRebalance CompletingRebalance
PreparingRebalance Empty
CompletingRebalance Stable
CompletingRebalance PreparingRebalance
Stable PreparingRebalance
Empty Dead
PreparingRebalance Dead
CompletingRebalance Dead
Stable Dead
Dead Dead
"""


@pytest.mark.parametrize(("source", "target"), [*itertools.product(State, repeat=2)])
def test_moves(source: State, target: State) -> None:
    if f"{source.value} {target.value}" in LEGAL.splitlines():
        check("g", source, target)
    else:
        with pytest.raises(IllegalMoveError, match=f"'g': {source.value} cannot become {target.value}"):
            check("g", source, target)
