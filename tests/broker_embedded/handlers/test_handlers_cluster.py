"""The cluster as admin tools ask for it; codes and words are those of Apache Kafka 4.3.1."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.cluster import (
    AlterPartitionReassignmentsRequest,
    DescribeClusterRequest,
    DescribeQuorumRequest,
    ElectLeadersRequest,
    FeatureUpdateKey,
    ListPartitionReassignmentsRequest,
    QuorumPartition,
    QuorumTopic,
    ReassignablePartition,
    ReassignableTopic,
    TopicPartitions,
    UpdateFeaturesRequest,
)
from broker_embedded.wire.messages.configs import (
    AlterClientQuotasRequest,
    AlteredQuotaEntry,
    ComponentData,
    DescribeClientQuotasRequest,
    OpData,
    QuotaEntity,
)
from broker_embedded.wire.messages.topics import Cursor, DescribeTopicPartitionsRequest, TopicRequest

UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, UNSUPPORTED_VERSION, INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST = (
    *(3, 17, 35, 39, 42),
)
ELECTION_NOT_NEEDED, NO_REASSIGNMENT_IN_PROGRESS, INVALID_UPDATE_VERSION = 84, 85, 95
MISMATCHED_ENDPOINT_TYPE, UNSUPPORTED_ENDPOINT_TYPE = 114, 115
EVERY_CLUSTER_OPERATION, EVERY_TOPIC_OPERATION = 8096, 3576
NOT_ASKED = -(2**31)


@pytest.mark.parametrize(
    ("election_type", "asked", "code", "rows"),
    [
        (
            0,
            [TopicPartitions("a", [0, 7]), TopicPartitions("nope", [0])],
            0,
            [
                ("a", 0, ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."),
                ("a", 7, UNKNOWN_TOPIC_OR_PARTITION, "No such partition as a-7"),
                ("nope", 0, UNKNOWN_TOPIC_OR_PARTITION, "No such topic as nope"),
            ],
        ),
        (1, None, 0, []),
        (5, None, INVALID_REQUEST, []),
    ],
)
async def test_elections(client: Any, election_type: int, asked: Any, code: int, rows: list[Any]) -> None:
    await client.create("a")
    answer = await client.cluster.handle(ElectLeadersRequest(asked, election_type))
    assert answer.error_code == code
    assert rows == [
        (topic.topic, row.partition_id, row.error_code, row.error_message)
        for topic in answer.replica_election_results
        for row in topic.partition_result
    ]


@pytest.mark.parametrize(
    ("topic", "partition", "replicas", "code", "message"),
    [
        ("a", 0, [1], 0, None),
        ("a", 0, None, NO_REASSIGNMENT_IN_PROGRESS, "a-0 is not being reassigned"),
        ("a", 0, [], INVALID_REPLICA_ASSIGNMENT, "The manual partition assignment includes an empty replica list."),
        (
            "a",
            0,
            [1, 2],
            INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes broker 2, but no such broker is registered.",
        ),
        (
            "a",
            0,
            [1, 1],
            INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        ("a", 9, [1], UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition a:9."),
        ("nope", 0, [1], UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named nope."),
    ],
)
async def test_reassignments(
    client: Any, topic: str, partition: int, replicas: list[int] | None, code: int, message: str | None
) -> None:
    await client.create("a")
    rows = [ReassignableTopic(topic, [ReassignablePartition(partition, replicas)])]
    answer = await client.cluster.handle(
        AlterPartitionReassignmentsRequest(rows, allow_replication_factor_change=False)
    )
    (row,) = answer.responses[0].partitions
    assert (answer.error_code, row.error_code, row.error_message) == (0, code, message)
    assert not answer.allow_replication_factor_change
    ongoing = await client.cluster.handle(ListPartitionReassignmentsRequest())
    assert (ongoing.error_code, ongoing.topics) == (0, [])


@pytest.mark.parametrize(
    ("endpoint_type", "code", "message"),
    [
        (1, 0, None),
        (
            2,
            MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        ),
        (9, UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type 9"),
    ],
)
async def test_describing_the_cluster(client: Any, endpoint_type: int, code: int, message: str | None) -> None:
    client.cluster.listeners["EXTERNAL"] = ("kafka.example", 9092)
    answer = await client.cluster.handle(DescribeClusterRequest(endpoint_type=endpoint_type))
    assert (answer.error_code, answer.error_message) == (code, message)
    if code == 0:
        assert (answer.cluster_id, answer.controller_id) == (client.cluster.folder.meta.cluster_id, 1)
        assert [(row.broker_id, row.host, row.port, row.rack) for row in answer.brokers] == [
            *((1, "kafka.example", 9092, None),)
        ]


@pytest.mark.parametrize(("asked", "operations"), [(False, NOT_ASKED), (True, EVERY_CLUSTER_OPERATION)])
async def test_operations_on_the_cluster(client: Any, asked: bool, operations: int) -> None:
    answer = await client.cluster.handle(DescribeClusterRequest(asked), RequestContext())
    assert answer.cluster_authorized_operations == operations


async def test_the_quorum_is_this_broker(client: Any) -> None:
    client.cluster.listeners["L"] = ("h", 1)
    topics = [QuorumTopic("__cluster_metadata", [QuorumPartition(0), QuorumPartition(3)])]
    answer = await client.cluster.handle(DescribeQuorumRequest([*topics, QuorumTopic("a", [QuorumPartition(0)])]))
    state, third = answer.topics[0].partitions
    (voter,) = state.current_voters
    end = client.cluster.metadata.offset + 1
    assert (state.leader_id, state.leader_epoch, state.high_watermark) == (1, client.cluster.metadata.epoch, end)
    assert (voter.replica_id, voter.log_end_offset, voter.last_fetch_timestamp) == (1, end, client.clock.now)
    assert voter.replica_directory_id == client.cluster.folder.meta.directory_id
    unknown = [third, answer.topics[1].partitions[0]]
    assert [(row.error_code, row.current_voters) for row in unknown] == [(UNKNOWN_TOPIC_OR_PARTITION, [])] * 2
    assert [node.node_id for node in answer.nodes] == [1]


_FAILED = "The update failed for all features since the following feature had an error: "


@pytest.mark.parametrize(
    ("feature", "level", "kind", "message", "after"),
    [
        ("group.version", 1, 1, None, 1),
        ("group.version", 0, 2, None, 0),
        (
            "group.version",
            0,
            1,
            "Invalid update version 0 for feature group.version. Can't downgrade the version of this feature without "
            "setting the upgrade type to either safe or unsafe downgrade.",
            1,
        ),
        (
            "group.version",
            9,
            1,
            "Invalid update version 9 for feature group.version. Local controller 1 only supports versions 0-1",
            1,
        ),
        (
            "group.version",
            -1,
            1,
            "Invalid update version -1 for feature group.version. A feature version cannot be less than 0.",
            1,
        ),
        (
            "group.version",
            0,
            0,
            "Invalid update version 0 for feature group.version. The controller does not support the given upgrade "
            "type.",
            1,
        ),
        (
            "nope",
            1,
            1,
            "Invalid update version 1 for feature nope. Local controller 1 does not support this feature.",
            0,
        ),
        ("transaction.version", 1, 2, None, 1),
        (
            "metadata.version",
            7,
            2,
            "Unsupported metadata.version downgrade from 30 to 7. Refusing to perform the requested downgrade because "
            "it might delete metadata information.",
            30,
        ),
    ],
)
async def test_updating_features(
    folder: Any, client: Any, feature: str, level: int, kind: int, message: str | None, after: int
) -> None:
    before = client.cluster.metadata.features.get(feature, 0)
    for validate_only in (True, False):
        updates = [FeatureUpdateKey(feature, level, kind)]
        answer = await client.cluster.handle(UpdateFeaturesRequest(updates, validate_only=validate_only))
        expected = (0, None) if message is None else (INVALID_UPDATE_VERSION, _FAILED + message)
        assert (answer.error_code, answer.error_message) == expected
        assert client.cluster.metadata.features.get(feature, 0) == (before if validate_only else after)
    folder.kill()
    assert folder.open().cluster.metadata.features.get(feature, 0) == after


async def test_features_are_updated_together_or_not_at_all(client: Any) -> None:
    updates = [FeatureUpdateKey("group.version", 0, 2), FeatureUpdateKey("nope", 1)]
    answer = await client.cluster.handle(UpdateFeaturesRequest(updates))
    assert (answer.error_code, client.cluster.metadata.features["group.version"]) == (INVALID_UPDATE_VERSION, 1)


# Quotas


def entity(**names: str | None) -> list[QuotaEntity]:
    return [QuotaEntity(kind.replace("_", "-"), name) for kind, name in names.items()]


@pytest.mark.parametrize(
    ("who", "ops", "message"),
    [
        (entity(user="u"), [("producer_byte_rate", 1024.0, False)], None),
        (entity(user=None), [("producer_byte_rate", 1024.0, False)], None),
        (entity(client_id="c", user="u"), [("request_percentage", 1.5, False)], None),
        (entity(ip="1.2.3.4"), [("connection_creation_rate", 5.0, False)], None),
        (entity(user="w"), [("controller_mutation_rate", 2.5, False)], None),
        (entity(user="w"), [("consumer_byte_rate", 0.0, True)], None),
        (entity(user="u"), [("nope", 1.0, False)], "Invalid configuration key nope"),
        (entity(user="u"), [("producer_byte_rate", 0.0, False)], "Quota producer_byte_rate must be greater than 0"),
        (entity(user="u"), [("producer_byte_rate", 1.5, False)], "producer_byte_rate cannot be a fractional value."),
        (
            entity(user="u"),
            [("producer_byte_rate", 1e30, False)],
            "Proposed value for producer_byte_rate is too large for a LONG.",
        ),
        (entity(user="u"), [("connection_creation_rate", 1.0, False)], "Invalid configuration key connection"),
        (entity(ip="1.2.3.4"), [("producer_byte_rate", 1.0, False)], "Invalid configuration key producer_byte_rate"),
        (entity(ip="nohost"), [("connection_creation_rate", 1.0, False)], "nohost is not a valid IP or resolvable"),
        (entity(ip="::1", user="u"), [("connection_creation_rate", 1.0, False)], "Invalid quota entity combination"),
        (entity(nope="u"), [("producer_byte_rate", 1.0, False)], "Unhandled client quota entity type: nope"),
        (entity(user=""), [("producer_byte_rate", 1.0, False)], "Empty user not supported"),
        ([], [("producer_byte_rate", 1.0, False)], "Invalid empty client quota entity"),
        (
            entity(user="u"),
            [("producer_byte_rate", 1.0, False), ("producer_byte_rate", 2.0, False)],
            "Quota producer_byte_rate is changed twice",
        ),
    ],
)
async def test_altering_quotas(client: Any, who: list[QuotaEntity], ops: list[Any], message: str | None) -> None:
    entries = [AlteredQuotaEntry(who, [OpData(*op) for op in ops])]
    for validate_only in (True, False):
        (row,) = (await client.cluster.handle(AlterClientQuotasRequest(entries, validate_only))).entries
        assert (row.error_code, row.entity) == (INVALID_REQUEST if message else 0, who)
        assert (row.error_message or "").startswith(message or "")
        is_set = not validate_only and message is None and not ops[0][2]
        assert len(client.cluster.metadata.quotas) == is_set


QUOTAS: list[tuple[dict[str, str | None], str]] = [
    ({"user": "u"}, "producer_byte_rate"),
    ({"user": None}, "producer_byte_rate"),
    ({"client_id": "c", "user": "u"}, "request_percentage"),
    ({"ip": "1.2.3.4"}, "connection_creation_rate"),
    ({"ip": None}, "connection_creation_rate"),
    ({"client_id": "c"}, "consumer_byte_rate"),
    ({"client_id": None, "user": None}, "consumer_byte_rate"),
]


@pytest.mark.parametrize(
    ("components", "strict", "expected"),
    [
        ([], False, [0, 1, 2, 3, 4, 5, 6]),
        ([], True, []),
        ([("user", 0, "u")], False, [0, 2]),
        ([("user", 0, "u")], True, [0]),
        ([("user", 1, None)], False, [1, 6]),
        ([("user", 2, None)], False, [0, 1, 2, 6]),
        ([("user", 2, None)], True, [0, 1]),
        ([("client-id", 2, None)], False, [2, 5, 6]),
        ([("user", 2, None), ("client-id", 2, None)], True, [2, 6]),
        ([("ip", 2, None)], False, [3, 4]),
        ([("ip", 1, None)], False, [4]),
    ],
)
async def test_describing_quotas(folder: Any, components: list[Any], strict: bool, expected: list[int]) -> None:
    client = folder.open()
    entries = [AlteredQuotaEntry(entity(**who), [OpData(key, 7.0)]) for who, key in QUOTAS]
    await client.cluster.handle(AlterClientQuotasRequest(entries))
    folder.kill()
    request = DescribeClientQuotasRequest([ComponentData(*row) for row in components], strict)
    answer = await folder.open().cluster.handle(request)
    found = [
        ({e.entity_type.replace("-", "_"): e.entity_name for e in row.entity}, row.values) for row in answer.entries
    ]
    assert [(who, values[0].key) for who, values in found] == [QUOTAS[index] for index in expected]
    assert all(values[0].value == 7.0 for _, values in found)


@pytest.mark.parametrize(
    ("components", "code", "message"),
    [
        ([("nope", 0, "x")], UNSUPPORTED_VERSION, "Unsupported entity type nope"),
        ([("", 0, "x")], INVALID_REQUEST, "Invalid empty entity type."),
        ([("user", 5, "x")], INVALID_REQUEST, "Unknown match type 5"),
        (
            [("user", 0, None)],
            INVALID_REQUEST,
            "Request specified MATCH_TYPE_EXACT, but set match string to null.",
        ),
        (
            [("user", 1, "x")],
            INVALID_REQUEST,
            "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.",
        ),
        (
            [("user", 0, "u"), ("user", 0, "v")],
            INVALID_REQUEST,
            "Entity type user cannot appear more than once in the filter.",
        ),
        ([("user", 2, None), ("ip", 2, None)], INVALID_REQUEST, "Invalid entity filter component combination. IP"),
    ],
)
async def test_questions_about_quotas_that_make_no_sense(
    client: Any, components: list[Any], code: int, message: str
) -> None:
    request = DescribeClientQuotasRequest([ComponentData(*row) for row in components])
    answer = await client.cluster.handle(request)
    assert (answer.error_code, answer.entries) == (code, None)
    assert answer.error_message.startswith(message)


# Partitions of topics, by page

Page = tuple[list[tuple[str, int, list[int]]], tuple[str, int] | None]


@pytest.mark.parametrize(
    ("names", "limit", "cursor", "page"),
    [
        (["a"], 2000, None, ([("a", 0, [0, 1, 2])], None)),
        (["b", "a", "nope"], 2, None, ([("a", 0, [0, 1])], ("a", 2))),
        (["b", "a", "nope"], 4, None, ([("a", 0, [0, 1, 2]), ("b", 0, [0])], ("b", 1))),
        (["b", "a", "nope"], 4, ("a", 2), ([("a", 0, [2]), ("b", 0, [0, 1, 2])], ("nope", 0))),
        (["a", "b"], 3, None, ([("a", 0, [0, 1, 2])], ("b", 0))),
        (["a", "b"], 0, None, ([("a", 0, [0])], ("a", 1))),
        (["a"], 4, ("a", 7), ([("a", 0, [])], None)),
        (["b", "a b", "b"], 9, None, ([("a b", INVALID_TOPIC, []), ("b", 0, [0, 1, 2])], None)),
        (["nope"], 1, None, ([("nope", UNKNOWN_TOPIC_OR_PARTITION, [])], None)),
        ([], 4, ("aa", 0), ([("b", 0, [0, 1, 2])], None)),
    ],
)
async def test_partitions_by_page(
    client: Any, names: list[str], limit: int, cursor: tuple[str, int] | None, page: Page
) -> None:
    await client.create("a", 3)
    await client.create("b", 3)
    request = DescribeTopicPartitionsRequest([TopicRequest(n) for n in names], limit, cursor and Cursor(*cursor))
    answer = await client.cluster.handle(request)
    rows = [(t.name, t.error_code, [p.partition_index for p in t.partitions]) for t in answer.topics]
    following = answer.next_cursor and (answer.next_cursor.topic_name, answer.next_cursor.partition_index)
    assert (rows, following) == page
    assert all(topic.topic_authorized_operations == EVERY_TOPIC_OPERATION for topic in answer.topics)
    for partition in (partition for topic in answer.topics for partition in topic.partitions):
        assert (partition.leader_id, partition.replica_nodes, partition.isr_nodes) == (1, [1], [1])
        assert partition.eligible_leader_replicas == partition.last_known_elr == []


async def test_pages_together_are_everything(folder: Any) -> None:
    client = folder.open(max_request_partition_size_limit=2)
    for number in range(3):
        await client.create(f"t{number}", number + 1)
    seen, cursor = [], None
    while True:
        answer = await client.cluster.handle(DescribeTopicPartitionsRequest(cursor=cursor))
        assert sum(len(topic.partitions) for topic in answer.topics) <= 2
        seen += [(topic.name, row.partition_index) for topic in answer.topics for row in topic.partitions]
        cursor = answer.next_cursor
        if cursor is None:
            break
    assert seen == sorted(
        (topic.name, index) for topic in client.cluster.topics.values() for index in range(topic.partition_count)
    )


async def test_ids_of_topics_are_those_of_metadata(client: Any) -> None:
    made = await client.create("a")
    answer = await client.cluster.handle(DescribeTopicPartitionsRequest([TopicRequest("a")]))
    assert answer.topics[0].topic_id == made.topic_id != uuid4()
