"""The cluster: versions, brokers, log directories, features, reassignments."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from broker_embedded.wire.messages import Message, Request, Response
from broker_embedded.wire.messages.topics import NOT_ASKED

# 18 ApiVersions


class ApiVersionsRequest(Request):
    api_key: ClassVar[int] = 18
    client_software_name: str = ""
    client_software_version: str = ""


class ApiVersion(Message):
    api_key: int
    min_version: int
    max_version: int


class SupportedFeatureKey(Message):
    name: str
    min_version: int
    max_version: int


class FinalizedFeatureKey(Message):
    name: str
    max_version_level: int
    min_version_level: int


class ApiVersionsResponse(Response):
    error_code: int = 0
    api_keys: list[ApiVersion] = []
    throttle_time_ms: int = 0
    supported_features: list[SupportedFeatureKey] = []
    finalized_features_epoch: int = -1
    finalized_features: list[FinalizedFeatureKey] = []
    zk_migration_ready: bool = False


# 43 ElectLeaders


class TopicPartitions(Message):
    topic: str
    partitions: list[int] = []


class ElectLeadersRequest(Request):
    """`topic_partitions` is None for all. Types: 0 the preferred replica, 1 any."""

    api_key: ClassVar[int] = 43
    topic_partitions: list[TopicPartitions] | None = None
    election_type: int = 0
    timeout_ms: int = 60_000


class PartitionResult(Message):
    partition_id: int
    error_code: int = 0
    error_message: str | None = None


class ReplicaElectionResult(Message):
    topic: str
    partition_result: list[PartitionResult] = []


class ElectLeadersResponse(Response):
    error_code: int = 0
    replica_election_results: list[ReplicaElectionResult] = []
    throttle_time_ms: int = 0


# 45 AlterPartitionReassignments


class ReassignablePartition(Message):
    """`replicas` is None to cancel what is going on."""

    partition_index: int
    replicas: list[int] | None = None


class ReassignableTopic(Message):
    name: str
    partitions: list[ReassignablePartition] = []


class AlterPartitionReassignmentsRequest(Request):
    api_key: ClassVar[int] = 45
    topics: list[ReassignableTopic] = []
    timeout_ms: int = 60_000
    allow_replication_factor_change: bool = True


class ReassignablePartitionResponse(Message):
    partition_index: int
    error_code: int = 0
    error_message: str | None = None


class ReassignableTopicResponse(Message):
    name: str
    partitions: list[ReassignablePartitionResponse] = []


class AlterPartitionReassignmentsResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    responses: list[ReassignableTopicResponse] = []
    allow_replication_factor_change: bool = True
    throttle_time_ms: int = 0


# 46 ListPartitionReassignments


class ListPartitionReassignmentsTopics(Message):
    name: str
    partition_indexes: list[int] = []


class ListPartitionReassignmentsRequest(Request):
    api_key: ClassVar[int] = 46
    topics: list[ListPartitionReassignmentsTopics] | None = None
    timeout_ms: int = 60_000


class OngoingPartitionReassignment(Message):
    partition_index: int
    replicas: list[int] = []
    adding_replicas: list[int] = []
    removing_replicas: list[int] = []


class OngoingTopicReassignment(Message):
    name: str
    partitions: list[OngoingPartitionReassignment] = []


class ListPartitionReassignmentsResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    topics: list[OngoingTopicReassignment] = []
    throttle_time_ms: int = 0


# 55 DescribeQuorum


class QuorumPartition(Message):
    partition_index: int


class QuorumTopic(Message):
    topic_name: str
    partitions: list[QuorumPartition] = []


class DescribeQuorumRequest(Request):
    api_key: ClassVar[int] = 55
    topics: list[QuorumTopic] = []


class ReplicaState(Message):
    replica_id: int
    replica_directory_id: UUID | None = None
    log_end_offset: int = -1
    last_fetch_timestamp: int = -1
    last_caught_up_timestamp: int = -1


class QuorumPartitionState(Message):
    partition_index: int
    error_code: int = 0
    error_message: str | None = None
    leader_id: int = 0
    leader_epoch: int = 0
    high_watermark: int = 0
    current_voters: list[ReplicaState] = []
    observers: list[ReplicaState] = []


class QuorumTopicState(Message):
    topic_name: str
    partitions: list[QuorumPartitionState] = []


class QuorumListener(Message):
    name: str
    host: str
    port: int


class QuorumNode(Message):
    node_id: int
    listeners: list[QuorumListener] = []


class DescribeQuorumResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    topics: list[QuorumTopicState] = []
    nodes: list[QuorumNode] = []


# 57 UpdateFeatures

UPGRADE = 1
SAFE_DOWNGRADE = 2
UNSAFE_DOWNGRADE = 3


class FeatureUpdateKey(Message):
    """Level 0 takes the feature away. `allow_downgrade` is how version 0 says SAFE_DOWNGRADE."""

    feature: str
    max_version_level: int
    upgrade_type: int = UPGRADE
    allow_downgrade: bool = False


class UpdateFeaturesRequest(Request):
    api_key: ClassVar[int] = 57
    feature_updates: list[FeatureUpdateKey] = []
    timeout_ms: int = 60_000
    validate_only: bool = False


class UpdatableFeatureResult(Message):
    feature: str
    error_code: int = 0
    error_message: str | None = None


class UpdateFeaturesResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    results: list[UpdatableFeatureResult] = []
    throttle_time_ms: int = 0


# 60 DescribeCluster

ENDPOINT_BROKERS = 1
ENDPOINT_CONTROLLERS = 2


class DescribeClusterRequest(Request):
    api_key: ClassVar[int] = 60
    include_cluster_authorized_operations: bool = False
    endpoint_type: int = ENDPOINT_BROKERS
    include_fenced_brokers: bool = False


class DescribeClusterBroker(Message):
    broker_id: int
    host: str
    port: int
    rack: str | None = None
    is_fenced: bool = False


class DescribeClusterResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    endpoint_type: int = ENDPOINT_BROKERS
    cluster_id: str = ""
    controller_id: int = -1
    brokers: list[DescribeClusterBroker] = []
    cluster_authorized_operations: int = NOT_ASKED
    throttle_time_ms: int = 0
