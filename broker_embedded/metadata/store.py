"""Metadata of the broker as the others use it: read as mappings, changed by calls that are durable when they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.metadata import records as r
from broker_embedded.metadata.image import (
    METADATA_VERSION,
    TOPIC_RESOURCE,
    ClientQuotaEntity,
    Image,
    TopicImage,
    entity_rows,
)
from broker_embedded.metadata.log import MetadataLog
from broker_embedded.metadata.single_node import check_single_node

BROKER_RESOURCE: Final = 4
CLIENT_METRICS_RESOURCE: Final = 16
GROUP_RESOURCE: Final = 32

KRAFT_VERSION: Final = "kraft.version"
SUPPORTED_FEATURES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {METADATA_VERSION: (7, 30), KRAFT_VERSION: (0, 1), "group.version": (0, 1), "transaction.version": (0, 2)}
)
"""Lowest and highest level by name, as in Kafka 4.3."""

_FIRST_FEATURES: Final = {METADATA_VERSION: 30, "group.version": 1, "transaction.version": 2}
_DIRECTORIES_SINCE: Final = 19  # metadata.version 3.7-IV2 knows in which directory a partition lies
_PRODUCER_IDS_BLOCK: Final = 1000  # as in Kafka: ids are written down a block at a time
_RECORDS_PER_BATCH: Final = 10_000


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

    def __init__(self, log: MetadataLog, meta: MetaProperties) -> None:
        """Use `open`."""
        self._log = log
        self._meta = meta
        self._image = Image()
        self._next_producer_id = 0
        self._open_transaction = False

    @classmethod
    def open(cls, data: Path, meta: MetaProperties, now_ms: Callable[[], int], was_clean: bool) -> Metadata:
        """Read the metadata log of a data folder; `begin` must be called before anything is changed.

        Raises KafkaStorageError, UnknownMetadataError, ForeignFolderError; the folder is as it was then.
        """
        metadata = cls(MetadataLog.open(data, meta, now_ms, was_clean), meta)
        try:
            metadata._load()
            check_single_node(data, meta, metadata._image, metadata._log.voters)
        except BaseException:
            metadata.close()
            raise
        return metadata

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written."""
        return not self._image.features

    def begin(self) -> None:
        """Write what a new folder begins with, or a snapshot where the log has become long."""
        if self.is_new:
            self._change([*self._first_records()])
        elif self._log.wants_snapshot:
            self._snapshot()

    # Reading

    @property
    def offset(self) -> int:
        """Of the last change: the epoch of the finalized features."""
        return self._log.end_offset - 1

    @property
    def epoch(self) -> int:
        """Leader epoch of the log, which is the controller's."""
        return self._log.epoch

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
        kraft = {KRAFT_VERSION: self._log.kraft_version} if self._log.kraft_version else {}
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
        self._snapshot()

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

    # The log

    def _load(self) -> None:
        """Replay the log: what stands in a transaction holds once that ends."""
        pending: list[tuple[int, r.Record]] | None = None
        for offset, value in self._log.read():
            record = self._decode(offset, value)
            match record:
                case r.BeginTransactionRecord():
                    pending = []
                case r.EndTransactionRecord():
                    for row in pending or ():
                        self._replay(*row)
                    pending = None
                case r.AbortTransactionRecord():
                    pending = None
                case _ if pending is not None:
                    pending.append((offset, record))
                case _:
                    self._replay(offset, record)
        self._open_transaction = pending is not None
        self._next_producer_id = self._reserved_producer_ids

    def _decode(self, offset: int, value: bytes) -> r.Record:
        try:
            return r.decode(value)
        except r.UnknownMetadataError as error:
            raise r.UnknownMetadataError(f"{self._log.folder}, offset {offset}: {error}") from error

    def _replay(self, offset: int, record: r.Record) -> None:
        try:
            self._image.replay(record)
        except KeyError as error:
            raise KafkaStorageError(
                f"{self._log.folder}, offset {offset}: {type(record).__name__} changes {error}, which is not there: "
                "the log is damaged before it. Restore the folder"
            ) from error

    def _first_records(self) -> Iterator[r.Record]:
        """What `kafka-storage format` has prepared (features, users), or else the features of Kafka 4.3; this node."""
        prepared = self._log.read_bootstrap()
        yield from (r.decode(value) for value in prepared)
        if not prepared:
            for name, level in _FIRST_FEATURES.items():
                yield r.FeatureLevelRecord(name=name, feature_level=level)
        ranges = [
            r.SupportedFeature(name=name, min_supported_version=lowest, max_supported_version=highest)
            for name, (lowest, highest) in SUPPORTED_FEATURES.items()
        ]
        yield r.RegisterBrokerRecord(
            broker_id=self._meta.node_id,
            incarnation_id=uuid4(),
            broker_epoch=self._log.end_offset,
            end_points=[],
            features=ranges,
            fenced=True,  # Kafka lets an unfenced broker register again once its session has ended: 9 s
            log_dirs=[self._meta.directory_id],
        )

    def _change(self, changes: Sequence[r.Record]) -> None:
        """Write down, then apply: all of `changes` or none."""
        if not changes:
            return
        if self._open_transaction:
            self._log.append([r.encode(r.AbortTransactionRecord(reason="Controller failover"))])
            self._open_transaction = False
        if len(changes) <= _RECORDS_PER_BATCH:
            self._log.append([r.encode(record) for record in changes])
        else:
            self._append_transaction(changes)
        for record in changes:
            self._image.replay(record)
        if self._log.wants_snapshot:
            self._snapshot()

    def _append_transaction(self, changes: Sequence[r.Record]) -> None:
        """More than a batch takes: what comes before a crash inside of it counts for nothing (KIP-868)."""
        records = [r.BeginTransactionRecord(), *changes, r.EndTransactionRecord()]
        for start in range(0, len(records), _RECORDS_PER_BATCH):
            self._log.append([r.encode(record) for record in records[start : start + _RECORDS_PER_BATCH]])

    def _snapshot(self) -> None:
        self._log.snapshot([r.encode(record) for record in self._image.records()])

    def close(self) -> None:
        self._log.close()


NO_ID: Final = UUID(int=0)


def _with_id(entry: r.AccessControlEntryRecord) -> r.AccessControlEntryRecord:
    return msgspec.structs.replace(entry, id=uuid4())


def _config(resource_type: int, resource: str, name: str, value: str | None) -> r.ConfigRecord:
    return r.ConfigRecord(resource_type=resource_type, resource_name=resource, name=name, value=value)
