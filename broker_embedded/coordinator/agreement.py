"""Agreement after a power cut: partitions that lost unsynced bytes, each its own, go back to one common point.

Without `sync_on_commit` a commit is acknowledged before its bytes are on the disk, and a power cut takes from each
partition an end of its own. What is left of a transaction may then be visible in one partition and gone in another. So
every PrepareCommit names the spans of its data (`transactions/spans.py`), and an unclean start looks for the first
commit, in the order of `__transaction_state`, that

- has lost data: a partition ends before its span does (or its beginning is gone, which counts as all of it);
- or is ahead of what it read: it commits a position beyond the end of that partition, which was not so before.

That commit and all after it are rolled back, and so are commits whose markers are in partitions while their
PrepareCommit is lost. Each partition is cut where the first of them begins in it, which may take further commits along
(their data lies behind the cut), until nothing changes. `__transaction_state` is cut last: a crash in between finds
the same commits again. What was synced survives: a commit under `sync_on_commit` had its data, its offsets, what it
read and its PrepareCommit on the disk before it was acknowledged. A missing marker alone is no loss: it is written
again.

After a mere kill nothing is missing, and finding that out costs a look at the end of each partition.

Rules for others: `__transaction_state` is synced before any partition is (`Durability.flush`), and all up to the ends
they had at one moment, so that a commit marker below a recovery point always has, or had, its PrepareCommit. Compaction
(`cleaner.py`) touches only what no cut can reach: what was decided when nothing was open, and is on the disk since.

Not here: a record written outside of transactions is lost with what is cut before it, even if its topic's
`flush.messages` had it synced. Such topics and unsynced transactional writers do not go together.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from broker_embedded import records
from broker_embedded.coordinator.offsets import offset_rows
from broker_embedded.coordinator.transactions.markers import write_marker
from broker_embedded.coordinator.transactions.records import decode_transaction_key, decode_transaction_value
from broker_embedded.coordinator.transactions.spans import HEADER, Span, decode_spans
from broker_embedded.coordinator.transactions.states import State
from broker_embedded.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, Partition

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog

log = logging.getLogger(__name__)


class Commit(NamedTuple):
    """A commit as `__transaction_state` has it: where its PrepareCommit is, and what that says.

    `spans` is None for one that Kafka wrote: nothing is known of its data then.
    """

    state_partition: int
    state_offset: int
    decided_ms: int
    transactional_id: str
    producer_id: int
    producer_epoch: int
    spans: dict[Partition, Span] | None


class Orphan(NamedTuple):
    """A commit whose PrepareCommit is lost, as one partition has it: where its data begins."""

    partition: Partition
    first: int


def restore_agreement(cluster: Cluster) -> None:
    """Roll back what is not whole, and write the markers that are missing where a transaction is whole and over.

    Expects offsets and transactions to be loaded, and loads them again after a change.
    """
    lost = cluster.folder.lost_beginnings
    for state_log in cluster.topics[TRANSACTIONS_TOPIC].partitions:
        if (TRANSACTIONS_TOPIC, state_log.partition) in lost:
            state_log.truncate_to(state_log.log_start_offset)  # an end of it may be missing, a beginning may not
            cluster.transactions.load()
    ledger = Ledger.read(cluster)
    orphans = list(_orphans(cluster, ledger))
    if ledger.has_loss or orphans or _is_ahead(cluster):
        commits, ends = _find_cut(cluster, orphans)
        if ends:
            _say(cluster, commits, ends)
            _roll_back(cluster, commits, ends)
            cluster.offsets.load()
            cluster.transactions.load()
            ledger = Ledger.read(cluster)
    for (partition, producer_id), (span, commit) in ledger.latest.items():
        write_marker(cluster, partition, producer_id, commit.producer_epoch, commit=True, first=span.first)
    if lost:
        log.warning("the beginnings of these partitions are gone (a power cut?): %s", sorted(lost))
        lost.clear()
        cluster.folder.write_checkpoints(list(cluster.logs()))


def _roll_back(cluster: Cluster, commits: list[Commit], ends: dict[Partition, int]) -> None:
    for partition, end in ends.items():
        source = cluster.log(*partition)
        source.truncate_to(max(end, source.log_start_offset))
    state_logs = cluster.topics[TRANSACTIONS_TOPIC].partitions
    for commit in reversed(commits):
        state_logs[commit.state_partition].truncate_to(commit.state_offset)
    for source in cluster.logs():
        source.sync()


def _commits(cluster: Cluster) -> Iterator[Commit]:
    """All commits, in the order of each partition of `__transaction_state`."""
    for state_log in cluster.topics[TRANSACTIONS_TOPIC].partitions:
        for header, batch in cluster.read_all(state_log):
            columns = records.decode(batch)
            rows = zip(columns.offsets.tolist(), columns.keys(), columns.values(), columns.headers(), strict=True)
            for offset, key, data, headers in rows:
                transactional_id = decode_transaction_key(key or b"")
                if transactional_id is None or data is None:
                    continue
                value = decode_transaction_value(data)
                if value.state is State.PREPARE_COMMIT:
                    packed = dict(headers).get(HEADER)
                    spans = None if packed is None else decode_spans(packed, value.partitions)
                    producer = (transactional_id, value.producer_id, value.producer_epoch)
                    yield Commit(state_log.partition, offset, header.max_timestamp, *producer, spans)


def _written(cluster: Cluster, commit: Commit) -> Iterator[tuple[Partition, Span, PartitionLog]]:
    """The partitions a commit wrote to; without topics that are gone, or others by now."""
    for partition, span in (commit.spans or {}).items():
        source = cluster.find_log(*partition)
        if source is not None and span.first >= 0 and source.topic_id == span.topic_id:
            yield partition, span, source


def _end(cluster: Cluster, partition: Partition, source: PartitionLog) -> int:
    """Up to where a partition is whole."""
    return cluster.folder.lost_beginnings.get(partition, source.log_end_offset)


# The quick look


@dataclass(slots=True)
class Ledger:
    """What the commits say of each partition: whether any lost data, and the last commit of each producer there."""

    has_loss: bool
    latest: dict[tuple[Partition, int], tuple[Span, Commit]]
    unmeasured: set[int]

    @classmethod
    def read(cls, cluster: Cluster) -> Ledger:
        ledger = cls(False, {}, set())
        for commit in _commits(cluster):
            if commit.spans is None:
                ledger.unmeasured.add(commit.producer_id)
            for partition, span, source in _written(cluster, commit):
                ledger.has_loss |= span.end > _end(cluster, partition, source)
                ledger.latest[partition, commit.producer_id] = span, commit
        return ledger

    def ends(self) -> dict[Partition, int]:
        """Up to where each partition is spoken of."""
        ends: dict[Partition, int] = {}
        for (partition, _), (span, _) in self.latest.items():
            ends[partition] = max(span.end, ends.get(partition, 0))
        return ends


def _is_ahead(cluster: Cluster) -> bool:
    """Whether a position lies beyond the end of its log. (Positions grow, so the last ones tell of all.)"""
    for partition, value in cluster.offsets.positions():
        source = cluster.find_log(*partition)
        if source is not None and value.offset > _end(cluster, partition, source):
            return True
    return False


def _orphans(cluster: Cluster, ledger: Ledger) -> Iterator[Orphan]:
    """Commits that only their markers tell of.

    What `__transaction_state` lost is its end: a lost commit was decided when the data of all known ones was written,
    so its markers are behind that. (With several partitions of `__transaction_state` the order is not known.)
    """
    ends = ledger.ends() if len(cluster.topics[TRANSACTIONS_TOPIC].partitions) == 1 else {}
    for source in cluster.logs():
        if source.topic == TRANSACTIONS_TOPIC or not len(source.producers):
            continue
        partition = (source.topic, source.partition)
        start = max(ends.get(partition, 0), source.recovery_point, source.log_start_offset)
        for header, batch in cluster.read_all(source, start):
            producer_id = header.producer_id
            if not header.is_control or producer_id in ledger.unmeasured or not records.read_control(batch):
                continue
            known = ledger.latest.get((partition, producer_id))
            end = source.log_start_offset if known is None else known[0].end
            if known is None or _first_batch(cluster, source, producer_id, end) != header.base_offset:
                yield Orphan(partition, _first_data(cluster, source, producer_id, end, header.base_offset))


def _first_batch(cluster: Cluster, source: PartitionLog, producer_id: int, end: int) -> int | None:
    """The producer's first batch behind a commit's span: the marker of that commit."""
    for header, _ in cluster.read_all(source, end):
        if header.producer_id == producer_id:
            return header.base_offset
    return None


def _first_data(cluster: Cluster, source: PartitionLog, producer_id: int, start: int, marker: int) -> int:
    """Where the transaction that ends with the marker begins."""
    first = marker
    for header, _ in takewhile(lambda row: row[0].base_offset < marker, cluster.read_all(source, start)):
        if header.producer_id == producer_id:
            first = marker if header.is_control else min(first, header.base_offset)
    return first


# The cut


def _find_cut(cluster: Cluster, orphans: list[Orphan]) -> tuple[list[Commit], dict[Partition, int]]:
    """The commits to roll back, and where partitions must end."""
    commits = list(_commits(cluster))
    if len(cluster.topics[TRANSACTIONS_TOPIC].partitions) > 1:
        commits.sort(key=lambda commit: commit.decided_ms)
    forgotten = _forgotten(cluster)
    ends: dict[Partition, int] = {}
    for orphan in orphans:
        _lower(ends, orphan.partition, orphan.first)
    kept = len(commits)
    while True:
        lost = next((n for n in range(kept) if _is_lost(cluster, commits[n], ends, forgotten)), None)
        if lost is None:
            return commits[kept:], ends
        for commit in commits[lost:kept]:
            for partition, span, source in _written(cluster, commit):
                _lower(ends, partition, min(span.first, _end(cluster, partition, source)))
        kept = lost


def _lower(ends: dict[Partition, int], partition: Partition, end: int) -> None:
    ends[partition] = min(end, ends.get(partition, end))


def _is_lost(
    cluster: Cluster, commit: Commit, ends: dict[Partition, int], forgotten: dict[tuple[str, Partition], int]
) -> bool:
    for partition, span, source in _written(cluster, commit):
        if span.end > ends.get(partition, _end(cluster, partition, source)):
            return True
        if partition[0] == OFFSETS_TOPIC:
            for read, position in _positions(cluster, commit, span, source, forgotten):
                found = cluster.find_log(*read)
                if found is not None and position > ends.get(read, _end(cluster, read, found)):
                    return True
    return False


def _positions(
    cluster: Cluster, commit: Commit, span: Span, source: PartitionLog, forgotten: dict[tuple[str, Partition], int]
) -> Iterator[tuple[Partition, int]]:
    """Up to where a transaction had read, by the positions it committed."""
    for header, batch in takewhile(lambda row: row[0].base_offset < span.end, cluster.read_all(source, span.first)):
        if header.producer_id == commit.producer_id and not header.is_control:
            for group, partition, value in offset_rows(batch):
                if value is not None and header.base_offset > forgotten.get((group, partition), -1):
                    yield partition, value.offset


def _forgotten(cluster: Cluster) -> dict[tuple[str, Partition], int]:
    """Where positions were removed with their topic: what was committed before speaks of another log."""
    found = {}
    for source in cluster.topics[OFFSETS_TOPIC].partitions:
        for header, batch in cluster.read_all(source):
            if not header.is_control:
                rows = offset_rows(batch)
                found.update({(group, key): header.base_offset for group, key, value in rows if value is None})
    return found


def _say(cluster: Cluster, commits: list[Commit], ends: dict[Partition, int]) -> None:
    where = ", ".join(
        f"{topic}-{index} {cluster.log(topic, index).log_end_offset} -> {end}"
        for (topic, index), end in sorted(ends.items())
        if end < cluster.log(topic, index).log_end_offset
    )
    log.warning(
        "data of acknowledged transactions was not on the disk at the last stop (a power cut?). Rolled back, with the "
        "positions of their groups: the last %d commits of %s, and commits whose record is lost. Ends of partitions: "
        "%s. With sync_on_commit a commit is on the disk when it is acknowledged.",
        *(len(commits), sorted({commit.transactional_id for commit in commits}), where or "as they are"),
    )
