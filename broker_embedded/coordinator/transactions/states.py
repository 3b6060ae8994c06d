"""The states of a transaction and the legal moves between them (Kafka: TransactionState)."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Numbered as in the records of `__transaction_state`."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2  # decided: from here on the transaction ends committed, whatever happens
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4  # its markers are in every partition
    COMPLETE_ABORT = 5
    DEAD = 6  # expired; the id is forgotten
    PREPARE_EPOCH_FENCE = 7  # Kafka's while it shuts a producer out; never in the log, and never entered here

    @property
    def title(self) -> str:
        """As Kafka's tools name it.

        >>> State.PREPARE_COMMIT.title
        'PrepareCommit'
        """
        return self.name.title().replace("_", "")


# An abort may come without a transaction: producers ask for it to get a new epoch (KIP-890).
_FROM_IDLE = frozenset({State.EMPTY, State.ONGOING, State.PREPARE_ABORT, State.DEAD})

MOVES: dict[State, frozenset[State]] = {
    State.EMPTY: _FROM_IDLE,
    State.ONGOING: frozenset({State.ONGOING, State.PREPARE_COMMIT, State.PREPARE_ABORT}),
    State.PREPARE_COMMIT: frozenset({State.COMPLETE_COMMIT}),
    State.PREPARE_ABORT: frozenset({State.COMPLETE_ABORT}),
    State.COMPLETE_COMMIT: _FROM_IDLE,
    State.COMPLETE_ABORT: _FROM_IDLE,
    State.DEAD: frozenset(),
    State.PREPARE_EPOCH_FENCE: frozenset(),
}

PREPARED = frozenset({State.PREPARE_COMMIT, State.PREPARE_ABORT})
WITHOUT_PARTITIONS = frozenset({State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT})

PREPARE = {True: State.PREPARE_COMMIT, False: State.PREPARE_ABORT}
COMPLETE = {
    State.PREPARE_COMMIT: State.COMPLETE_COMMIT,
    State.PREPARE_ABORT: State.COMPLETE_ABORT,
}


class IllegalMoveError(RuntimeError):
    """The broker tried a move that is not in the table: a defect of ours, never of a client."""


def check(transactional_id: str, source: State, target: State) -> None:
    """Raise IllegalMoveError unless `source` may become `target`.

    >>> check("worker-0", State.ONGOING, State.PREPARE_COMMIT)
    >>> try:
    ...     check("worker-0", State.PREPARE_COMMIT, State.PREPARE_ABORT)
    ... except IllegalMoveError as error:
    ...     print(error)
    transaction 'worker-0': PREPARE_COMMIT cannot become PREPARE_ABORT
    """
    if target not in MOVES[source]:
        raise IllegalMoveError(f"transaction {transactional_id!r}: {source.name} cannot become {target.name}")
