"""Rules for requests about topics, their records and configs, where rows are not all there is (Kafka: KafkaApis)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from msgspec.structs import replace

from broker_embedded.errors import FetchSessionIdNotFoundError, KafkaError
from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.security.guard import (
    Answer,
    Check,
    Guard,
    cluster,
    denied,
    each,
    refusal,
    split,
    topic,
    topic_name,
)
from broker_embedded.wire.messages.configs import RESOURCE_GROUP, RESOURCE_TOPIC

if TYPE_CHECKING:
    from broker_embedded.wire.messages.cluster import DescribeClusterRequest, DescribeClusterResponse
    from broker_embedded.wire.messages.records import FetchRequest, FetchResponse
    from broker_embedded.wire.messages.topics import (
        CreateTopicsRequest,
        CreateTopicsResponse,
        DeleteTopicsRequest,
        DeleteTopicsResponse,
        DescribeTopicPartitionsRequest,
        DescribeTopicPartitionsResponse,
        MetadataRequest,
        MetadataRequestTopic,
        MetadataResponse,
    )

_SESSIONLESS: Final = {"session_id": 0, "session_epoch": -1}


async def fetch(guard: Guard, request: FetchRequest, answer: Answer) -> FetchResponse:
    """Read of each topic. Whoever asks for one they may not read gets no session, so every fetch names all its topics.

    A session (KIP-227) that already is remembers topics that a request does not name: if such a one is not allowed any
    more, the session counts as lost, and the client names its topics again. Topics are looked at once more behind the
    handler, which may have waited.
    """
    check = topic(Operation.READ)
    errors = [check(guard, row) for row in request.topics]
    if any(errors) and request.session_id:
        return _session_lost()
    if any(errors):
        request = replace(request, **_SESSIONLESS)
    response: FetchResponse = await split(request, "topics", "responses", errors, answer)
    withdrawn = [row for row in response.responses if check(guard, row)]
    if withdrawn and response.session_id:
        return _session_lost()
    for row in withdrawn:
        row.partitions = [type(data)(data.partition_index, denied(ResourceType.TOPIC).code) for data in row.partitions]
    return response


def _session_lost() -> FetchResponse:
    from broker_embedded.wire.messages.records import FetchResponse

    return FetchResponse(error_code=FetchSessionIdNotFoundError.info.code)


async def metadata(guard: Guard, request: MetadataRequest, answer: Answer) -> MetadataResponse:
    """Describe of each topic that is named, and Create where it would be made; a list of all is filtered."""
    errors = [_check_metadata(guard, request, row) for row in request.topics or ()]
    allowed = request.topics and [row for row, error in zip(request.topics, errors, strict=True) if error is None]
    response: MetadataResponse = await answer(replace(request, topics=allowed))
    response.topics = [
        row for row in response.topics if not row.name or guard.allows_topic(Operation.DESCRIBE, row.name)
    ]
    for row, error in zip(request.topics or (), errors, strict=True):
        if error is not None:
            response.topics += refusal(request, "topics", row, error).topics
    if request.include_cluster_authorized_operations and not guard.allows_cluster(Operation.DESCRIBE):
        response.cluster_authorized_operations = 0
    return response


def _check_metadata(guard: Guard, request: MetadataRequest, row: MetadataRequestTopic) -> KafkaError | None:
    name = topic_name(guard, row)
    if name is None:
        return None
    would_make = request.allow_auto_topic_creation and guard.cluster.config.auto_create_topics
    error = guard.require(Operation.DESCRIBE, ResourceType.TOPIC, name)
    if error is None and would_make and name not in guard.cluster.topics:
        error = _check_create(guard, name)
    return error


def _check_create(guard: Guard, name: str) -> KafkaError | None:
    if guard.allows_cluster(Operation.CREATE):
        return None
    return guard.require(Operation.CREATE, ResourceType.TOPIC, name)


async def describe_topic_partitions(
    guard: Guard, request: DescribeTopicPartitionsRequest, answer: Answer
) -> DescribeTopicPartitionsResponse:
    """Describe of each topic. Instead of all topics, the handler is asked for those that are allowed, so that neither
    a page nor its cursor tells of the others."""
    from broker_embedded.wire.messages.topics import DescribeTopicPartitionsResponse, TopicRequest

    check = topic(Operation.DESCRIBE)
    if request.topics:
        errors = [check(guard, row) for row in request.topics]
        return await split(request, "topics", "topics", errors, answer)  # type: ignore[no-any-return]
    cursor = request.cursor
    names = sorted(name for name in guard.cluster.topics if guard.allows_topic(Operation.DESCRIBE, name))
    if cursor is not None:
        names = [name for name in names if name >= cursor.topic_name]
        if cursor.topic_name not in names[:1]:
            cursor = None
    if not names:
        return DescribeTopicPartitionsResponse()
    return await answer(replace(request, topics=[TopicRequest(name) for name in names], cursor=cursor))  # type: ignore[no-any-return]


async def create_topics(guard: Guard, request: CreateTopicsRequest, answer: Answer) -> CreateTopicsResponse:
    """Create on the cluster or the topic; what was made is told to whoever may describe its configs."""
    errors = [_check_create(guard, row.name) for row in request.topics]
    response: CreateTopicsResponse = await split(request, "topics", "topics", errors, answer)
    for row in response.topics:
        if row.error_code == 0 and not guard.allows_topic(Operation.DESCRIBE_CONFIGS, row.name):
            row.topic_config_error_code = denied(ResourceType.TOPIC).code
            row.num_partitions = row.replication_factor = -1
            row.configs = []
    return response


async def delete_topics(guard: Guard, request: DeleteTopicsRequest, answer: Answer) -> DeleteTopicsResponse:
    """Delete on the cluster, or Describe and Delete on the topic. One that was named by its id is told by name to
    whoever may know it."""
    errors: list[KafkaError | None] = []
    names: dict[UUID, str] = {}
    for row in request.topics:
        name = topic_name(guard, row)
        is_known = name is not None and guard.allows_topic(Operation.DESCRIBE, name)
        if name is None or guard.allows_cluster(Operation.DELETE):
            errors.append(None)
        else:
            is_allowed = guard.allows_topic(Operation.DELETE, name) and (is_known or not row.name)
            errors.append(None if is_allowed else denied(ResourceType.TOPIC))
        if name and is_known and row.topic_id is not None:
            names[row.topic_id] = name
    response: DeleteTopicsResponse = await split(request, "topics", "responses", errors, answer)
    for result in response.responses:
        if result.name is None and result.topic_id is not None:
            result.name = names.get(result.topic_id)
    return response


def config(operation: Operation) -> Check:
    """An operation on the configs of a row's resource: a topic, a group, or else the cluster."""
    kinds = {RESOURCE_TOPIC: ResourceType.TOPIC, RESOURCE_GROUP: ResourceType.GROUP}
    of_cluster = cluster(operation)

    def check(guard: Guard, row: Any) -> KafkaError | None:
        kind = kinds.get(row.resource_type)
        if kind is None:
            return of_cluster(guard, row)
        return guard.require(operation, kind, row.resource_name)

    return check


async def offset_for_leader_epoch(guard: Guard, request: Any, answer: Answer) -> Any:
    """Describe of each topic; other brokers do with ClusterAction (KIP-320)."""
    if guard.allows_cluster(Operation.CLUSTER_ACTION):
        return await answer(request)
    return await _describe_each(guard, request, answer)


_describe_each = each("topics", "topics", topic(Operation.DESCRIBE))


async def describe_cluster(guard: Guard, request: DescribeClusterRequest, answer: Answer) -> DescribeClusterResponse:
    """Everybody may; the operations on the cluster are for those with Describe on it."""
    response: DescribeClusterResponse = await answer(request)
    if request.include_cluster_authorized_operations and not guard.allows_cluster(Operation.DESCRIBE):
        response.cluster_authorized_operations = 0
    return response
