"""What a metadata log says: topics, configs, users, ACLs, quotas, features. Records go in, and come out for a snapshot.

Kafka's MetadataImage and its deltas in one: a single broker needs no older image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from broker_embedded.metadata import records as r

ClientQuotaEntity = tuple[tuple[str, str | None], ...]
"""(entity type, name) pairs, sorted: `(("user", "alice"),)`; a None name is the default of its type."""

METADATA_VERSION: Final = "metadata.version"
TOPIC_RESOURCE: Final = 2


@dataclass(slots=True)
class TopicImage:
    name: str
    id: UUID
    partitions: dict[int, r.PartitionRecord] = field(default_factory=dict)


class Image:
    """The state after the records replayed so far.

    >>> image = Image()
    >>> image.replay(r.TopicRecord(name="flights", topic_id=UUID(int=7)))
    >>> image.topics["flights"].id
    UUID('00000000-0000-0000-0000-000000000007')
    """

    def __init__(self) -> None:
        self.topics: dict[str, TopicImage] = {}
        self.topics_by_id: dict[UUID, TopicImage] = {}
        self.configs: dict[tuple[int, str], dict[str, str]] = {}
        self.scram_users: dict[tuple[str, int], r.UserScramCredentialRecord] = {}
        self.acls: dict[UUID, r.AccessControlEntryRecord] = {}
        self.quotas: dict[ClientQuotaEntity, dict[str, float]] = {}
        self.features: dict[str, int] = {}
        self.tokens: dict[str, r.DelegationTokenRecord] = {}
        self.brokers: dict[int, r.RegisterBrokerRecord] = {}
        self.controllers: dict[int, r.RegisterControllerRecord] = {}
        self.producer_ids: r.ProducerIdsRecord | None = None
        self.removed: set[UUID] = set()
        """Topics that a record since the snapshot has removed: files of theirs may be left."""

    def replay(self, record: r.Record) -> None:
        """Take one change in. Raises KeyError where it changes what is not there."""
        _REPLAY[type(record)](self, record)

    def _topic(self, record: r.TopicRecord) -> None:
        topic = TopicImage(record.name, record.topic_id)
        self.topics[record.name] = self.topics_by_id[record.topic_id] = topic

    def _remove_topic(self, record: r.RemoveTopicRecord) -> None:
        topic = self.topics_by_id.pop(record.topic_id)
        del self.topics[topic.name]
        self.configs.pop((TOPIC_RESOURCE, topic.name), None)
        self.removed.add(topic.id)

    def _partition(self, record: r.PartitionRecord) -> None:
        self.topics_by_id[record.topic_id].partitions[record.partition_id] = record

    def _partition_change(self, change: r.PartitionChangeRecord) -> None:
        partition = self.topics_by_id[change.topic_id].partitions[change.partition_id]
        for name in _CHANGING_FIELDS:
            value = getattr(change, name)
            if value is not None:
                setattr(partition, name, value)
        if change.leader_recovery_state >= 0:
            partition.leader_recovery_state = change.leader_recovery_state
        if change.leader != r.NO_LEADER_CHANGE:
            partition.leader = change.leader
            partition.leader_epoch += 1
        partition.partition_epoch += 1

    def _clear_elr(self, record: r.ClearElrRecord) -> None:
        topics = [self.topics[record.topic_name]] if record.topic_name else self.topics.values()
        for topic in topics:
            for partition in topic.partitions.values():
                partition.eligible_leader_replicas = partition.last_known_elr = None

    def _config(self, record: r.ConfigRecord) -> None:
        key = (record.resource_type, record.resource_name)
        _put(self.configs, key, record.name, record.value)

    def _quota(self, record: r.ClientQuotaRecord) -> None:
        entity = tuple(sorted((row.entity_type, row.entity_name) for row in record.entity))
        _put(self.quotas, entity, record.key, None if record.remove else record.value)

    def _feature(self, record: r.FeatureLevelRecord) -> None:
        if record.feature_level == 0:
            self.features.pop(record.name, None)
        else:
            self.features[record.name] = record.feature_level

    def _scram_user(self, record: r.UserScramCredentialRecord) -> None:
        self.scram_users[record.name, record.mechanism] = record

    def _remove_scram_user(self, record: r.RemoveUserScramCredentialRecord) -> None:
        del self.scram_users[record.name, record.mechanism]

    def _acl(self, record: r.AccessControlEntryRecord) -> None:
        self.acls[record.id] = record

    def _remove_acl(self, record: r.RemoveAccessControlEntryRecord) -> None:
        del self.acls[record.id]

    def _token(self, record: r.DelegationTokenRecord) -> None:
        self.tokens[record.token_id] = record

    def _remove_token(self, record: r.RemoveDelegationTokenRecord) -> None:
        del self.tokens[record.token_id]

    def _broker(self, record: r.RegisterBrokerRecord) -> None:
        self.brokers[record.broker_id] = record

    def _broker_change(self, change: r.BrokerRegistrationChangeRecord) -> None:
        broker = self.brokers[change.broker_id]
        if change.fenced:
            broker.fenced = change.fenced > 0
        if change.in_controlled_shutdown:
            broker.in_controlled_shutdown = change.in_controlled_shutdown > 0
        broker.log_dirs = change.log_dirs or broker.log_dirs
        if change.cordoned_log_dirs is not None:
            broker.cordoned_log_dirs = change.cordoned_log_dirs

    def _fence(self, record: r.FenceBrokerRecord) -> None:
        self.brokers[record.id].fenced = True

    def _unfence(self, record: r.UnfenceBrokerRecord) -> None:
        self.brokers[record.id].fenced = False

    def _unregister(self, record: r.UnregisterBrokerRecord) -> None:
        del self.brokers[record.broker_id]

    def _controller(self, record: r.RegisterControllerRecord) -> None:
        self.controllers[record.controller_id] = record

    def _producer_ids(self, record: r.ProducerIdsRecord) -> None:
        self.producer_ids = record

    def _nothing(self, record: r.Record) -> None:
        pass

    def records(self) -> Iterator[r.Record]:
        """What makes an empty image this one, in the order of Kafka's snapshots."""
        levels = dict(self.features)
        if METADATA_VERSION in levels:  # it comes first: it says how to read the others
            yield r.FeatureLevelRecord(name=METADATA_VERSION, feature_level=levels.pop(METADATA_VERSION))
        for name, level in levels.items():
            yield r.FeatureLevelRecord(name=name, feature_level=level)
        yield from self.controllers.values()
        yield from self.brokers.values()
        for topic in self.topics.values():
            yield r.TopicRecord(name=topic.name, topic_id=topic.id)
            yield from topic.partitions.values()
        for (kind, resource), configs in self.configs.items():
            for name, value in configs.items():
                yield r.ConfigRecord(resource_type=kind, resource_name=resource, name=name, value=value)
        yield from self._quota_records()
        if self.producer_ids is not None:
            yield self.producer_ids
        for rows in (self.acls, self.scram_users, self.tokens):
            yield from rows.values()

    def _quota_records(self) -> Iterator[r.Record]:
        for entity, quotas in self.quotas.items():
            for key, value in quotas.items():
                yield r.ClientQuotaRecord(entity=entity_rows(entity), key=key, value=value)


