"""The records of Kafka's metadata log, and their bytes.

Source: Kafka's definitions in `metadata/src/main/resources/common/metadata`, as of 4.3. Written is the lowest version
that holds what is set; every version of each is read. Longer than most files: a class for each record.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

import msgspec

from broker_embedded.errors import KafkaStorageError
from broker_embedded.metadata.fields import (
    Bool,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Since,
    Tag,
    UInt16,
    frame,
    layout_of,
)
from broker_embedded.wire.primitives import MalformedError, read_varint

NO_LEADER: Final = -1
NO_LEADER_CHANGE: Final = -2


class Record(msgspec.Struct, kw_only=True):
    """A change of the cluster's metadata."""

    api_key: ClassVar[int]
    newest: ClassVar[int] = 0
    """The highest version."""


class EndPoint(msgspec.Struct, kw_only=True):
    name: str
    host: str
    port: UInt16
    security_protocol: Int16


class SupportedFeature(msgspec.Struct, kw_only=True):
    name: str
    min_supported_version: Int16
    max_supported_version: Int16


class RegisterBrokerRecord(Record, kw_only=True):
    api_key = 0
    newest = 4
    broker_id: Int32
    is_migrating_zk_broker: Annotated[Bool, Since(2)] = False
    incarnation_id: UUID
    broker_epoch: Int64
    end_points: list[EndPoint]
    features: list[SupportedFeature]
    rack: str | None = None
    fenced: Bool = True
    in_controlled_shutdown: Annotated[Bool, Since(1)] = False
    log_dirs: Annotated[list[UUID], Since(3), Tag(0)] = []
    cordoned_log_dirs: Annotated[list[UUID] | None, Since(4), Tag(1)] = None


class UnregisterBrokerRecord(Record, kw_only=True):
    api_key = 1
    broker_id: Int32
    broker_epoch: Int64


class TopicRecord(Record, kw_only=True):
    api_key = 2
    name: str
    topic_id: UUID


class PartitionRecord(Record, kw_only=True):
    api_key = 3
    newest = 2
    partition_id: Int32 = -1
    topic_id: UUID
    replicas: list[Int32]
    isr: list[Int32]
    removing_replicas: list[Int32] = []
    adding_replicas: list[Int32] = []
    leader: Int32 = NO_LEADER
    leader_recovery_state: Annotated[Int8, Tag(0)] = 0
    leader_epoch: Int32 = -1
    partition_epoch: Int32 = -1
    directories: Annotated[list[UUID], Since(1)] = []
    eligible_leader_replicas: Annotated[list[Int32] | None, Since(2), Tag(1)] = None
    last_known_elr: Annotated[list[Int32] | None, Since(2), Tag(2)] = None


class ConfigRecord(Record, kw_only=True):
    """A None value takes the config away."""

    api_key = 4
    resource_type: Int8
    resource_name: str
    name: str
    value: str | None


class PartitionChangeRecord(Record, kw_only=True):
    """Only what is set changes."""

    api_key = 5
    newest = 2
    partition_id: Int32 = -1
    topic_id: UUID
    isr: Annotated[list[Int32] | None, Tag(0)] = None
    leader: Annotated[Int32, Tag(1)] = NO_LEADER_CHANGE
    replicas: Annotated[list[Int32] | None, Tag(2)] = None
    removing_replicas: Annotated[list[Int32] | None, Tag(3)] = None
    adding_replicas: Annotated[list[Int32] | None, Tag(4)] = None
    leader_recovery_state: Annotated[Int8, Tag(5)] = -1
    eligible_leader_replicas: Annotated[list[Int32] | None, Since(2), Tag(6)] = None
    last_known_elr: Annotated[list[Int32] | None, Since(2), Tag(7)] = None
    directories: Annotated[list[UUID] | None, Since(1), Tag(8)] = None


class FenceBrokerRecord(Record, kw_only=True):
    api_key = 7
    id: Int32
    epoch: Int64


class UnfenceBrokerRecord(Record, kw_only=True):
    api_key = 8
    id: Int32
    epoch: Int64


class RemoveTopicRecord(Record, kw_only=True):
    api_key = 9
    topic_id: UUID


class DelegationTokenRecord(Record, kw_only=True):
    api_key = 10
    owner: str
    requester: str
    renewers: list[str]
    issue_timestamp: Int64
    max_timestamp: Int64
    expiration_timestamp: Int64
    token_id: str


class UserScramCredentialRecord(Record, kw_only=True):
    api_key = 11
    name: str
    mechanism: Int8
    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: Int32


