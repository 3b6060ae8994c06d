"""What a producer says to the coordinator of its transactions (Kafka: TransactionManager).

Two protocols. The old one names partitions and groups before they are written to, all that are known at a time in one
request. Where the cluster has `transaction.version` 2 (KIP-890, Kafka 4.0), Produce and TxnOffsetCommit do that by
themselves, and each EndTxn hands out the next epoch, so that what comes late of a transaction that is over is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from broker_embedded import records
from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.transactions import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
    EndTxnRequest,
    EndTxnResponse,
    InitProducerIdRequest,
)
from streams.transport.contract import Committed, GroupIdentity, TopicPartition
from streams.transport.error_codes import check
from streams.transport.kafka.connection import TRANSACTION, KafkaConnection
from streams.transport.rows import by_partition, by_topic, offset_commit, txn_offset_commit

_OFFSET_COMMIT_LAST = 9  # the last with names
# The last versions in which partitions and groups are named by requests of their own, and the first behind those.
_PRODUCE, _ADD_PARTITIONS_LAST, _TXN_OFFSET_COMMIT, _END_TXN = (11, 12), 3, (4, 5), (4, 5)
_FEATURE, _BY_ITSELF = "transaction.version", 2


class Coordination:
    """Who a producer is, and what its transaction has in it: whether anything (`wrote`), and whether it is known what
    (not where it is `in_doubt`).
    """

    def __init__(self, connection: KafkaConnection, transactional_id: str | None, timeout_ms: int) -> None:
        self._connection = connection
        self.transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self.who = "producer" if transactional_id is None else f"producer {transactional_id!r}"
        self.identity = (records.NO_PRODUCER_ID, records.NO_PRODUCER_EPOCH)
        self.wrote = False
        self.in_doubt = False
        self._adds_by_itself = False
        self._added: set[TopicPartition] = set()
        self._groups_added: set[str] = set()

    @property
    def produce_version(self) -> int:
        """The last version of Produce to use."""
        return _PRODUCE[self._adds_by_itself]

    async def start(self) -> None:
        """Become the one producer of the transactional id; what an older one has left open is aborted."""
        if self.transactional_id is not None:
            self._adds_by_itself = await self._connection.feature(_FEATURE) >= _BY_ITSELF
        self.identity = await self.fresh()
        self.in_doubt = False

    async def fresh(self) -> tuple[int, int]:
        """A producer id and epoch: new ones, or those of the transactional id."""
        request = InitProducerIdRequest(self.transactional_id, self._timeout_ms)

        async def ask() -> tuple[int, int]:
            if self.transactional_id is None:
                answer = await self._connection.ask(request)
            else:
                answer = await self._ask(request)
            check(answer.error_code, self.who)
            return answer.producer_id, answer.producer_epoch

        return await self._connection.retry(ask)

    def begin(self) -> None:
        """Nothing is in the transaction yet."""
        self._added.clear()
        self._groups_added.clear()
        self.wrote = False

    async def admit(self, tps: Iterable[TopicPartition]) -> None:
        """Make partitions part of the transaction, if that is to be said."""
        self.wrote = True
        new = set(tps) - self._added
        if self.transactional_id is None or self._adds_by_itself or not new:
            return
        topics = [AddPartitionsToTxnTopic(name, indexes) for name, indexes in by_topic(sorted(new)).items()]
        row = AddPartitionsToTxnTransaction(self.transactional_id, *self.identity, topics=topics)

        async def ask() -> None:
            answer = await self._ask(AddPartitionsToTxnRequest([row]), _ADD_PARTITIONS_LAST)
            for topic in answer.results_by_transaction[0].topic_results:
                for result in topic.results_by_partition:
                    check(result.partition_error_code, f"{self.who}, {topic.name}-{result.partition_index}")

        await self._connection.retry(ask)
        self._added |= new

    def doubt(self) -> None:
        """A batch of the transaction may be there or not."""
        self.in_doubt = True

    async def send_offsets(self, group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Positions of a group: part of the transaction, if there are transactions."""
        if self.transactional_id is None:
            await self._commit(offset_commit(group, offsets), group.group, _OFFSET_COMMIT_LAST)
            return
        self.wrote = True
        if not self._adds_by_itself and group.group not in self._groups_added:
            await self._checked(AddOffsetsToTxnRequest(self.transactional_id, *self.identity, group.group))
            self._groups_added.add(group.group)
        request = txn_offset_commit(self.transactional_id, *self.identity, group, offsets)
        await self._commit(request, group.group, _TXN_OFFSET_COMMIT[self._adds_by_itself])

    async def _commit(self, request: Request, group: str, last_version: int) -> None:
        async def ask() -> None:
            answer = await self._connection.ask_coordinator(request, group, last_version=last_version)
            for tp, row in by_partition(answer.topics):
                check(row.error_code, f"{self.who}, group {group!r}, {tp}")

        await self._connection.retry(ask)

    async def end(self, *, commit: bool) -> bool:
        """End the transaction; whether the identity is another one now."""
        request = EndTxnRequest(self.transactional_id or "", *self.identity, commit)
        answer: EndTxnResponse = await self._checked(request, _END_TXN[self._adds_by_itself])
        before = self.identity
        if self._adds_by_itself and answer.producer_id >= 0:
            self.identity = answer.producer_id, answer.producer_epoch
        return self.identity != before

    async def _checked(self, request: Request, last_version: int = 32_767) -> Any:
        async def ask() -> Any:
            answer = await self._ask(request, last_version)
            check(answer.error_code, self.who)
            return answer

        return await self._connection.retry(ask)

    async def _ask(self, request: Request, last_version: int = 32_767) -> Any:
        name = self.transactional_id or ""
        return await self._connection.ask_coordinator(request, name, TRANSACTION, last_version=last_version)
