"""Metadata of the broker as the others use it: read as mappings, changed by calls that are durable when they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec

from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.metadata import records as r
from broker_embedded.metadata.beginning import KRAFT_VERSION
from broker_embedded.metadata.image import (
    METADATA_VERSION,
    TOPIC_RESOURCE,
    ClientQuotaEntity,
    TopicImage,
    entity_rows,
)
from broker_embedded.metadata.journal import Journal
from broker_embedded.metadata.single_node import check_single_node

BROKER_RESOURCE: Final = 4
CLIENT_METRICS_RESOURCE: Final = 16
GROUP_RESOURCE: Final = 32

_DIRECTORIES_SINCE: Final = 19  # metadata.version 3.7-IV2 knows in which directory a partition lies
_PRODUCER_IDS_BLOCK: Final = 1000  # as in Kafka: ids are written down a block at a time


class NewTopic(NamedTuple):
    name: str
    id: UUID
    partition_count: int
    configs: Mapping[str, str]


class Metadata:
    """Topics, configs, users, ACLs, quotas and features of one broker, kept in `__cluster_metadata-0`.

    What is read stays as it is until the next change; nothing may be changed in it by hand.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> metadata = Metadata.open(folder, MetaProperties("cluster", 1, UUID(int=5)), lambda: 0, was_clean=True)
    >>> metadata.begin()
    >>> metadata.create_topics([NewTopic("flights", UUID(int=7), 2, {"retention.ms": "1000"})])
    >>> metadata.set_configs(GROUP_RESOURCE, "readers", {"consumer.session.timeout.ms": "50000"})
    >>> metadata.topic_configs("flights"), metadata.group_configs("readers")
    ({'retention.ms': '1000'}, {'consumer.session.timeout.ms': '50000'})
    """

    def __init__(self, journal: Journal) -> None:
        """Use `open`."""
        self._journal = journal
        self._image = journal.image
        self._meta = journal.meta
        self._change = journal.change
        self._next_producer_id = self._reserved_producer_ids

    @classmethod
    def open(cls, data: Path, meta: MetaProperties, now_ms: Callable[[], int], was_clean: bool) -> Metadata:
        """Read the metadata log of a data folder; `begin` must be called before anything is changed.

        Raises KafkaStorageError, UnknownMetadataError, ForeignFolderError; the folder is as it was then.
        """
        journal = Journal.open(data, meta, now_ms, was_clean)
        try:
            check_single_node(data, meta, journal.image, journal.log.voters)
        except BaseException:
            journal.close()
            raise
        return cls(journal)

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written."""
        return self._journal.is_new

    def begin(self) -> None:
        """Write what a new folder begins with, or a snapshot where the log has become long."""
        self._journal.begin()

    def lead(self, *, anew: bool) -> None:
        """Let this node lead every partition, as Kafka elects leaders at its start.

        With `anew`, after a crash, also where it does already: by the new epoch readers find out when records that
        they have seen are gone (KIP-320).
        """
        node = self._meta.node_id
        partitions = (row for topic in self.topics.values() for row in topic.partitions.values())
        self._change([_election(row, node) for row in partitions if anew or row.leader != node or row.isr != [node]])

    # Reading

    @property
    def offset(self) -> int:
        """Of the last change: the epoch of the finalized features."""
        return self._journal.log.end_offset - 1

    @property
    def epoch(self) -> int:
        """Leader epoch of the log, which is the controller's."""
        return self._journal.log.epoch

    @property
    def topics(self) -> Mapping[str, TopicImage]:
        return self._image.topics

    @property
    def removed_topics(self) -> set[UUID]:
        """Ids of topics that were removed not long ago: files of theirs may be left."""
        return self._image.removed

    def configs(self, resource_type: int, name: str) -> Mapping[str, str]:
        """What is set for a resource: its type as in DescribeConfigs (topic 2, broker 4, group 32)."""
        return self._image.configs.get((resource_type, name), {})

    def resources_with_configs(self, resource_type: int) -> list[str]:
        """Names of the resources of a type that have configs."""
        return [name for kind, name in self._image.configs if kind == resource_type]

    def topic_configs(self, topic: str) -> Mapping[str, str]:
        return self.configs(TOPIC_RESOURCE, topic)

    def broker_configs(self, node: int | str = "") -> Mapping[str, str]:
        """Dynamic configs of one broker, or with "" those for all brokers."""
        return self.configs(BROKER_RESOURCE, str(node))

    def group_configs(self, group: str) -> Mapping[str, str]:
        return self.configs(GROUP_RESOURCE, group)

    @property
    def scram_users(self) -> Mapping[tuple[str, int], r.UserScramCredentialRecord]:
        """By user and mechanism (1: SCRAM-SHA-256, 2: SCRAM-SHA-512)."""
        return self._image.scram_users

    @property
    def acls(self) -> Mapping[UUID, r.AccessControlEntryRecord]:
        return self._image.acls

    @property
    def tokens(self) -> Mapping[str, r.DelegationTokenRecord]:
        """Delegation tokens by id."""
        return self._image.tokens

    @property
    def quotas(self) -> Mapping[ClientQuotaEntity, Mapping[str, float]]:
        return self._image.quotas

    @property
    def features(self) -> Mapping[str, int]:
        """Finalized levels by name."""
        kraft = {KRAFT_VERSION: self._journal.log.kraft_version} if self._journal.log.kraft_version else {}
        return {**self._image.features, **kraft}

    @property
    def broker_epoch(self) -> int:
        """Of this node's registration; a clean shutdown leaves it in its mark. -1 without one."""
        broker = self._image.brokers.get(self._meta.node_id)
        return -1 if broker is None else broker.broker_epoch

    # Changing. Every call raises KafkaStorageError when it could not be written down; nothing has changed then.

    def create_topics(self, topics: Sequence[NewTopic]) -> None:
        """All or none of them."""
        changes: list[r.Record] = []
        for topic in topics:
            changes.append(r.TopicRecord(name=topic.name, topic_id=topic.id))
            changes += [self._partition(topic.id, index) for index in range(topic.partition_count)]
            changes += [_config(TOPIC_RESOURCE, topic.name, *item) for item in topic.configs.items()]
        self._change(changes)

    def add_partitions(self, topic: str, partition_count: int) -> None:
        """Let a topic have so many in all."""
        found = self.topics[topic]
        self._change([self._partition(found.id, index) for index in range(len(found.partitions), partition_count)])

    def _partition(self, topic_id: UUID, index: int) -> r.PartitionRecord:
        node = self._meta.node_id
        has_directories = self._image.features.get(METADATA_VERSION, 0) >= _DIRECTORIES_SINCE
        return r.PartitionRecord(
            partition_id=index,
            topic_id=topic_id,
            replicas=[node],
            isr=[node],
            leader=node,
            leader_epoch=0,
            partition_epoch=0,
            directories=[self._meta.directory_id] if has_directories else [],
        )

    def remove_topic(self, topic: str) -> None:
        """With its configs. Its files are the caller's to remove."""
        self._change([r.RemoveTopicRecord(topic_id=self.topics[topic].id)])

    def set_configs(self, resource_type: int, name: str, values: Mapping[str, str | None]) -> None:
        """Set configs of a resource, or take those away whose value is None. What they mean is not looked at."""
        current = self.configs(resource_type, name)
        changed = {key: value for key, value in values.items() if current.get(key) != value}
        self._change([_config(resource_type, name, *item) for item in changed.items()])

    def put_scram(
        self, user: str, mechanism: int, *, salt: bytes, stored_key: bytes, server_key: bytes, iterations: int
    ) -> None:
        """Give a user a credential for a mechanism (1: SCRAM-SHA-256, 2: SCRAM-SHA-512), in place of an older one."""
        record = r.UserScramCredentialRecord(
            name=user,
            mechanism=mechanism,
            salt=salt,
            stored_key=stored_key,
            server_key=server_key,
            iterations=iterations,
        )
        self._change([record])

    def remove_scram(self, user: str, mechanism: int) -> None:
        """Raises KeyError where there is none.

        A snapshot follows: Kafka 4.3.1 (ScramDelta.apply) may forget every user of the mechanism when it reads a
        removal at its start.
        """
        if (user, mechanism) not in self.scram_users:
            raise KeyError(f"user {user!r} has no credential of mechanism {mechanism}")
        self._change([r.RemoveUserScramCredentialRecord(name=user, mechanism=mechanism)])
        self._journal.snapshot()

    def add_acls(self, entries: Iterable[r.AccessControlEntryRecord]) -> list[UUID]:
        """Add entries, all or none, each under a new id; `NO_ID` stands in those of `entries`. The ids."""
        made = [_with_id(entry) for entry in entries]
        self._change(made)
        return [entry.id for entry in made]

    def remove_acls(self, ids: Iterable[UUID]) -> None:
        """Raises KeyError for an unknown id; nothing has changed then."""
        records = [r.RemoveAccessControlEntryRecord(id=self.acls[entry].id) for entry in ids]
        self._change(records)

    def put_token(self, token: r.DelegationTokenRecord) -> None:
        """Keep a delegation token, in place of what was said of it before."""
        self._change([token])

    def remove_tokens(self, ids: Iterable[str]) -> None:
        """Raises KeyError for an unknown id; nothing has changed then."""
        self._change([r.RemoveDelegationTokenRecord(token_id=self.tokens[token].token_id) for token in ids])

    def set_quotas(self, entity: ClientQuotaEntity, values: Mapping[str, float | None]) -> None:
        """Set quotas of an entity, such as `(("user", "alice"),)`, or take those away whose value is None."""
        rows = entity_rows(entity)
        self._change(
            [
                r.ClientQuotaRecord(entity=rows, key=key, value=value or 0.0, remove=value is None)
                for key, value in values.items()
            ]
        )

    def set_features(self, levels: Mapping[str, int]) -> None:
        """Finalize levels by name; 0 takes a feature away. Whether they are supported is not looked at."""
        self._change([r.FeatureLevelRecord(name=name, feature_level=level) for name, level in levels.items()])

    def next_producer_id(self) -> int:
        """A producer id never given out before, also not by a process that died."""
        if self._next_producer_id == self._reserved_producer_ids:
            following = self._reserved_producer_ids + _PRODUCER_IDS_BLOCK
            self._change(
                [
                    r.ProducerIdsRecord(
                        broker_id=self._meta.node_id, broker_epoch=self.broker_epoch, next_producer_id=following
                    )
                ]
            )
        self._next_producer_id += 1
        return self._next_producer_id - 1

    @property
    def _reserved_producer_ids(self) -> int:
        ids = self._image.producer_ids
        return 0 if ids is None else ids.next_producer_id

    def close(self) -> None:
        self._journal.close()


NO_ID: Final = UUID(int=0)


def _with_id(entry: r.AccessControlEntryRecord) -> r.AccessControlEntryRecord:
    return msgspec.structs.replace(entry, id=uuid4())


def _election(partition: r.PartitionRecord, node: int) -> r.PartitionChangeRecord:
    had_elr = partition.eligible_leader_replicas or partition.last_known_elr
    return r.PartitionChangeRecord(
        partition_id=partition.partition_id,
        topic_id=partition.topic_id,
        leader=node,
        isr=None if partition.isr == [node] else [node],
        eligible_leader_replicas=[] if had_elr else None,
        last_known_elr=[] if had_elr else None,
    )


def _config(resource_type: int, resource: str, name: str, value: str | None) -> r.ConfigRecord:
    return r.ConfigRecord(resource_type=resource_type, resource_name=resource, name=name, value=value)
