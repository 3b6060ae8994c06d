"""Rules for topics where rows are not all: listings, creation, ids, fetch sessions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.wire.messages.cluster import DescribeClusterRequest, DescribeClusterResponse
from broker_embedded.wire.messages.records import (
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from broker_embedded.wire.messages.topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
    Cursor,
    DeleteTopicsRequest,
    DeleteTopicState,
    DescribeTopicPartitionsRequest,
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
    TopicRequest,
)

TOPIC, CLUSTER, ON_CLUSTER = ResourceType.TOPIC, ResourceType.CLUSTER, "kafka-cluster"
READ, WRITE, CREATE, DELETE, DESCRIBE = (
    Operation.READ,
    Operation.WRITE,
    Operation.CREATE,
    Operation.DELETE,
    Operation.DESCRIBE,
)
OPEN_ID, SECRET_ID, UNKNOWN_ID = UUID(int=1), UUID(int=2), UUID(int=3)
MAY_READ = [(TOPIC, "open", READ)]
DENIED = 29


# Metadata


def listing() -> MetadataResponse:
    rows = [MetadataResponseTopic(0, "open", OPEN_ID), MetadataResponseTopic(0, "secret", SECRET_ID)]
    return MetadataResponse(topics=rows, cluster_authorized_operations=264)


async def test_a_list_of_all_topics_leaves_out_what_may_not_be_known(stand: Any) -> None:
    answer = await stand.ask(MetadataRequest(None), MAY_READ, stand.Handler(listing()))

    assert [row.name for row in answer.topics] == ["open"]


async def test_topics_that_are_named_are_denied_one_by_one(stand: Any) -> None:
    names = [MetadataRequestTopic("open"), MetadataRequestTopic("secret"), MetadataRequestTopic("no such topic")]
    handler = stand.Handler()

    answer = await stand.ask(MetadataRequest(names), MAY_READ, handler)

    assert [(row.name, row.error_code, row.topic_id) for row in answer.topics] == [
        ("open", 0, None),
        ("secret", DENIED, None),
        ("no such topic", DENIED, None),
    ]
    assert handler.seen.topics == names[:1]


async def test_brokers_are_told_also_when_no_topic_may_be(stand: Any) -> None:
    handler = stand.Handler(MetadataResponse(cluster_id="it"))

    answer = await stand.ask(MetadataRequest([MetadataRequestTopic("secret")]), [], handler)

    assert (answer.cluster_id, answer.topics[0].error_code) == ("it", DENIED)
    assert handler.seen.topics == []


async def test_a_topic_named_by_id_is_denied_without_its_name(stand: Any) -> None:
    ids = [MetadataRequestTopic(None, SECRET_ID), MetadataRequestTopic(None, UNKNOWN_ID)]
    handler = stand.Handler(MetadataResponse(topics=[MetadataResponseTopic(100, None, UNKNOWN_ID)]))

    answer = await stand.ask(MetadataRequest(ids), MAY_READ, handler)

    assert [(row.name, row.topic_id, row.error_code) for row in answer.topics] == [
        (None, UNKNOWN_ID, 100),
        (None, SECRET_ID, DENIED),
    ]
    assert handler.seen.topics == ids[1:]


@pytest.mark.parametrize(
    ("rights", "allow", "enabled", "code"),
    [
        ([], True, True, DENIED),
        ([(TOPIC, "new", CREATE)], True, True, 0),
        ([(CLUSTER, ON_CLUSTER, CREATE)], True, True, 0),
        ([], False, True, 0),
        ([], True, False, 0),
    ],
)
async def test_a_topic_is_made_only_for_those_who_may_create_it(
    stand: Any, rights: list[Any], allow: bool, enabled: bool, code: int
) -> None:
    stand.config.auto_create_topics = enabled

    answer = await stand.ask(MetadataRequest([MetadataRequestTopic("new")], allow), [(TOPIC, "new", DESCRIBE), *rights])

    assert answer.topics[0].error_code == code


async def test_operations_on_the_cluster_are_for_those_who_may_describe_it(stand: Any) -> None:
    request = MetadataRequest([], include_cluster_authorized_operations=True)
    describe = DescribeClusterRequest(True)
    described = DescribeClusterResponse(cluster_authorized_operations=264)
    may = [(CLUSTER, ON_CLUSTER, DESCRIBE)]

    assert (await stand.ask(request, may, stand.Handler(listing()))).cluster_authorized_operations == 264
    assert (await stand.ask(request, [], stand.Handler(listing()))).cluster_authorized_operations == 0
    assert (await stand.ask(describe, may, stand.Handler(described))).cluster_authorized_operations == 264
    assert (await stand.ask(describe, [], stand.Handler(described))).cluster_authorized_operations == 0


# DescribeTopicPartitions


@pytest.mark.parametrize(
    ("rights", "cursor", "seen"),
    [
        ([], None, None),
        (["open"], None, (["open"], None)),
        (["open", "secret"], None, (["open", "secret"], None)),
        (["open", "secret"], Cursor("secret", 4), (["secret"], Cursor("secret", 4))),
        (["secret"], Cursor("open", 4), (["secret"], None)),
        (["open"], Cursor("secret", 4), None),
    ],
)
async def test_pages_of_all_topics_are_pages_of_those_allowed(
    stand: Any, rights: list[str], cursor: Cursor | None, seen: Any
) -> None:
    handler = stand.Handler()

    answer = await stand.ask(
        DescribeTopicPartitionsRequest(cursor=cursor), [(TOPIC, name, DESCRIBE) for name in rights], handler
    )

    if seen is None:
        assert (handler.seen, answer.topics) == (None, [])
    else:
        assert handler.seen == DescribeTopicPartitionsRequest([TopicRequest(name) for name in seen[0]], cursor=seen[1])


# CreateTopics, DeleteTopics


async def test_topics_are_created_by_right_on_the_cluster_or_the_topic(stand: Any) -> None:
    request = CreateTopicsRequest([CreatableTopic("a", 1), CreatableTopic("b", 1)])

    one = await stand.ask(request, [(TOPIC, "a", CREATE)])
    both = await stand.ask(request, [(CLUSTER, ON_CLUSTER, CREATE)])

    assert {row.name: row.error_code for row in one.topics} == {"a": 0, "b": DENIED}
    assert {row.name: row.error_code for row in both.topics} == {"a": 0, "b": 0}


async def test_configs_of_what_was_created_are_for_those_who_may_describe_them(stand: Any) -> None:
    def created() -> CreateTopicsResponse:
        row = CreatableTopicResult(
            "a", num_partitions=3, replication_factor=1, configs=[CreatableTopicConfigs("x", "y")]
        )
        return CreateTopicsResponse([row])

    request = CreateTopicsRequest([CreatableTopic("a", 3)])
    without = (await stand.ask(request, [(TOPIC, "a", CREATE)], stand.Handler(created()))).topics[0]
    rights = [(TOPIC, "a", CREATE), (TOPIC, "a", Operation.DESCRIBE_CONFIGS)]
    with_it = (await stand.ask(request, rights, stand.Handler(created()))).topics[0]

    assert (without.error_code, without.topic_config_error_code) == (0, DENIED)
    assert (without.num_partitions, without.replication_factor, without.configs) == (-1, -1, [])
    assert (with_it.topic_config_error_code, with_it.num_partitions, len(with_it.configs)) == (0, 3, 1)


@pytest.mark.parametrize(
    ("state", "rights", "code", "name"),
    [
        (DeleteTopicState("secret"), [], DENIED, "secret"),
        (DeleteTopicState("secret"), [(TOPIC, "secret", DESCRIBE)], DENIED, "secret"),
        (DeleteTopicState("secret"), [(TOPIC, "secret", DELETE)], 0, "secret"),
        (DeleteTopicState("secret"), [(CLUSTER, ON_CLUSTER, DELETE)], 0, "secret"),
        (DeleteTopicState(None, SECRET_ID), [], DENIED, None),
        (DeleteTopicState(None, SECRET_ID), [(TOPIC, "secret", DESCRIBE)], DENIED, "secret"),
        (DeleteTopicState(None, SECRET_ID), [(TOPIC, "secret", DELETE)], 0, "secret"),
        (DeleteTopicState(None, UNKNOWN_ID), [], 0, None),  # the handler says that it is unknown
    ],
)
async def test_topics_are_deleted(stand: Any, state: Any, rights: list[Any], code: int, name: str | None) -> None:
    answer = await stand.ask(DeleteTopicsRequest([state]), rights)

    assert [(row.name, row.topic_id, row.error_code) for row in answer.responses] == [(name, state.topic_id, code)]


# Fetch


def fetch(*topics: str, session_id: int = 0, epoch: int = 0) -> FetchRequest:
    rows = [FetchTopic(name, None, [FetchPartition(0, 7)]) for name in topics]
    return FetchRequest(topics=rows, session_id=session_id, session_epoch=epoch)


def fetched(*topics: str, session_id: int = 9) -> FetchResponse:
    return FetchResponse(
        session_id=session_id, responses=[FetchableTopicResponse(n, None, [PartitionData(0)]) for n in topics]
    )


async def test_a_fetch_of_what_may_be_read_begins_a_session(stand: Any) -> None:
    handler = stand.Handler(fetched("open"))

    answer = await stand.ask(fetch("open"), MAY_READ, handler)

    assert (answer.session_id, handler.seen.session_epoch) == (9, 0)


async def test_a_fetch_of_what_may_not_be_read_gets_no_session(stand: Any) -> None:
    handler = stand.Handler(fetched("open", session_id=0))

    answer = await stand.ask(fetch("open", "secret"), MAY_READ, handler)

    assert (handler.seen.session_id, handler.seen.session_epoch) == (0, -1)
    assert [(row.topic, row.partitions[0].error_code) for row in answer.responses] == [("open", 0), ("secret", DENIED)]
    assert answer.responses[1].partitions[0].high_watermark == -1


@pytest.mark.parametrize(
    ("asked", "answered"), [(["secret"], []), ([], ["secret"]), ([], ["open", "secret"])], ids=["new", "old", "both"]
)
async def test_a_session_with_what_may_not_be_read_is_lost(stand: Any, asked: list[str], answered: list[str]) -> None:
    answer = await stand.ask(fetch(*asked, session_id=9, epoch=5), MAY_READ, stand.Handler(fetched(*answered)))

    assert (answer.error_code, answer.session_id, answer.responses) == (70, 0, [])


async def test_what_was_withdrawn_while_a_fetch_waited_is_not_told(stand: Any) -> None:
    handler = stand.Handler(
        FetchResponse(responses=[FetchableTopicResponse("secret", None, [PartitionData(3, 0, 99)])])
    )

    answer = await stand.ask(fetch("open"), MAY_READ, handler)

    assert answer.responses[0].partitions == [PartitionData(3, DENIED)]


async def test_other_brokers_may_ask_for_leader_epochs(stand: Any) -> None:
    rows = [stand.message(23, "OffsetForLeaderTopic", topic=name) for name in ("open", "secret")]
    request = stand.request(23, topics=rows)

    client = await stand.ask(request, [(TOPIC, "open", DESCRIBE)])
    broker = stand.Handler()
    await stand.ask(request, [(CLUSTER, ON_CLUSTER, Operation.CLUSTER_ACTION)], broker)

    assert [row.topic for row in client.topics] == ["open", "secret"]
    assert broker.seen is request


async def test_sessions_of_the_broker_itself(guarded: Any) -> None:
    """With the real handler: a session, its topic taken away, and the client's way back."""
    from broker_embedded.wire.messages.security import DeleteAclsFilter, DeleteAclsRequest

    for name in ("a", "b"):
        await guarded.root.ask(CreateTopicsRequest([CreatableTopic(name, 1)]))
        await guarded.root.allow("User:ada", TOPIC, name, READ)

    async def ask(*topics: str, session_id: int = 0, epoch: int = 0) -> FetchResponse:
        request = fetch(*topics, session_id=session_id, epoch=epoch)
        request.max_wait_ms = 0
        for row in request.topics:
            row.partitions[0].fetch_offset = 0
        answer: FetchResponse = await guarded.ada.ask(request, version=12)
        return answer

    full = await ask("a", "b")
    assert full.session_id > 0
    assert (await ask(session_id=full.session_id, epoch=1)).error_code == 0

    await guarded.root.ask(DeleteAclsRequest([DeleteAclsFilter(2, "b", None, None, 1, 1)]))
    assert (await ask("b", session_id=full.session_id, epoch=2)).error_code == 70
    again = await ask("a", "b")

    assert (again.error_code, again.session_id) == (0, 0)
    assert {row.topic: row.partitions[0].error_code for row in again.responses} == {"a": 0, "b": DENIED}
