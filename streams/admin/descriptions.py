"""What an admin is told, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.transport.contract import TopicPartition


class PartitionDescription(msgspec.Struct, frozen=True):
    """A partition: its brokers by id, and the offsets of its first record and behind its last."""

    partition: int
    leader: int
    replicas: Sequence[int]
    in_sync: Sequence[int]
    start_offset: int
    end_offset: int


class TopicDescription(msgspec.Struct, frozen=True):
    """A topic; `configs` are those set on it."""

    name: str
    topic_id: str
    is_internal: bool
    configs: Mapping[str, str]
    partitions: Sequence[PartitionDescription]


class ConfigEntry(msgspec.Struct, frozen=True):
    """A config as it is in force. `value` is None where it is secret; `source` says where it comes from."""

    name: str
    value: str | None
    source: str
    is_read_only: bool
    is_sensitive: bool
    documentation: str | None = None


class GroupListing(msgspec.Struct, frozen=True):
    """A group in a list. `kind` is "classic", "consumer" (KIP-848) or another protocol of the broker."""

    group_id: str
    kind: str
    state: str
    protocol_type: str


class MemberDescription(msgspec.Struct, frozen=True):
    """A member of a group, and the partitions it has."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    partitions: Sequence[TopicPartition]


class GroupDescription(msgspec.Struct, frozen=True):
    """A group: `assignor` is what its members share partitions by."""

    group_id: str
    kind: str
    state: str
    assignor: str
    coordinator: int
    members: Sequence[MemberDescription]


class GroupOffset(msgspec.Struct, frozen=True):
    """A group's position in a partition, the end of that partition, and how far the group is behind.

    `offset` and `lag` are None where the group has not committed.
    """

    partition: TopicPartition
    offset: int | None
    end_offset: int
    lag: int | None
    metadata: str = ""


class Acl(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, or, with fields of "any", a filter for rules. Kafka's names in lower case: `topic`, `read`, `allow`."""

    resource_type: str = "any"
    name: str | None = None
    pattern: str = "any"
    principal: str | None = None
    host: str | None = None
    operation: str = "any"
    permission: str = "any"


class Broker(msgspec.Struct, frozen=True):
    """A broker of the cluster."""

    node_id: int
    host: str
    port: int
    rack: str | None = None


class ClusterDescription(msgspec.Struct, frozen=True):
    """The cluster: its id, its brokers, and which of them controls it."""

    cluster_id: str
    controller: int
    brokers: Sequence[Broker]