class FeatureLevelRecord(Record, kw_only=True):
    """Level 0 takes the feature away."""

    api_key = 12
    name: str
    feature_level: Int16


class EntityData(msgspec.Struct, kw_only=True):
    entity_type: str
    entity_name: str | None


class ClientQuotaRecord(Record, kw_only=True):
    api_key = 14
    entity: list[EntityData]
    key: str
    value: Float64 = 0.0
    remove: Bool = False


class ProducerIdsRecord(Record, kw_only=True):
    api_key = 15
    broker_id: Int32
    broker_epoch: Int64 = -1
    next_producer_id: Int64


class BrokerRegistrationChangeRecord(Record, kw_only=True):
    """`fenced` is 1 to fence, -1 to unfence, 0 for no change; `in_controlled_shutdown` 1 or 0 for no change."""

    api_key = 17
    newest = 3
    broker_id: Int32
    broker_epoch: Int64
    fenced: Annotated[Int8, Tag(0)] = 0
    in_controlled_shutdown: Annotated[Int8, Since(1), Tag(1)] = 0
    log_dirs: Annotated[list[UUID], Since(2), Tag(2)] = []
    cordoned_log_dirs: Annotated[list[UUID] | None, Since(3), Tag(3)] = None


class AccessControlEntryRecord(Record, kw_only=True):
    api_key = 18
    id: UUID
    resource_type: Int8
    resource_name: str
    pattern_type: Int8
    principal: str
    host: str
    operation: Int8
    permission_type: Int8


class RemoveAccessControlEntryRecord(Record, kw_only=True):
    api_key = 19
    id: UUID


class NoOpRecord(Record, kw_only=True):
    """An active Kafka controller writes two a second, to show that it lives."""

    api_key = 20


class ZkMigrationStateRecord(Record, kw_only=True):
    api_key = 21
    zk_migration_state: Int8


class RemoveUserScramCredentialRecord(Record, kw_only=True):
    api_key = 22
    name: str
    mechanism: Int8


class BeginTransactionRecord(Record, kw_only=True):
    """What follows holds once the transaction ends (KIP-868)."""

    api_key = 23
    name: Annotated[str | None, Tag(0)] = None


class EndTransactionRecord(Record, kw_only=True):
    api_key = 24


class AbortTransactionRecord(Record, kw_only=True):
    api_key = 25
    reason: Annotated[str | None, Tag(0)] = None


class RemoveDelegationTokenRecord(Record, kw_only=True):
    api_key = 26
    token_id: str


class RegisterControllerRecord(Record, kw_only=True):
    api_key = 27
    controller_id: Int32
    incarnation_id: UUID
    zk_migration_ready: Bool = False
    end_points: list[EndPoint]
    features: list[SupportedFeature]


class ClearElrRecord(Record, kw_only=True):
    """Of one topic, or of all with an empty name (KIP-966)."""

    api_key = 28
    topic_name: str


RECORDS: Final[dict[int, type[Record]]] = {kind.api_key: kind for kind in Record.__subclasses__()}
_FRAME_VERSION: Final = 1


class UnknownMetadataError(KafkaStorageError):
    """A record of the metadata log that a newer Kafka wrote, or a damaged one."""


def encode(record: Record) -> bytes:
    """The value of a record of the metadata log.

    >>> encode(FeatureLevelRecord(name="group.version", feature_level=1)).hex()
    '010c000e67726f75702e76657273696f6e000100'
    """
    layout = layout_of(type(record))
    version = layout.version_of(record)
    pieces: list[Any] = [frame(record.api_key, version)]
    layout.write(pieces.append, record, version)
    return b"".join(pieces)


def decode(data: bytes) -> Record:
    """The record of a value of the metadata log. Raises UnknownMetadataError.

    >>> decode(encode(NoOpRecord()))
    NoOpRecord()
    """
    try:
        frame_version, at = read_varint(data, 0)
        key, at = read_varint(data, at)
        version, at = read_varint(data, at)
        if frame_version != _FRAME_VERSION or key not in RECORDS or version > RECORDS[key].newest:
            raise UnknownMetadataError(
                f"a record of kind {key} in version {version} (frame {frame_version}) is not known: "
                "a newer Kafka wrote it. Open the folder with that one"
            )
        record, end = layout_of(RECORDS[key]).read(data, at, version)
    except (MalformedError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise UnknownMetadataError(f"a damaged metadata record ({data[:40].hex()}): {error}") from error
    if end != len(data):
        raise UnknownMetadataError(
            f"{type(record).__name__} is followed by {len(data) - end} bytes that are not its own"
        )
    return record  # type: ignore[no-any-return]
