"""The states of a classic group and the legal moves between them (Kafka: ClassicGroupState)."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Named as admin clients see them."""

    EMPTY = "Empty"  # no members; there may be offsets
    PREPARING_REBALANCE = "PreparingRebalance"  # waits for everybody's JoinGroup
    COMPLETING_REBALANCE = "CompletingRebalance"  # waits for the leader's SyncGroup
    STABLE = "Stable"
    DEAD = "Dead"  # removed


MOVES: dict[State, frozenset[State]] = {
    State.EMPTY: frozenset({State.PREPARING_REBALANCE, State.DEAD}),
    State.PREPARING_REBALANCE: frozenset({State.COMPLETING_REBALANCE, State.EMPTY, State.DEAD}),
    State.COMPLETING_REBALANCE: frozenset({State.STABLE, State.PREPARING_REBALANCE, State.DEAD}),
    State.STABLE: frozenset({State.PREPARING_REBALANCE, State.DEAD}),
    State.DEAD: frozenset({State.DEAD}),
}

BALANCED = frozenset({State.COMPLETING_REBALANCE, State.STABLE})
"""The members of the generation are fixed."""


class IllegalMoveError(RuntimeError):
    """The broker tried a move that is not in the table: a defect of ours, never of a client."""


def check(group_id: str, source: State, target: State) -> None:
    """Raise IllegalMoveError unless `source` may become `target`.

    >>> check("readers", State.COMPLETING_REBALANCE, State.STABLE)
    >>> try:
    ...     check("readers", State.EMPTY, State.STABLE)
    ... except IllegalMoveError as error:
    ...     print(error)
    group 'readers': Empty cannot become Stable
    """
    if target not in MOVES[source]:
        raise IllegalMoveError(f"group {group_id!r}: {source.value} cannot become {target.value}")
