"""Who may do what with a transactional id: pure decisions about its newest record (Kafka: TransactionCoordinator).

Producers speak one of two versions. Old ones name the partitions first and keep their epoch; since KIP-890 each EndTxn
hands out the next epoch, so that what comes late from a transaction that is over is told apart from the next one.
"""

from __future__ import annotations

from typing import NamedTuple

from broker_embedded.coordinator.transactions.log import EPOCH_MAX, Transaction
from broker_embedded.coordinator.transactions.states import COMPLETE, PREPARE, State
from broker_embedded.errors import (
    InvalidProducerEpochError,
    InvalidProducerIdMappingError,
    InvalidTxnStateError,
    KafkaError,
    ProducerFencedError,
)

BUMPS_EPOCH = 2
"""The transaction.version of KIP-890."""


class Epoch(NamedTuple):
    """What InitProducerId gives out. A `producer_id` of -1 is a new one; `last` is the epoch a retry may name."""

    producer_id: int
    epoch: int
    last: int


def owner(txn: Transaction | None, transactional_id: str, producer_id: int, producer_epoch: int) -> Transaction:
    """The transaction, if it is this producer's. Raises InvalidProducerIdMappingError, ProducerFencedError."""
    if txn is None or txn.producer_id != producer_id:
        raise _not_mapped(txn, transactional_id, producer_id)
    if txn.producer_epoch != producer_epoch:
        raise fenced(txn, producer_id, producer_epoch)
    return txn


def check_instance(txn: Transaction, producer_id: int, producer_epoch: int) -> None:
    """Whether a producer that names its id and epoch may have another (KIP-360). Raises ProducerFencedError."""
    is_new = txn.producer_epoch < 0
    knows_the_last = producer_id == txn.producer_id or (
        producer_id == txn.previous_producer_id and producer_epoch >= EPOCH_MAX - 1
    )
    epochs = {txn.producer_epoch} if txn.state is State.ONGOING else {txn.producer_epoch, txn.last_epoch}
    if not is_new and not (knows_the_last and producer_epoch in epochs):
        raise fenced(txn, producer_id, producer_epoch)


def next_epoch(txn: Transaction, expected: int | None) -> Epoch:
    """The epoch after the present one; the present one for a retry, which names the one before as `expected`."""
    current = txn.producer_epoch
    if expected is not None and current >= 0 and expected != current:
        return Epoch(txn.producer_id, current, txn.last_epoch)
    last = -1 if expected is None else current
    return Epoch(-1, 0, last) if txn.is_exhausted else Epoch(txn.producer_id, current + 1, last)


def must_end(
    txn: Transaction | None, transactional_id: str, producer_id: int, producer_epoch: int, version: int, *, commit: bool
) -> Transaction | None:
    """The transaction that EndTxn has to end; None when it has ended so already, and the answer got lost.

    Raises InvalidProducerIdMappingError, ProducerFencedError, InvalidTxnStateError.

        version 2        retry (epoch before)   present epoch
        Empty            fenced                 abort: end it; commit: invalid
        CompleteAbort    abort: None            abort: end it; commit: invalid
        CompleteCommit   commit: None           abort: end it; commit: invalid

    Before version 2 there is the present epoch only, and only a retry of the same outcome after a transaction.
    """
    bumps = version >= BUMPS_EPOCH
    if txn is not None and bumps and _is_retry(txn, producer_id, producer_epoch):
        _check_outcome(txn, commit)
        return None
    txn = owner(txn, transactional_id, producer_id, producer_epoch)
    if txn.state is State.ONGOING or (bumps and not commit):
        return txn
    if bumps or txn.state is State.EMPTY:
        raise InvalidTxnStateError(f"nothing to {_word(commit)} for {transactional_id!r}: no transaction is open")
    _check_outcome(txn, commit)
    return None


def _is_retry(txn: Transaction, producer_id: int, producer_epoch: int) -> bool:
    if txn.state not in COMPLETE.values():
        return False
    took_the_last = txn.previous_producer_id == producer_id and producer_epoch == EPOCH_MAX - 1
    if took_the_last and txn.producer_epoch == 0:
        return True
    return txn.producer_id == producer_id and txn.producer_epoch == producer_epoch + 1


def _check_outcome(txn: Transaction, commit: bool) -> None:
    if txn.state is not COMPLETE[PREPARE[commit]]:
        raise InvalidTxnStateError(
            f"cannot {_word(commit)} the transaction of {txn.transactional_id!r}: it is {txn.state.title}"
        )


def _word(commit: bool) -> str:
    return "commit" if commit else "abort"


def _not_mapped(txn: Transaction | None, transactional_id: str, producer_id: int) -> InvalidProducerIdMappingError:
    who = "nobody does: call InitProducerId first" if txn is None else f"producer {txn.producer_id} does"
    return InvalidProducerIdMappingError(
        f"producer {producer_id} does not own transactional id {transactional_id!r}, {who}"
    )


def error_code(error: KafkaError, *, knows_fenced: bool) -> int:
    """The code for a client: before KIP-588 PRODUCER_FENCED was INVALID_PRODUCER_EPOCH.

    >>> error_code(ProducerFencedError("a newer instance"), knows_fenced=False)
    47
    """
    if isinstance(error, ProducerFencedError) and not knows_fenced:
        return InvalidProducerEpochError.info.code
    return error.code


def fenced(txn: Transaction, producer_id: int, producer_epoch: int) -> ProducerFencedError:
    return ProducerFencedError(
        f"producer {producer_id} with epoch {producer_epoch} no longer owns transactional id {txn.transactional_id!r}: "
        f"epoch {txn.producer_epoch} of producer {txn.producer_id} does (a newer instance, or a timeout, shut it out)"
    )
