"""The transaction coordinator (Kafka: TransactionCoordinator, TransactionStateManager).

What it holds in memory is what the newest record per transactional id in `__transaction_state` says. Each change is a
record first and memory second. The life of a transaction is the table in `states.py`; four rules come on top:

- A PrepareCommit or PrepareAbort in the log is a decision. Whatever stops the markers (a crash, a full disk), the next
  chance finishes them: the open, `expire`, or the next request of that id. Partitions that have theirs are passed over.
- The log is told of a transaction once, when it begins, and of all its partitions when it ends. All partitions are in
  this process, so an open finds those of a transaction left open in the partitions themselves.
- With `sync_on_commit`: data, offsets and what was read are synced, then the PrepareCommit record, then come markers
  and answer. The markers need no sync, as an open writes them again. Only here does the coordinator wait; `ending`
  keeps others out.
- An epoch is fenced in the coordinator and in the partitions: a marker carries the newest epoch of its producer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from broker_embedded.coordinator import states
from broker_embedded.coordinator.states import State
from broker_embedded.coordinator.transaction_log import Transaction, TransactionLog
from broker_embedded.coordinator.transaction_records import TransactionValue
from broker_embedded.errors import (
    ConcurrentTransactionsError,
    InvalidProducerEpochError,
    InvalidProducerIdMappingError,
    InvalidRequestError,
    InvalidTransactionTimeoutError,
    InvalidTxnStateError,
    KafkaStorageError,
    ProducerFencedError,
)
from broker_embedded.topics import TRANSACTIONS_TOPIC

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

log = logging.getLogger(__name__)

EPOCH_MAX = 32_767


class Transactions:
    """All transactional ids of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._log = TransactionLog(cluster)
        self.by_id: dict[str, Transaction] = {}

    # InitProducerId

    def init_producer_id(
        self, transactional_id: str, timeout_ms: int, producer_id: int = -1, producer_epoch: int = -1
    ) -> tuple[int, int]:
        """A producer id and epoch for a new instance; shuts older instances out and aborts what they left open.

        With `producer_id` and `producer_epoch` the same instance asks again after an error (KIP-360). Raises
        InvalidTransactionTimeoutError, ProducerFencedError, ConcurrentTransactionsError (ask again).
        """
        if not transactional_id:
            raise InvalidRequestError("transactional id is empty; leave it out for a producer without transactions")
        if not 0 < timeout_ms <= self._cluster.config.transaction_max_timeout_ms:
            raise InvalidTransactionTimeoutError(
                f"transaction timeout of {transactional_id!r} is {timeout_ms} ms; between 1 and "
                f"{self._cluster.config.transaction_max_timeout_ms} (transaction.max.timeout.ms) is allowed"
            )
        if (producer_id < 0) != (producer_epoch < 0):
            raise InvalidRequestError(
                f"producer id {producer_id} and epoch {producer_epoch} come together or not at all"
            )
        txn = self.by_id.get(transactional_id)
        if txn is None:
            txn = Transaction(transactional_id, self._cluster.next_producer_id(), -1, timeout_ms)
        elif producer_id >= 0:
            if producer_id != txn.producer_id or producer_epoch not in (txn.producer_epoch, txn.last_epoch):
                raise _fenced(txn, producer_id, producer_epoch)
            if producer_epoch != txn.producer_epoch:
                return txn.producer_id, txn.producer_epoch
        self._settle(txn)
        if txn.state is State.ONGOING:
            self._abort_and_fence(txn)
        return self._new_epoch(txn, timeout_ms, producer_epoch)

    def _new_epoch(self, txn: Transaction, timeout_ms: int, last_epoch: int) -> tuple[int, int]:
        producer_id, epoch = txn.producer_id, txn.producer_epoch + 1
        if epoch >= EPOCH_MAX:  # the last one is kept for fencing
            producer_id, epoch, last_epoch = self._cluster.next_producer_id(), 0, -1
        self._move(txn, State.EMPTY, producer=(producer_id, epoch), timeout_ms=timeout_ms, partitions=())
        txn.last_epoch = last_epoch
        self.by_id[txn.transactional_id] = txn
        return producer_id, epoch

    # AddPartitionsToTxn, AddOffsetsToTxn, and Produce and TxnOffsetCommit, which add their partition themselves

    def find(self, transactional_id: str, producer_id: int, producer_epoch: int) -> Transaction:
        """The transaction of a producer. Raises InvalidProducerIdMappingError or ProducerFencedError."""
        txn = self.by_id.get(transactional_id)
        if txn is None or txn.producer_id != producer_id:
            raise InvalidProducerIdMappingError(
                f"producer {producer_id} does not own transactional id {transactional_id!r}"
                + (f", producer {txn.producer_id} does" if txn else ", nobody does: call InitProducerId first")
            )
        if txn.producer_epoch != producer_epoch:
            raise _fenced(txn, producer_id, producer_epoch)
        return txn

    def add_partitions(
        self, transactional_id: str, producer_id: int, producer_epoch: int, partitions: Iterable[tuple[str, int]]
    ) -> None:
        """Make `partitions` part of the producer's transaction; begins one if none is open."""
        txn = self.find(transactional_id, producer_id, producer_epoch)
        self._settle(txn)
        if txn.state is State.ONGOING:
            txn.partitions.update(partitions)
        else:
            self._move(txn, State.ONGOING, partitions=partitions, started_ms=self._cluster.now_ms())

    def join(self, transactional_id: str, producer_id: int, producer_epoch: int, partition: tuple[str, int]) -> None:
        """What a Produce does before it writes: add its partition. Raises InvalidProducerEpochError for a zombie."""
        txn = self.by_id.get(transactional_id)
        if (  # the way of nearly every Produce, once per batch
            txn is not None
            and txn.state is State.ONGOING
            and txn.producer_id == producer_id
            and txn.producer_epoch == producer_epoch
            and partition in txn.partitions
            and not txn.ending
        ):
            return
        try:
            self.add_partitions(transactional_id, producer_id, producer_epoch, (partition,))
        except ProducerFencedError as error:
            raise InvalidProducerEpochError(str(error)) from None

    def verify(self, transactional_id: str, producer_id: int, producer_epoch: int, partition: tuple[str, int]) -> None:
        """What a Produce of an older client does instead: the partition must have been added (KIP-890)."""
        try:
            txn = self.find(transactional_id, producer_id, producer_epoch)
        except ProducerFencedError as error:
            raise InvalidProducerEpochError(str(error)) from None
        self._settle(txn)
        if txn.state is not State.ONGOING or partition not in txn.partitions:
            raise InvalidTxnStateError(
                f"{partition[0]}-{partition[1]} is not in the transaction of {transactional_id!r} ({txn.state.name}): "
                "send AddPartitionsToTxn first"
            )

    # EndTxn

    async def end(self, transactional_id: str, producer_id: int, producer_epoch: int, *, commit: bool) -> None:
        """Commit or abort. Asked again for the outcome it had, it agrees; for the other, InvalidTxnStateError."""
        txn = self.find(transactional_id, producer_id, producer_epoch)
        self._settle(txn)
        if txn.state is State.ONGOING:
            if commit and self._cluster.config.sync_on_commit:
                txn.ending = True  # at once: the work below begins in a later turn of the loop
                await self._cluster.keep_running(self._commit_synced(txn))
            else:
                self._end(txn, states.PREPARE[commit])
        elif txn.state not in (State.EMPTY, states.COMPLETE[states.PREPARE[commit]]):
            asked = "commit" if commit else "abort"
            raise InvalidTxnStateError(f"cannot {asked} the transaction of {transactional_id!r}: {txn.state.name}")

    def _end(self, txn: Transaction, prepared: State) -> None:
        self._move(txn, prepared)
        self._finish(txn)

    async def _commit_synced(self, txn: Transaction) -> None:
        try:
            read = self._cluster.offsets.read_by(txn.producer_id)
            logs = (self._cluster.find_log(*partition) for partition in sorted(txn.partitions | read))
            await self._cluster.sync([source for source in logs if source is not None])
            self._move(txn, State.PREPARE_COMMIT)
            await self._cluster.sync(self._cluster.topics[TRANSACTIONS_TOPIC].partitions)
            self._finish(txn)
        finally:
            txn.ending = False

    def _abort_and_fence(self, txn: Transaction) -> None:
        """Abort on behalf of a producer that is gone or too slow: with the next epoch, so that it is shut out."""
        states.check(txn.transactional_id, txn.state, State.PREPARE_EPOCH_FENCE)
        txn.state = State.PREPARE_EPOCH_FENCE
        try:
            self._move(txn, State.PREPARE_ABORT, producer=(txn.producer_id, txn.producer_epoch + 1))
        except KafkaStorageError:
            txn.state = State.ONGOING  # nothing was written down: next time again
            raise
        txn.last_epoch = -1
        self._finish(txn)

    def _settle(self, txn: Transaction) -> None:
        """Finish what was decided and not finished; raise ConcurrentTransactionsError if another request is at it."""
        if txn.ending:
            raise ConcurrentTransactionsError(f"the transaction of {txn.transactional_id!r} is being committed")
        if txn.state in states.PREPARED:
            self._finish(txn)

    def _finish(self, txn: Transaction) -> None:
        commit = txn.state is State.PREPARE_COMMIT
        for partition in sorted(txn.partitions):
            span = txn.spans.get(partition)
            first = None if span is None else span.first
            self._cluster.write_marker(partition, txn.producer_id, txn.producer_epoch, commit=commit, first=first)
        self._move(txn, states.COMPLETE[txn.state], partitions=())

    # Time

    def expire(self, now_ms: int) -> None:
        """Abort transactions beyond their timeout, finish decided ones, forget ids unused for long."""
        for txn in list(self.by_id.values()):
            if txn.ending:
                continue
            if txn.state in states.PREPARED:
                self._finish(txn)
            elif txn.state is State.ONGOING:
                if now_ms - txn.started_ms > txn.timeout_ms:
                    waited_ms = now_ms - txn.started_ms
                    log.warning(
                        "transaction of %r is open for %d ms, its timeout is %d ms: aborted, and producer %d shut out",
                        *(txn.transactional_id, waited_ms, txn.timeout_ms, txn.producer_id),
                    )
                    self._abort_and_fence(txn)
            elif now_ms - txn.updated_ms > self._cluster.config.transactional_id_expiration_ms:
                self._forget(txn)

    def _forget(self, txn: Transaction) -> None:
        states.check(txn.transactional_id, txn.state, State.DEAD)
        self._log.remove(txn)
        txn.state = State.DEAD
        del self.by_id[txn.transactional_id]

    # Moves

    def _move(
        self,
        txn: Transaction,
        state: State,
        *,
        producer: tuple[int, int] | None = None,
        timeout_ms: int | None = None,
        partitions: Iterable[tuple[str, int]] | None = None,
        started_ms: int | None = None,
    ) -> None:
        """Write down, then make, the move to `state`; what is not given stays."""
        states.check(txn.transactional_id, txn.state, state)
        now_ms = self._cluster.now_ms()
        producer_id, epoch = producer or (txn.producer_id, txn.producer_epoch)
        value = TransactionValue(
            producer_id,
            epoch,
            txn.timeout_ms if timeout_ms is None else timeout_ms,
            state,
            frozenset(txn.partitions if partitions is None else partitions),
            now_ms,
            txn.started_ms if started_ms is None else started_ms,
        )
        self._log.write(txn, value)

    def load(self) -> None:
        """Read `__transaction_state`."""
        self.by_id = self._log.read()

    def reconcile(self) -> None:
        """After `load`: bring every transaction in every partition to where it must be."""
        self._catch_up_with_epochs()
        by_producer = {txn.producer_id: txn for txn in self.by_id.values()}
        for txn in by_producer.values():
            if txn.state in states.PREPARED:
                log.info("finishing the transaction of %r, decided as %s", txn.transactional_id, txn.state.name)
                self._finish(txn)
        for partition, producer_id, epoch in self._cluster.open_transactions():
            found = by_producer.get(producer_id)
            if found is not None and found.state is State.ONGOING and epoch == found.producer_epoch:
                found.partitions.add(partition)
            else:
                log.warning("%s-%d: the open transaction of producer %d is nobody's: aborted", *partition, producer_id)
                self._cluster.write_marker(partition, producer_id, epoch, commit=False)

    def _catch_up_with_epochs(self) -> None:
        # A lost end of the log may have held a newer epoch that partitions have seen, and will insist on.
        for txn in self.by_id.values():
            for source in self._cluster.logs():
                producer = source.producers.get(txn.producer_id)
                if producer is not None and producer.epoch > txn.producer_epoch:
                    txn.producer_epoch = producer.epoch

    def write_down_open(self) -> None:
        """Before a clean close: transactions still open, with all their partitions."""
        for txn in self.by_id.values():
            if txn.state is State.ONGOING:
                self._move(txn, State.ONGOING)


def _fenced(txn: Transaction, producer_id: int, producer_epoch: int) -> ProducerFencedError:
    return ProducerFencedError(
        f"producer {producer_id} with epoch {producer_epoch} no longer owns transactional id {txn.transactional_id!r}: "
        f"epoch {txn.producer_epoch} of producer {txn.producer_id} does (a newer instance, or a timeout, shut it out)"
    )
