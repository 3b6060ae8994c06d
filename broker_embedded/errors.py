"""Kafka's errors: the table that travels on the wire as codes, and an exception for each code the broker raises.

The table is data and complete up to Kafka 4.3 (`org.apache.kafka.common.protocol.Errors`: codes, names and
retriability; the words are ours). It makes this file long; there is nothing else in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple


class ErrorInfo(NamedTuple):
    """One line of Kafka's error table: what a client learns from a code."""

    code: int
    name: str
    retriable: bool
    message: str


_NO, _RETRY = False, True

_TABLE: Final = (
    (-1, "UNKNOWN_SERVER_ERROR", _NO, "the broker met an error it has no code for"),
    (0, "NONE", _NO, "no error"),
    (1, "OFFSET_OUT_OF_RANGE", _NO, "the offset lies outside of the log"),
    (2, "CORRUPT_MESSAGE", _RETRY, "the record batch is damaged: bad checksum, size or key"),
    (3, "UNKNOWN_TOPIC_OR_PARTITION", _RETRY, "no such topic or partition here"),
    (4, "INVALID_FETCH_SIZE", _NO, "the fetch size is invalid"),
    (5, "LEADER_NOT_AVAILABLE", _RETRY, "the partition has no leader at the moment"),
    (6, "NOT_LEADER_OR_FOLLOWER", _RETRY, "this broker does not lead (or hold) the partition"),
    (7, "REQUEST_TIMED_OUT", _RETRY, "the request timed out"),
    (8, "BROKER_NOT_AVAILABLE", _NO, "the broker is not available"),
    (9, "REPLICA_NOT_AVAILABLE", _RETRY, "the replica is not available"),
    (10, "MESSAGE_TOO_LARGE", _NO, "the record batch is larger than max.message.bytes"),
    (11, "STALE_CONTROLLER_EPOCH", _NO, "the controller has moved"),
    (12, "OFFSET_METADATA_TOO_LARGE", _NO, "the metadata of the committed offset is too long"),
    (13, "NETWORK_EXCEPTION", _RETRY, "the connection ended before the answer"),
    (14, "COORDINATOR_LOAD_IN_PROGRESS", _RETRY, "the coordinator is still loading"),
    (15, "COORDINATOR_NOT_AVAILABLE", _RETRY, "the coordinator is not available"),
    (16, "NOT_COORDINATOR", _RETRY, "this broker is not the coordinator"),
    (17, "INVALID_TOPIC_EXCEPTION", _NO, "the topic's name is invalid or may not be used so"),
    (18, "RECORD_LIST_TOO_LARGE", _NO, "the record batch is larger than segment.bytes"),
    (19, "NOT_ENOUGH_REPLICAS", _RETRY, "fewer replicas in sync than min.insync.replicas"),
    (20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", _RETRY, "written, but to fewer replicas than min.insync.replicas"),
    (21, "INVALID_REQUIRED_ACKS", _NO, "acks must be 0, 1 or -1"),
    (22, "ILLEGAL_GENERATION", _NO, "the group's generation is another one"),
    (23, "INCONSISTENT_GROUP_PROTOCOL", _NO, "the member shares no protocol with its group"),
    (24, "INVALID_GROUP_ID", _NO, "the group id is invalid"),
    (25, "UNKNOWN_MEMBER_ID", _NO, "the group has no such member"),
    (26, "INVALID_SESSION_TIMEOUT", _NO, "the session timeout is outside of what the broker allows"),
    (27, "REBALANCE_IN_PROGRESS", _NO, "the group is rebalancing: join again"),
    (28, "INVALID_COMMIT_OFFSET_SIZE", _NO, "the committed offset is too large to store"),
    (29, "TOPIC_AUTHORIZATION_FAILED", _NO, "not authorised for the topic"),
    (30, "GROUP_AUTHORIZATION_FAILED", _NO, "not authorised for the group"),
    (31, "CLUSTER_AUTHORIZATION_FAILED", _NO, "not authorised for the cluster"),
    (32, "INVALID_TIMESTAMP", _NO, "the record's timestamp is out of the accepted range"),
    (33, "UNSUPPORTED_SASL_MECHANISM", _NO, "the SASL mechanism is not enabled"),
    (34, "ILLEGAL_SASL_STATE", _NO, "the request does not fit the state of authentication"),
    (35, "UNSUPPORTED_VERSION", _NO, "this version of the API is not served"),
    (36, "TOPIC_ALREADY_EXISTS", _NO, "a topic of this name exists"),
    (37, "INVALID_PARTITIONS", _NO, "the number of partitions is invalid"),
    (38, "INVALID_REPLICATION_FACTOR", _NO, "the replication factor is invalid"),
    (39, "INVALID_REPLICA_ASSIGNMENT", _NO, "the replica assignment is invalid"),
    (40, "INVALID_CONFIG", _NO, "a configuration value is invalid"),
    (41, "NOT_CONTROLLER", _RETRY, "this broker is not the controller"),
    (42, "INVALID_REQUEST", _NO, "the request is malformed"),
    (43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", _NO, "the message format does not support this request"),
    (44, "POLICY_VIOLATION", _NO, "the request is against a configured policy"),
    (45, "OUT_OF_ORDER_SEQUENCE_NUMBER", _NO, "the producer's sequence number does not follow its last one"),
    (46, "DUPLICATE_SEQUENCE_NUMBER", _NO, "the producer's sequence number was already written"),
    (47, "INVALID_PRODUCER_EPOCH", _NO, "the producer's epoch is older than the last one seen"),
    (48, "INVALID_TXN_STATE", _NO, "the transaction is not in a state that allows this"),
    (49, "INVALID_PRODUCER_ID_MAPPING", _NO, "the producer id does not belong to the transactional id"),
    (50, "INVALID_TRANSACTION_TIMEOUT", _NO, "the timeout is larger than transaction.max.timeout.ms"),
    (51, "CONCURRENT_TRANSACTIONS", _RETRY, "another operation of the same transaction is still under way"),
    (52, "TRANSACTION_COORDINATOR_FENCED", _NO, "a newer transaction coordinator has written here"),
    (53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", _NO, "not authorised for the transactional id"),
    (54, "SECURITY_DISABLED", _NO, "security is not enabled"),
    (55, "OPERATION_NOT_ATTEMPTED", _NO, "not attempted because another operation of the request failed"),
    (56, "KAFKA_STORAGE_ERROR", _RETRY, "the disk failed on a file of the log"),
    (57, "LOG_DIR_NOT_FOUND", _NO, "no such log directory"),
    (58, "SASL_AUTHENTICATION_FAILED", _NO, "SASL authentication failed"),
    (59, "UNKNOWN_PRODUCER_ID", _NO, "nothing is known about the producer id"),
    (60, "REASSIGNMENT_IN_PROGRESS", _NO, "a reassignment of the partition is in progress"),
    (61, "DELEGATION_TOKEN_AUTH_DISABLED", _NO, "delegation tokens are not enabled"),
    (62, "DELEGATION_TOKEN_NOT_FOUND", _NO, "no such delegation token"),
    (63, "DELEGATION_TOKEN_OWNER_MISMATCH", _NO, "the delegation token belongs to someone else"),
    (64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", _NO, "delegation tokens cannot be asked for on this connection"),
    (65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", _NO, "not authorised for the delegation token"),
    (66, "DELEGATION_TOKEN_EXPIRED", _NO, "the delegation token has expired"),
    (67, "INVALID_PRINCIPAL_TYPE", _NO, "the type of principal is not supported"),
    (68, "NON_EMPTY_GROUP", _NO, "the group still has members"),
    (69, "GROUP_ID_NOT_FOUND", _NO, "no such group"),
    (70, "FETCH_SESSION_ID_NOT_FOUND", _RETRY, "no such fetch session"),
    (71, "INVALID_FETCH_SESSION_EPOCH", _RETRY, "the fetch session's epoch is another one"),
    (72, "LISTENER_NOT_FOUND", _RETRY, "the leader has no listener of that name"),
    (73, "TOPIC_DELETION_DISABLED", _NO, "topics may not be deleted"),
    (74, "FENCED_LEADER_EPOCH", _RETRY, "the leader epoch is older than the broker's"),
    (75, "UNKNOWN_LEADER_EPOCH", _RETRY, "the leader epoch is newer than the broker's"),
    (76, "UNSUPPORTED_COMPRESSION_TYPE", _NO, "the client cannot read the partition's compression"),
    (77, "STALE_BROKER_EPOCH", _NO, "the broker's epoch has changed"),
    (78, "OFFSET_NOT_AVAILABLE", _RETRY, "the high watermark has not caught up yet"),
    (79, "MEMBER_ID_REQUIRED", _NO, "join again with the member id just given"),
    (80, "PREFERRED_LEADER_NOT_AVAILABLE", _RETRY, "the preferred leader is not available"),
    (81, "GROUP_MAX_SIZE_REACHED", _NO, "the group has as many members as it may"),
    (82, "FENCED_INSTANCE_ID", _NO, "another member has taken over the group.instance.id"),
    (83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", _RETRY, "no replica may become leader"),
    (84, "ELECTION_NOT_NEEDED", _RETRY, "no election is needed"),
    (85, "NO_REASSIGNMENT_IN_PROGRESS", _NO, "no reassignment is in progress"),
    (86, "GROUP_SUBSCRIBED_TO_TOPIC", _NO, "the group still reads the topic"),
    (87, "INVALID_RECORD", _NO, "a record of the batch is not acceptable"),
    (88, "UNSTABLE_OFFSET_COMMIT", _RETRY, "a transaction holds offsets that are not decided yet"),
    (89, "THROTTLING_QUOTA_EXCEEDED", _RETRY, "the quota is used up"),
    (90, "PRODUCER_FENCED", _NO, "a newer producer uses the same transactional id"),
    (91, "RESOURCE_NOT_FOUND", _NO, "no such resource"),
    (92, "DUPLICATE_RESOURCE", _NO, "the request names the same resource twice"),
    (93, "UNACCEPTABLE_CREDENTIAL", _NO, "the credential does not meet the requirements"),
    (94, "INCONSISTENT_VOTER_SET", _NO, "sender or receiver is not one of the voters"),
    (95, "INVALID_UPDATE_VERSION", _NO, "the version of the update is invalid"),
    (96, "FEATURE_UPDATE_FAILED", _NO, "the features could not be updated"),
    (97, "PRINCIPAL_DESERIALIZATION_FAILURE", _NO, "the forwarded principal cannot be read"),
    (98, "SNAPSHOT_NOT_FOUND", _NO, "no such metadata snapshot"),
    (99, "POSITION_OUT_OF_RANGE", _NO, "the position lies outside of the snapshot"),
    (100, "UNKNOWN_TOPIC_ID", _RETRY, "no topic has this id"),
    (101, "DUPLICATE_BROKER_REGISTRATION", _NO, "the broker id is taken"),
    (102, "BROKER_ID_NOT_REGISTERED", _NO, "the broker id is not registered"),
    (103, "INCONSISTENT_TOPIC_ID", _RETRY, "the log on disk belongs to another topic id"),
    (104, "INCONSISTENT_CLUSTER_ID", _NO, "the cluster id is another one"),
    (105, "TRANSACTIONAL_ID_NOT_FOUND", _NO, "no such transactional id"),
    (106, "FETCH_SESSION_TOPIC_ID_ERROR", _RETRY, "the fetch session mixes topic ids and names"),
    (107, "INELIGIBLE_REPLICA", _NO, "a replica may not join the in-sync set"),
    (108, "NEW_LEADER_ELECTED", _NO, "updated, but the leader has changed"),
    (109, "OFFSET_MOVED_TO_TIERED_STORAGE", _NO, "the offset is in tiered storage"),
    (110, "FENCED_MEMBER_EPOCH", _NO, "the member is fenced: give up all partitions and join again"),
    (111, "UNRELEASED_INSTANCE_ID", _NO, "another member still holds the instance id"),
    (112, "UNSUPPORTED_ASSIGNOR", _NO, "the group does not know the assignor"),
    (113, "STALE_MEMBER_EPOCH", _NO, "the member's epoch is old: retry with the one of the next heartbeat"),
    (114, "MISMATCHED_ENDPOINT_TYPE", _NO, "the request went to the wrong kind of endpoint"),
    (115, "UNSUPPORTED_ENDPOINT_TYPE", _NO, "this kind of endpoint is not supported"),
    (116, "UNKNOWN_CONTROLLER_ID", _NO, "no such controller"),
    (117, "UNKNOWN_SUBSCRIPTION_ID", _NO, "the telemetry subscription is unknown or old"),
    (118, "TELEMETRY_TOO_LARGE", _NO, "the pushed telemetry is too large"),
    (119, "INVALID_REGISTRATION", _NO, "the broker's registration is invalid"),
    (120, "TRANSACTION_ABORTABLE", _NO, "the transaction failed: abort it and go on with the same id"),
    (121, "INVALID_RECORD_STATE", _NO, "the record cannot be acknowledged in its state"),
    (122, "SHARE_SESSION_NOT_FOUND", _RETRY, "no such share session"),
    (123, "INVALID_SHARE_SESSION_EPOCH", _RETRY, "the share session's epoch is another one"),
    (124, "FENCED_STATE_EPOCH", _NO, "the share group's state epoch is another one"),
    (125, "INVALID_VOTER_KEY", _NO, "the voter key is not that of the receiver"),
    (126, "DUPLICATE_VOTER", _NO, "the voter is in the set already"),
    (127, "VOTER_NOT_FOUND", _NO, "the voter is not in the set"),
    (128, "INVALID_REGULAR_EXPRESSION", _NO, "the regular expression is invalid"),
    (129, "REBOOTSTRAP_REQUIRED", _NO, "the client must start again from its bootstrap servers"),
    (130, "STREAMS_INVALID_TOPOLOGY", _NO, "the topology of the streams group is invalid"),
    (131, "STREAMS_INVALID_TOPOLOGY_EPOCH", _NO, "the epoch of the topology is invalid"),
    (132, "STREAMS_TOPOLOGY_FENCED", _NO, "the epoch of the topology is old"),
    (133, "SHARE_SESSION_LIMIT_REACHED", _RETRY, "there are as many share sessions as there may be"),
)

ERRORS: Final[dict[int, ErrorInfo]] = {row[0]: ErrorInfo(*row) for row in _TABLE}
"""Kafka's error table by code."""


class KafkaError(Exception):
    """An error with one of Kafka's codes; its message says what happened, where, and what to do.

    Every subclass stands for one code. Raising `KafkaError` itself is UNKNOWN_SERVER_ERROR (-1).

    >>> error = OffsetOutOfRangeError("orders-0: offset 7 is beyond the end of the log, 5")
    >>> error.code, error.name, error.retriable
    (1, 'OFFSET_OUT_OF_RANGE', False)
    >>> str(error)
    'orders-0: offset 7 is beyond the end of the log, 5'
    >>> str(OffsetOutOfRangeError())
    'the offset lies outside of the log'
    """

    info: ClassVar[ErrorInfo] = ERRORS[-1]

    def __init_subclass__(cls, *, code: int | None = None) -> None:
        if code is not None:
            cls.info = ERRORS[code]
            _BY_CODE[code] = cls

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.info.message)

    @property
    def code(self) -> int:
        """The number that travels on the wire."""
        return self.info.code

    @property
    def name(self) -> str:
        """Kafka's name of the error, in capitals."""
        return self.info.name

    @property
    def retriable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.info.retriable


_BY_CODE: Final[dict[int, type[KafkaError]]] = {-1: KafkaError}


def error_class(code: int) -> type[KafkaError]:
    """The exception class of a code; for a code that is not in the table, `KafkaError`.

    >>> error_class(45)
    <class 'broker_embedded.errors.OutOfOrderSequenceNumberError'>
    >>> error_class(29)().name
    'TOPIC_AUTHORIZATION_FAILED'
    >>> error_class(9999)().code
    -1
    """
    found = _BY_CODE.get(code)
    if found is None:
        if code not in ERRORS or code == 0:
            return KafkaError
        words = ERRORS[code].name.removesuffix("_ERROR").removesuffix("_EXCEPTION").split("_")
        found = type("".join(map(str.capitalize, words)) + "Error", (KafkaError,), {"__module__": __name__}, code=code)
    return found


class BatchError(KafkaError):
    """A batch was refused for some of its records: `record_errors` are their indexes and what is wrong (KIP-467)."""

    def __init__(self, message: str = "", record_errors: Sequence[tuple[int, str]] = ()) -> None:
        super().__init__(message)
        self.record_errors = tuple(record_errors)


class OffsetOutOfRangeError(KafkaError, code=1): ...


class CorruptMessageError(KafkaError, code=2): ...


class UnknownTopicOrPartitionError(KafkaError, code=3): ...


class LeaderNotAvailableError(KafkaError, code=5): ...


class RequestTimedOutError(KafkaError, code=7): ...


class MessageTooLargeError(KafkaError, code=10): ...


class OffsetMetadataTooLargeError(KafkaError, code=12): ...


class CoordinatorLoadInProgressError(KafkaError, code=14): ...


class CoordinatorNotAvailableError(KafkaError, code=15): ...


class NotCoordinatorError(KafkaError, code=16): ...


class InvalidTopicError(KafkaError, code=17): ...


class RecordListTooLargeError(KafkaError, code=18): ...


class NotEnoughReplicasError(KafkaError, code=19): ...


class InvalidRequiredAcksError(KafkaError, code=21): ...


class IllegalGenerationError(KafkaError, code=22): ...


class InconsistentGroupProtocolError(KafkaError, code=23): ...


class InvalidGroupIdError(KafkaError, code=24): ...


class UnknownMemberIdError(KafkaError, code=25): ...


class InvalidSessionTimeoutError(KafkaError, code=26): ...


class RebalanceInProgressError(KafkaError, code=27): ...


class TopicAuthorizationFailedError(KafkaError, code=29): ...


class GroupAuthorizationFailedError(KafkaError, code=30): ...


class ClusterAuthorizationFailedError(KafkaError, code=31): ...


class InvalidTimestampError(BatchError, code=32): ...


class UnsupportedSaslMechanismError(KafkaError, code=33): ...


class IllegalSaslStateError(KafkaError, code=34): ...


class UnsupportedVersionError(KafkaError, code=35): ...


class TopicAlreadyExistsError(KafkaError, code=36): ...


class InvalidPartitionsError(KafkaError, code=37): ...


class InvalidReplicationFactorError(KafkaError, code=38): ...


class InvalidReplicaAssignmentError(KafkaError, code=39): ...


class InvalidConfigError(KafkaError, code=40): ...


class InvalidRequestError(KafkaError, code=42): ...


class PolicyViolationError(KafkaError, code=44): ...


class OutOfOrderSequenceNumberError(KafkaError, code=45): ...


class InvalidProducerEpochError(KafkaError, code=47): ...


class InvalidTxnStateError(KafkaError, code=48): ...


class InvalidProducerIdMappingError(KafkaError, code=49): ...


class InvalidTransactionTimeoutError(KafkaError, code=50): ...


class ConcurrentTransactionsError(KafkaError, code=51): ...


class TransactionCoordinatorFencedError(KafkaError, code=52): ...


class TransactionalIdAuthorizationFailedError(KafkaError, code=53): ...


class SecurityDisabledError(KafkaError, code=54): ...


class OperationNotAttemptedError(KafkaError, code=55): ...


class KafkaStorageError(KafkaError, code=56): ...


class SaslAuthenticationFailedError(KafkaError, code=58): ...


class UnknownProducerIdError(KafkaError, code=59): ...


class NonEmptyGroupError(KafkaError, code=68): ...


class GroupIdNotFoundError(KafkaError, code=69): ...


class DelegationTokenAuthDisabledError(KafkaError, code=61): ...


class DelegationTokenNotFoundError(KafkaError, code=62): ...


class DelegationTokenOwnerMismatchError(KafkaError, code=63): ...


class DelegationTokenRequestNotAllowedError(KafkaError, code=64): ...


class DelegationTokenExpiredError(KafkaError, code=66): ...


class InvalidPrincipalTypeError(KafkaError, code=67): ...


class FetchSessionIdNotFoundError(KafkaError, code=70): ...


class InvalidFetchSessionEpochError(KafkaError, code=71): ...


class TopicDeletionDisabledError(KafkaError, code=73): ...


class FencedLeaderEpochError(KafkaError, code=74): ...


class UnknownLeaderEpochError(KafkaError, code=75): ...


class UnsupportedCompressionTypeError(KafkaError, code=76): ...


class MemberIdRequiredError(KafkaError, code=79): ...


class GroupMaxSizeReachedError(KafkaError, code=81): ...


class FencedInstanceIdError(KafkaError, code=82): ...


class ElectionNotNeededError(KafkaError, code=84): ...


class NoReassignmentInProgressError(KafkaError, code=85): ...


class GroupSubscribedToTopicError(KafkaError, code=86): ...


class InvalidRecordError(BatchError, code=87): ...


class UnstableOffsetCommitError(KafkaError, code=88): ...


class ProducerFencedError(KafkaError, code=90): ...


class ResourceNotFoundError(KafkaError, code=91): ...


class DuplicateResourceError(KafkaError, code=92): ...


class UnacceptableCredentialError(KafkaError, code=93): ...


class InvalidUpdateVersionError(KafkaError, code=95): ...


class UnknownTopicIdError(KafkaError, code=100): ...


class InconsistentTopicIdError(KafkaError, code=103): ...


class FetchSessionTopicIdError(KafkaError, code=106): ...


class TransactionalIdNotFoundError(KafkaError, code=105): ...


class FencedMemberEpochError(KafkaError, code=110): ...


class UnreleasedInstanceIdError(KafkaError, code=111): ...


class UnsupportedAssignorError(KafkaError, code=112): ...


class StaleMemberEpochError(KafkaError, code=113): ...


class MismatchedEndpointTypeError(KafkaError, code=114): ...


class UnsupportedEndpointTypeError(KafkaError, code=115): ...


class TransactionAbortableError(KafkaError, code=120): ...


class InvalidRegularExpressionError(KafkaError, code=128): ...
