"""Committed offsets of groups (Kafka: OffsetMetadataManager).

In memory: what the newest record per group and partition in `__consumer_offsets` says. Offsets of a transaction wait
under their producer id until its marker is written there; a commit makes them visible, an abort drops them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING

from broker_embedded import records
from broker_embedded.coordinator.offset_records import (
    OffsetValue,
    decode_offset_key,
    decode_offset_value,
    encode_offset_key,
    encode_offset_value,
    is_offset,
)
from broker_embedded.coordinator.placement import partition_for
from broker_embedded.errors import InvalidGroupIdError, OffsetMetadataTooLargeError
from broker_embedded.topics import OFFSETS_TOPIC, Partition

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog
    from broker_embedded.wire.messages.groups import OffsetCommitRequestPartition
    from broker_embedded.wire.messages.transactions import TxnOffsetCommitRequestPartition

log = logging.getLogger(__name__)

Group = dict[Partition, OffsetValue]
Headers = list[tuple[str, bytes | None]]
Row = tuple[str, Partition, OffsetValue | None]  # group, partition, and its offset: None where that is removed

_AHEAD = "ahead"
"""A header of positions that were beyond the end of their log already when a transaction committed them. Kafka passes
over headers."""


class Offsets:
    """The offsets of all groups of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.groups: dict[str, Group] = {}
        # by partition of the topic and producer id: a marker ends a transaction in one partition at a time
        self._pending: dict[tuple[int, int], dict[str, dict[Partition, OffsetValue | None]]] = {}
        self._others: dict[bytes, bytes] = {}

    def partition_of(self, group: str) -> Partition:
        """The partition of `__consumer_offsets` that holds `group`."""
        return OFFSETS_TOPIC, partition_for(group, len(self._cluster.topics[OFFSETS_TOPIC].partitions))

    def group_ids(self) -> Set[str]:
        """The groups that have offsets, undecided ones too."""
        pending = {group for groups in self._pending.values() for group, offsets in groups.items() if offsets}
        return self.groups.keys() | pending if pending else self.groups.keys()

    def committed(self, group: str) -> Mapping[Partition, OffsetValue]:
        """The visible offsets of a group; empty for a group nobody knows."""
        return self.groups.get(group, {})

    def unstable(self, group: str) -> set[Partition]:
        """Partitions for which an undecided transaction holds an offset."""
        return {partition for groups in self._pending.values() for partition in groups.get(group, ())}

    def checked(self, topic: str, row: OffsetCommitRequestPartition | TxnOffsetCommitRequestPartition) -> OffsetValue:
        """What a request commits for one partition. Raises for a partition that is not there, or long metadata."""
        self._cluster.log(topic, row.partition_index)
        metadata = row.committed_metadata or ""
        longest = self._cluster.config.offset_metadata_max_bytes
        if len(metadata) > longest:
            raise OffsetMetadataTooLargeError(
                f"{topic}-{row.partition_index}: metadata of {len(metadata)} characters, at most {longest} "
                "(offset.metadata.max.bytes)"
            )
        topic_id = self._cluster.topics[topic].id
        return OffsetValue(row.committed_offset, row.committed_leader_epoch, metadata, self._cluster.now_ms(), topic_id)

    def commit(self, group: str, offsets: Mapping[Partition, OffsetValue]) -> None:
        """Write offsets down; visible at once."""
        self.write(group, _encoded(group, offsets))
        self._show(group, offsets)

    def commit_in_transaction(
        self, group: str, offsets: Mapping[Partition, OffsetValue], producer_id: int, producer_epoch: int
    ) -> None:
        """Write offsets down as part of the producer's open transaction; visible with its commit marker."""
        if not group:  # Kafka lets others through, for clients older than the rule
            raise InvalidGroupIdError("the group id is empty")
        headers: list[Headers] = [[(_AHEAD, None)] if self._is_ahead(*item) else [] for item in offsets.items()]
        self.write(group, _encoded(group, offsets), producer_id, producer_epoch, headers if any(headers) else None)
        key = (self.partition_of(group)[1], producer_id)
        self._pending.setdefault(key, {}).setdefault(group, {}).update(offsets)

    def _is_ahead(self, partition: Partition, value: OffsetValue) -> bool:
        found = self._cluster.find_log(*partition)
        return found is not None and value.offset > found.log_end_offset

    def end_transaction(self, partition: int, producer_id: int, *, commit: bool) -> None:
        """A marker was written in `partition` of the topic: show the producer's offsets there, or drop them."""
        for group, offsets in self._pending.pop((partition, producer_id), {}).items():
            if commit:
                self._show(group, offsets)

    def remove(self, group: str, partitions: Iterable[Partition]) -> None:
        """Remove the offsets that a group has for `partitions`, undecided ones too."""
        known = self.committed(group).keys() | self.unstable(group)
        gone: dict[Partition, OffsetValue | None] = {key: None for key in partitions if key in known}
        self.write(group, _encoded(group, gone))
        self._drop(group, gone)

    def remove_all(self, group: str, rows: Sequence[tuple[bytes, bytes | None]] = ()) -> None:
        """Remove all offsets of a group, and write down `rows` in the same breath."""
        gone: dict[Partition, OffsetValue | None] = dict.fromkeys(self.committed(group).keys() | self.unstable(group))
        self.write(group, [*_encoded(group, gone), *rows])
        self._drop(group, gone)

    def forget_topic(self, topic: str) -> None:
        """Remove every group's offsets for a deleted topic, so that one of the same name begins without them."""
        for group in list(self.group_ids()):
            known = self.committed(group).keys() | self.unstable(group)
            self.remove(group, [key for key in known if key[0] == topic])

    def _drop(self, group: str, gone: Mapping[Partition, OffsetValue | None]) -> None:
        if self.groups.get(group):
            self._show(group, gone)
        for groups in self._pending.values():
            pending = groups.get(group, {})
            for key in gone.keys() & pending.keys():
                del pending[key]

    def _show(self, group: str, offsets: Mapping[Partition, OffsetValue | None]) -> None:
        known = self.groups.setdefault(group, {})
        for partition, value in offsets.items():
            if value is None:
                known.pop(partition, None)
            else:
                known[partition] = value
        if not known:
            del self.groups[group]

    def write(
        self,
        group: str,
        rows: Sequence[tuple[bytes, bytes | None]],
        producer_id: int = records.NO_PRODUCER_ID,
        producer_epoch: int = records.NO_PRODUCER_EPOCH,
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Append rows, a key and a value each, to the partition that holds `group`: all of them or none.

        Raises KafkaStorageError.
        """
        if not rows:
            return
        partition = self.partition_of(group)
        batch = records.encode(
            [key for key, _ in rows],
            [value for _, value in rows],
            [self._cluster.now_ms()] * len(rows),
            headers,
            is_transactional=producer_id != records.NO_PRODUCER_ID,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
        )
        self._cluster.log(*partition).append(batch, verified=True)
        self._cluster.progress.made(*partition)

    def positions(self) -> Iterator[tuple[Partition, OffsetValue]]:
        """All offsets, undecided ones too."""
        for offsets in self.groups.values():
            yield from offsets.items()
        for groups in self._pending.values():
            for pending in groups.values():
                yield from ((key, value) for key, value in pending.items() if value is not None)

    def read_by(self, producer_id: int) -> set[Partition]:
        """The partitions that the producer's open transaction commits offsets of."""
        pending = [groups for (_, owner), groups in self._pending.items() if owner == producer_id]
        return {partition for groups in pending for offsets in groups.values() for partition in offsets}

    def load(self) -> None:
        """Read `__consumer_offsets`. Offsets of transactions still open stay pending."""
        self.groups.clear()
        self._pending.clear()
        self._others.clear()
        for index, offsets_log in enumerate(self._cluster.topics[OFFSETS_TOPIC].partitions):
            newest, undecided = self._newest(offsets_log)
            for group, partition, value in _decoded(newest.items()):
                self._show(group, {partition: value})
            for producer_id, rows in undecided.items():
                for group, partition, value in _decoded(rows.items()):
                    self._pending.setdefault((index, producer_id), {}).setdefault(group, {})[partition] = value
            self._others |= {key: value for key, value in newest.items() if value is not None and not is_offset(key)}

    def _newest(
        self, offsets_log: PartitionLog
    ) -> tuple[dict[bytes, bytes | None], dict[int, dict[bytes, bytes | None]]]:
        """The newest value of each key, and those of open transactions; decoded later, when most have been replaced."""
        newest: dict[bytes, bytes | None] = {}
        undecided: dict[int, dict[bytes, bytes | None]] = {}
        for header, batch in self._cluster.read_all(offsets_log):
            if header.is_control:
                outcome = records.read_control(batch)
                if outcome is not None:
                    ended = undecided.pop(header.producer_id, {})
                    newest.update(ended if outcome else {})
                continue
            columns = records.decode(batch)
            rows = {key or b"": value for key, value in zip(columns.keys(), columns.values(), strict=True)}
            if header.is_transactional:
                undecided.setdefault(header.producer_id, {}).update(rows)
                continue
            newest.update(rows)
            if undecided:
                _remove(undecided, [key for key, value in rows.items() if value is None])
        return newest, undecided

    def take_others(self) -> dict[bytes, bytes]:
        """What `load` has found of other things than offsets, by key: groups. A second call gives nothing."""
        others, self._others = self._others, {}
        return others

    def clamp(self) -> None:
        """After an unclean stop: an offset beyond the end of a log whose tail was lost goes back to that end."""
        for group, offsets in list(self.groups.items()):
            beyond: Group = {}
            for (topic, index), value in offsets.items():
                found = self._cluster.find_log(topic, index)
                if found is not None and value.offset > found.log_end_offset:
                    log.warning(
                        "group %r had committed offset %d of %s-%d, whose log ends at %d after an unclean stop: "
                        "set back to the end (records lost with unsynced data; see sync_on_commit)",
                        *(group, value.offset, topic, index, found.log_end_offset),
                    )
                    beyond[topic, index] = value._replace(offset=found.log_end_offset)
            if beyond:
                self.commit(group, beyond)


def offset_rows(batch: memoryview) -> Iterator[Row]:
    """The committed offsets in a batch, without those that were ahead of their log: they tell nothing of it."""
    columns = records.decode(batch)
    rows = zip(columns.keys(), columns.values(), strict=True)
    if not columns.has_headers:
        return _decoded(rows)
    return _decoded(row for row, headers in zip(rows, columns.headers(), strict=True) if _AHEAD not in dict(headers))


def _encoded(group: str, offsets: Mapping[Partition, OffsetValue | None]) -> list[tuple[bytes, bytes | None]]:
    return [
        (encode_offset_key(group, *key), None if value is None else encode_offset_value(value))
        for key, value in offsets.items()
    ]


def _remove(undecided: dict[int, dict[bytes, bytes | None]], keys: Iterable[bytes]) -> None:
    for key in keys:
        for rows in undecided.values():
            rows.pop(key, None)


def _decoded(rows: Iterable[tuple[bytes | None, bytes | None]]) -> Iterator[Row]:
    for key, value in rows:
        named = decode_offset_key(key or b"")
        if named is not None:
            yield named.group, (named.topic, named.partition), None if value is None else decode_offset_value(value)
