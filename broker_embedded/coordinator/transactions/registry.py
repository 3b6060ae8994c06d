"""The transaction coordinator (Kafka: TransactionCoordinator, TransactionStateManager).

What it holds in memory is what the newest record per transactional id in `__transaction_state` says. Each change is a
record first and memory second. The life of a transaction is the table in `states.py`, who may ask for what is in
`rules.py`; four rules come on top:

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
from typing import TYPE_CHECKING, Any

from broker_embedded.coordinator.transactions import rules, states
from broker_embedded.coordinator.transactions.log import EPOCH_MAX, Transaction, TransactionLog
from broker_embedded.coordinator.transactions.markers import open_transactions, write_marker
from broker_embedded.coordinator.transactions.states import State
from broker_embedded.errors import (
    ConcurrentTransactionsError,
    InvalidProducerEpochError,
    InvalidRequestError,
    InvalidTransactionTimeoutError,
    ProducerFencedError,
    TransactionAbortableError,
)
from broker_embedded.topics import TRANSACTIONS_TOPIC

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

log = logging.getLogger(__name__)


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
        _check_id(transactional_id)
        if not 0 < timeout_ms <= self._cluster.config.transaction_max_timeout_ms:
            raise InvalidTransactionTimeoutError(
                f"transaction timeout of {transactional_id!r} is {timeout_ms} ms; between 1 and "
                f"{self._cluster.config.transaction_max_timeout_ms} (transaction.max.timeout.ms) is allowed"
            )
        txn = self.by_id.get(transactional_id)
        if txn is None:
            txn = Transaction(transactional_id, self._cluster.next_producer_id(), -1, timeout_ms)
        self._settle(txn)
        if producer_id >= 0:
            rules.check_instance(txn, producer_id, producer_epoch)
        if txn.state is State.ONGOING:
            self._abort_and_fence(txn)
        given = rules.next_epoch(txn, producer_epoch if producer_id >= 0 else None)
        producer_id = given.producer_id if given.producer_id >= 0 else self._cluster.next_producer_id()
        is_retry = (producer_id, given.epoch) == (txn.producer_id, txn.producer_epoch)
        self._move(
            txn,
            State.EMPTY,
            producer_id=producer_id,
            producer_epoch=given.epoch,
            previous_producer_id=txn.previous_producer_id if is_retry else txn.producer_id,
            timeout_ms=timeout_ms,
            started_ms=-1,
        )
        txn.last_epoch = given.last
        self.by_id[transactional_id] = txn
        return producer_id, given.epoch

    # AddPartitionsToTxn, AddOffsetsToTxn, and Produce and TxnOffsetCommit, which add their partition themselves

    def add_partitions(
        self, transactional_id: str, producer_id: int, producer_epoch: int, partitions: Iterable[tuple[str, int]]
    ) -> None:
        """Make `partitions` part of the producer's transaction; begins one if none is open.

        They are written down: until data of the transaction is in them, nothing else tells of them.
        """
        txn = self._owned(transactional_id, producer_id, producer_epoch)
        added = txn.partitions.union(partitions)
        if txn.state is not State.ONGOING:
            self._begin(txn, added, version=0)
        elif added != txn.partitions:
            self._move(txn, State.ONGOING, partitions=frozenset(added))

    def join(self, transactional_id: str, producer_id: int, producer_epoch: int, partition: tuple[str, int]) -> None:
        """What a request does before it writes: add its partition. Raises InvalidProducerEpochError for a zombie."""
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
            txn = self._owned(transactional_id, producer_id, producer_epoch)
        except ProducerFencedError as error:
            raise InvalidProducerEpochError(str(error)) from None
        if txn.state is State.ONGOING:
            txn.partitions.add(partition)
        else:
            self._begin(txn, {partition}, version=rules.BUMPS_EPOCH)

    def verify(self, transactional_id: str, producer_id: int, producer_epoch: int, partition: tuple[str, int]) -> None:
        """What a request of an older client does instead: the partition must have been added (KIP-890).

        Raises TransactionAbortableError if it was not, InvalidProducerEpochError for a zombie.
        """
        try:
            txn = self._owned(transactional_id, producer_id, producer_epoch)
        except ProducerFencedError as error:
            raise InvalidProducerEpochError(str(error)) from None
        if partition not in txn.partitions:
            raise TransactionAbortableError(
                f"{partition[0]}-{partition[1]} is not in the transaction of {transactional_id!r} ({txn.state.title}): "
                "send AddPartitionsToTxn first"
            )

    def _owned(self, transactional_id: str, producer_id: int, producer_epoch: int) -> Transaction:
        """The transaction of a producer, settled. Raises as `rules.owner`, and ConcurrentTransactionsError."""
        _check_id(transactional_id)
        found = self.by_id.get(transactional_id)
        if found is not None:
            self._settle(found)
        return rules.owner(found, transactional_id, producer_id, producer_epoch)

    def _begin(self, txn: Transaction, partitions: set[tuple[str, int]], version: int) -> None:
        began_ms = self._cluster.now_ms()
        self._move(txn, State.ONGOING, partitions=frozenset(partitions), started_ms=began_ms, client_version=version)

    # EndTxn

    async def end(
        self, transactional_id: str, producer_id: int, producer_epoch: int, *, commit: bool, version: int = 0
    ) -> tuple[int, int]:
        """Commit or abort; the producer id and epoch to go on with, which are new ones from `version` 2 on.

        Asked again for the outcome it had, it agrees. Raises what `rules.must_end` does, and
        ConcurrentTransactionsError.
        """
        _check_id(transactional_id)
        found = self.by_id.get(transactional_id)
        if found is not None:
            self._settle(found)
        txn = rules.must_end(found, transactional_id, producer_id, producer_epoch, version, commit=commit)
        if txn is None:
            assert found is not None
            return found.producer_id, found.producer_epoch
        if commit and self._cluster.config.sync_on_commit:
            txn.ending = True  # at once: the work below begins in a later turn of the loop
            return await self._cluster.durability.keep_running(self._commit_synced(txn, version))
        self._decide(txn, states.PREPARE[commit], version)
        return self._finish(txn)

    async def _commit_synced(self, txn: Transaction, version: int) -> tuple[int, int]:
        try:
            read = self._cluster.offsets.read_by(txn.producer_id)
            logs = (self._cluster.find_log(*partition) for partition in sorted(txn.partitions | read))
            await self._cluster.durability.sync([source for source in logs if source is not None])
            self._decide(txn, State.PREPARE_COMMIT, version)
            await self._cluster.durability.sync(self._cluster.topics[TRANSACTIONS_TOPIC].partitions)
            return self._finish(txn)
        finally:
            txn.ending = False

    def _decide(self, txn: Transaction, prepared: State, version: int) -> None:
        """Write the outcome down. From version 2 on markers carry the next epoch: what comes late is shut out."""
        started_ms = txn.started_ms if txn.state is State.ONGOING else self._cluster.now_ms()
        if version < rules.BUMPS_EPOCH:
            self._move(txn, prepared, started_ms=started_ms, client_version=version)
            return
        last_epoch = txn.producer_epoch
        next_id = self._cluster.next_producer_id() if txn.is_exhausted else -1
        self._move(
            txn,
            prepared,
            producer_epoch=min(last_epoch + 1, EPOCH_MAX),
            next_producer_id=next_id,
            started_ms=started_ms,
            client_version=version,
        )
        txn.last_epoch = last_epoch

    def _abort_and_fence(self, txn: Transaction) -> None:
        """Abort on behalf of a producer that is gone or too slow: with the next epoch, so that it is shut out."""
        self._decide(txn, State.PREPARE_ABORT, rules.BUMPS_EPOCH)
        self._finish(txn)

    def _settle(self, txn: Transaction) -> None:
        """Finish what was decided and not finished; raise ConcurrentTransactionsError if another request is at it."""
        if txn.ending:
            raise ConcurrentTransactionsError(f"the transaction of {txn.transactional_id!r} is being committed")
        if txn.state in states.PREPARED:
            self._finish(txn)

    def _finish(self, txn: Transaction) -> tuple[int, int]:
        """Write the markers of a decided transaction, and who goes on after it."""
        commit = txn.state is State.PREPARE_COMMIT
        for partition in sorted(txn.partitions):
            span = txn.spans.get(partition)
            first = None if span is None else span.first
            write_marker(self._cluster, partition, txn.producer_id, txn.producer_epoch, commit=commit, first=first)
        took_the_last = txn.next_producer_id >= 0
        producer_id, epoch = (txn.next_producer_id, 0) if took_the_last else (txn.producer_id, txn.producer_epoch)
        after = {"producer_id": producer_id, "producer_epoch": epoch, "next_producer_id": -1}
        self._move(txn, states.COMPLETE[txn.state], **after)
        return producer_id, epoch

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

    def _move(self, txn: Transaction, state: State, **changes: Any) -> None:
        """Write down, then make, the move to `state` with `changes` of its record. Only some states have partitions."""
        states.check(txn.transactional_id, txn.state, state)
        if state in states.WITHOUT_PARTITIONS:
            changes["partitions"] = frozenset()
        changes.setdefault("previous_producer_id", txn.producer_id)
        value = txn.value()._replace(state=state, updated_ms=self._cluster.now_ms(), **changes)
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
        for partition, producer_id, epoch in open_transactions(self._cluster):
            found = by_producer.get(producer_id)
            if found is not None and found.state is State.ONGOING and epoch == found.producer_epoch:
                found.partitions.add(partition)
            else:
                log.warning("%s-%d: the open transaction of producer %d is nobody's: aborted", *partition, producer_id)
                write_marker(self._cluster, partition, producer_id, epoch, commit=False)

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


def _check_id(transactional_id: str) -> None:
    if not transactional_id:
        raise InvalidRequestError("transactional id is empty; leave it out for a producer without transactions")
