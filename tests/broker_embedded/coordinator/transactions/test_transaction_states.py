"""The table of states: what Kafka's validPreviousStates allow, no more."""

from __future__ import annotations

import pytest

from broker_embedded.coordinator.transactions.states import COMPLETE, MOVES, PREPARE, IllegalMoveError, State, check

# Read by target, as TransactionState has it.
BEFORE = {
    State.EMPTY: {State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT},
    State.ONGOING: {State.ONGOING, State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT},
    State.PREPARE_COMMIT: {State.ONGOING},
    State.PREPARE_ABORT: {State.ONGOING, State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT},
    State.COMPLETE_COMMIT: {State.PREPARE_COMMIT},
    State.COMPLETE_ABORT: {State.PREPARE_ABORT},
    State.DEAD: {State.EMPTY, State.COMPLETE_ABORT, State.COMPLETE_COMMIT},
    State.PREPARE_EPOCH_FENCE: set(),  # Kafka's while it waits for the log; a move is one step here
}


@pytest.mark.parametrize("source", State)
@pytest.mark.parametrize("target", State)
def test_moves(source: State, target: State) -> None:
    if source in BEFORE[target]:
        check("t", source, target)
    else:
        with pytest.raises(IllegalMoveError, match=f"{source.name} cannot become {target.name}"):
            check("t", source, target)


def test_every_state_is_in_the_table() -> None:
    assert set(MOVES) == set(State)


def test_a_decision_leads_to_its_outcome() -> None:
    assert {COMPLETE[PREPARE[commit]] for commit in (True, False)} == {State.COMPLETE_COMMIT, State.COMPLETE_ABORT}
    assert all(MOVES[prepared] == {complete} for prepared, complete in COMPLETE.items())
