"""What a compaction on its way through a log knows of transactions: whose data was aborted, whose markers may go.

The rules are Kafka's (CleanedTransactionMetadata): a marker stays as long as anything of its transaction does, and an
aborted transaction is in the index as long as its marker is needed.
"""

from __future__ import annotations

from collections.abc import Iterable

from broker_embedded.log.index import AbortedTransaction
from broker_embedded.records import BatchHeader, read_control


class CleanedTransactions:
    """Fed with every batch of a log in order. `aborted` are all aborted transactions that touch what is read."""

    __slots__ = ("_coming", "_committed", "_open", "_seen", "kept")

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._coming = sorted(aborted, key=lambda entry: entry.first_offset, reverse=True)
        self._open: dict[int, AbortedTransaction] = {}
        self._seen: set[int] = set()  # producers of open aborted transactions of which a batch was there
        self._committed: set[int] = set()
        self.kept: list[AbortedTransaction] = []

    def is_aborted(self, header: BatchHeader) -> bool:
        """Whether a batch of records is part of an aborted transaction."""
        self._begin(header.last_offset)
        if not header.is_transactional:
            return False
        if header.producer_id in self._open:
            self._seen.add(header.producer_id)
            return True
        self._committed.add(header.producer_id)
        return False

    def may_go(self, header: BatchHeader, batch: memoryview) -> bool:
        """Whether nothing is left of the transaction that a control batch ends."""
        self._begin(header.last_offset)
        if not header.count:
            return True
        commit = read_control(batch)
        producer_id = header.producer_id
        if commit is None:
            return False
        if commit:
            left = producer_id in self._committed
            self._committed.discard(producer_id)
            return not left
        entry = self._open.pop(producer_id, None)
        if entry is None or producer_id not in self._seen:
            return True
        self._seen.discard(producer_id)
        self.kept.append(entry)
        return False

    def _begin(self, offset: int) -> None:
        while self._coming and self._coming[-1].first_offset <= offset:
            entry = self._coming.pop()
            self._open.setdefault(entry.producer_id, entry)