_CHANGING_FIELDS: Final = (
    "isr",
    "replicas",
    "removing_replicas",
    "adding_replicas",
    "eligible_leader_replicas",
    "last_known_elr",
    "directories",
)

_REPLAY: Final[dict[type[r.Record], Callable[[Image, Any], None]]] = {
    r.TopicRecord: Image._topic,
    r.RemoveTopicRecord: Image._remove_topic,
    r.PartitionRecord: Image._partition,
    r.PartitionChangeRecord: Image._partition_change,
    r.ClearElrRecord: Image._clear_elr,
    r.ConfigRecord: Image._config,
    r.ClientQuotaRecord: Image._quota,
    r.FeatureLevelRecord: Image._feature,
    r.UserScramCredentialRecord: Image._scram_user,
    r.RemoveUserScramCredentialRecord: Image._remove_scram_user,
    r.AccessControlEntryRecord: Image._acl,
    r.RemoveAccessControlEntryRecord: Image._remove_acl,
    r.DelegationTokenRecord: Image._token,
    r.RemoveDelegationTokenRecord: Image._remove_token,
    r.RegisterBrokerRecord: Image._broker,
    r.BrokerRegistrationChangeRecord: Image._broker_change,
    r.FenceBrokerRecord: Image._fence,
    r.UnfenceBrokerRecord: Image._unfence,
    r.UnregisterBrokerRecord: Image._unregister,
    r.RegisterControllerRecord: Image._controller,
    r.ProducerIdsRecord: Image._producer_ids,
    r.NoOpRecord: Image._nothing,
    r.ZkMigrationStateRecord: Image._nothing,
}


def entity_rows(entity: ClientQuotaEntity) -> list[r.EntityData]:
    return [r.EntityData(entity_type=kind, entity_name=name) for kind, name in entity]


def _put(table: dict[Any, dict[str, Any]], key: Any, name: str, value: Any) -> None:
    """Set one value of a row, or take it away with None; a row without values goes."""
    if value is not None:
        table.setdefault(key, {})[name] = value
    elif key in table:
        table[key].pop(name, None)
        if not table[key]:
            del table[key]
