"""confluent-kafka (librdkafka) in every mode, the same steps on both brokers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

confluent = pytest.importorskip("confluent_kafka", reason="comes with the extra `test`")
from confluent_kafka import (  # noqa: E402
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
    admin,
)

from tests.interop.targets import Broker  # noqa: E402
from tests.interop.waiting import eventually  # noqa: E402

NewName = Callable[[str], str]
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PROTOCOLS = ("classic", "consumer")
WAIT_S = 20.0


@pytest.fixture(scope="module")
def admin_client(target: Broker) -> admin.AdminClient:
    return admin.AdminClient({"bootstrap.servers": target.bootstrap})


@pytest.fixture
def topic(admin_client: admin.AdminClient, new_name: NewName) -> str:
    name = new_name("confluent")
    admin_client.create_topics([admin.NewTopic(name, 2, 1)])[name].result(WAIT_S)
    wanted = TopicCollection([name])
    eventually(lambda: _code_of(lambda: admin_client.describe_topics(wanted)[name].result(WAIT_S)), None)
    return name


def produce(target: Broker, topic: str, rows: list[dict[str, Any]], **config: Any) -> list[Message]:
    """The delivery reports, in the order of the rows."""
    producer = Producer({"bootstrap.servers": target.bootstrap, **config})
    reports: dict[int, Message] = {}

    def delivered(index: int) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            reports[index] = message

        return report

    for index, row in enumerate(rows):
        producer.produce(topic, on_delivery=delivered(index), **row)
    assert producer.flush(WAIT_S) == 0
    return [reports[index] for index in range(len(rows))]


@contextmanager
def consumer(target: Broker, group: str, **config: Any) -> Iterator[Consumer]:
    settings = {
        "bootstrap.servers": target.bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        **config,
    }
    with closing(Consumer(settings)) as opened:
        yield opened


def consume(opened: Consumer, count: int) -> list[Message]:
    """The next `count` messages; fails when they do not come."""
    found: list[Message] = []
    deadline = time.monotonic() + WAIT_S
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} messages came"
        message = opened.poll(0.1)
        if message is not None:
            assert message.error() is None, message.error()
            found.append(message)
    return found


def wait_until(reached: Callable[[], bool], *polled: Consumer) -> None:
    deadline = time.monotonic() + WAIT_S
    while not reached():
        assert time.monotonic() < deadline, "not reached"
        for opened in polled:
            message = opened.poll(0.05)
            assert message is None or message.error() is None, message


@pytest.mark.parametrize("codec", CODECS)
def test_codecs(target: Broker, topic: str, new_name: NewName, codec: str) -> None:
    values = [b"x" * 100 + str(index).encode() for index in range(200)]
    rows = [{"value": value, "partition": 0} for value in values]
    produce(target, topic, rows, **{"compression.type": codec, "linger.ms": 20})
    with consumer(target, new_name("group")) as opened:
        opened.assign([TopicPartition(topic, 0, 0)])
        assert [message.value() for message in consume(opened, len(values))] == values


@pytest.mark.parametrize(
    "settings", [{"acks": "0"}, {"acks": "1"}, {"acks": "all"}, {"enable.idempotence": True}], ids=str
)
def test_acks(target: Broker, topic: str, new_name: NewName, settings: dict[str, Any]) -> None:
    reports = produce(target, topic, [{"value": b"v", "partition": 1}] * 3, **settings)
    if settings != {"acks": "0"}:
        assert [report.offset() for report in reports] == [0, 1, 2]
    with consumer(target, new_name("group")) as opened:
        opened.assign([TopicPartition(topic, 1, 0)])
        assert [message.offset() for message in consume(opened, 3)] == [0, 1, 2]


def test_everything_in_a_record(target: Broker, topic: str, new_name: NewName) -> None:
    rows: list[dict[str, Any]] = [
        {"key": b"k", "value": b"v", "headers": [("a", b"1"), ("a", None), ("b", b"")], "timestamp": 1_700_000_000_000},
        {"key": None, "value": None, "headers": [], "timestamp": 1_700_000_000_001},
        {"key": b"", "value": b"", "headers": [], "timestamp": 1_600_000_000_000},
        {"key": "ключ".encode(), "value": bytes(900_000), "headers": [], "timestamp": 1_700_000_000_002},
    ]
    produce(target, topic, [row | {"partition": 0} for row in rows])
    with consumer(target, new_name("group")) as opened:
        opened.assign([TopicPartition(topic, 0, 0)])
        found = [
            {"key": m.key(), "value": m.value(), "headers": m.headers() or [], "timestamp": m.timestamp()[1]}
            for m in consume(opened, len(rows))
        ]
    assert found == rows


def test_log_append_time(target: Broker, admin_client: admin.AdminClient, new_name: NewName) -> None:
    name = new_name("append-time")
    config = {"message.timestamp.type": "LogAppendTime"}
    admin_client.create_topics([admin.NewTopic(name, 1, 1, config=config)])[name].result(WAIT_S)
    before = int(time.time() * 1000)
    produce(target, name, [{"value": b"v", "timestamp": 1}])
    with consumer(target, new_name("group")) as opened:
        opened.assign([TopicPartition(name, 0, 0)])
        kind, timestamp = consume(opened, 1)[0].timestamp()
    assert kind == confluent.TIMESTAMP_LOG_APPEND_TIME
    assert before <= timestamp <= int(time.time() * 1000)


def test_offsets_and_watermarks(target: Broker, topic: str, new_name: NewName) -> None:
    produce(target, topic, [{"value": b"v", "partition": 0, "timestamp": 1000 * i} for i in range(1, 6)])
    with consumer(target, new_name("group")) as opened:
        assert opened.get_watermark_offsets(TopicPartition(topic, 0), timeout=WAIT_S) == (0, 5)
        asked = [TopicPartition(topic, 0, 2500), TopicPartition(topic, 0, 9_999_999), TopicPartition(topic, 1, 0)]
        for partition, expected in zip(asked, (2, -1, -1), strict=True):
            assert opened.offsets_for_times([partition], timeout=WAIT_S)[0].offset == expected
        assert opened.committed([TopicPartition(topic, 0)], timeout=WAIT_S)[0].offset == confluent.OFFSET_INVALID


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_group_goes_on_where_it_left(target: Broker, topic: str, new_name: NewName, protocol: str) -> None:
    group = new_name("group")
    produce(target, topic, [{"value": str(index).encode(), "partition": index % 2} for index in range(10)])
    with consumer(target, group, **{"group.protocol": protocol}) as opened:
        opened.subscribe([topic])
        first = consume(opened, 10)
        opened.commit(asynchronous=False)
        committed = opened.committed([TopicPartition(topic, p) for p in range(2)], timeout=WAIT_S)
        assert [partition.offset for partition in committed] == [5, 5]
    produce(target, topic, [{"value": b"late", "partition": 0}])
    with consumer(target, group, **{"group.protocol": protocol}) as opened:
        opened.subscribe([topic])
        assert [message.value() for message in consume(opened, 1)] == [b"late"]
    assert sorted(int(message.value() or b"") for message in first) == list(range(10))


def _assigned(*members: Consumer) -> list[int]:
    return [len(member.assignment()) for member in members]


STRATEGIES = [("classic", "range"), ("classic", "roundrobin"), ("classic", "cooperative-sticky")]
STRATEGIES += [("consumer", "range"), ("consumer", "uniform")]


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "strategy"), STRATEGIES)
def test_rebalance_of_two(target: Broker, topic: str, new_name: NewName, protocol: str, strategy: str) -> None:
    group = new_name("group")
    key = "partition.assignment.strategy" if protocol == "classic" else "group.remote.assignor"
    config = {"group.protocol": protocol, key: strategy}
    if protocol == "classic":
        config["heartbeat.interval.ms"] = "100"
    with consumer(target, group, **config) as first:
        first.subscribe([topic])
        wait_until(lambda: _assigned(first) == [2], first)
        with consumer(target, group, **config) as second:
            second.subscribe([topic])
            wait_until(lambda: _assigned(first, second) == [1, 1], first, second)
        wait_until(lambda: _assigned(first) == [2], first)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_static_member_comes_back(
    target: Broker, topic: str, admin_client: admin.AdminClient, new_name: NewName, protocol: str
) -> None:
    group = new_name("group")
    config = {"group.protocol": protocol, "group.instance.id": "one"}
    for _ in range(2):
        with consumer(target, group, **config) as opened:
            opened.subscribe([topic])
            wait_until(lambda opened=opened: _assigned(opened) == [2], opened)
            described = admin_client.describe_consumer_groups([group])[group].result(WAIT_S)
            assert [member.group_instance_id for member in described.members] == ["one"]
            assert described.type.name == protocol.upper()
    described = admin_client.describe_consumer_groups([group])[group].result(WAIT_S)
    assert len(described.members) == 1, "a static member leaves its place to its next life"


def _transactional(target: Broker, transactional_id: str) -> Producer:
    producer = Producer({"bootstrap.servers": target.bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(WAIT_S)
    return producer


def test_transactions(target: Broker, topic: str, new_name: NewName) -> None:
    producer = _transactional(target, new_name("transaction"))
    for index, ending in enumerate(["commit", "abort", "commit"]):
        producer.begin_transaction()
        producer.produce(topic, f"{ending}-{index}", partition=0)
        producer.flush(WAIT_S)
        (producer.commit_transaction if ending == "commit" else producer.abort_transaction)(WAIT_S)
    seen = {}
    for isolation, count in (("read_committed", 2), ("read_uncommitted", 3)):
        with consumer(target, new_name("group"), **{"isolation.level": isolation}) as opened:
            opened.assign([TopicPartition(topic, 0, 0)])
            seen[isolation] = [(m.offset(), m.value()) for m in consume(opened, count)]
    assert seen == {
        "read_committed": [(0, b"commit-0"), (4, b"commit-2")],
        "read_uncommitted": [(0, b"commit-0"), (2, b"abort-1"), (4, b"commit-2")],
    }


def test_open_transaction_holds_back(
    target: Broker, topic: str, admin_client: admin.AdminClient, new_name: NewName
) -> None:
    producer = _transactional(target, new_name("transaction"))
    producer.begin_transaction()
    producer.produce(topic, "open", partition=0)
    assert producer.flush(WAIT_S) == 0
    end = admin.OffsetSpec.latest()
    asked = {TopicPartition(topic, 0): end}
    offsets = {}
    for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
        (answer,) = admin_client.list_offsets(asked, isolation_level=level).values()
        offsets[level.name] = answer.result(WAIT_S).offset
    assert offsets == {"READ_COMMITTED": 0, "READ_UNCOMMITTED": 1}
    producer.abort_transaction(WAIT_S)


def test_fenced_producer(target: Broker, topic: str, new_name: NewName) -> None:
    transactional_id = new_name("transaction")
    old = _transactional(target, transactional_id)
    old.begin_transaction()
    old.produce(topic, "old", partition=0)
    old.flush(WAIT_S)
    new = _transactional(target, transactional_id)
    with pytest.raises(KafkaException) as caught:
        old.commit_transaction(WAIT_S)
    assert caught.value.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
    new.begin_transaction()
    new.produce(topic, "new", partition=0)
    new.commit_transaction(WAIT_S)
    with consumer(target, new_name("group"), **{"isolation.level": "read_committed"}) as opened:
        opened.assign([TopicPartition(topic, 0, 0)])
        assert [message.value() for message in consume(opened, 1)] == [b"new"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_consume_transform_produce(target: Broker, topic: str, new_name: NewName, protocol: str) -> None:
    group, output = new_name("group"), new_name("output")
    produce(target, topic, [{"value": str(index).encode(), "partition": 0} for index in range(20)])
    producer = _transactional(target, new_name("transaction"))
    for ending in ("abort", "commit", "commit"):
        with consumer(target, group, **{"group.protocol": protocol, "isolation.level": "read_committed"}) as opened:
            opened.subscribe([topic])
            producer.begin_transaction()
            for message in consume(opened, 10):
                producer.produce(output, message.value(), partition=0)
            positions = opened.position([TopicPartition(topic, 0)])
            producer.send_offsets_to_transaction(positions, opened.consumer_group_metadata(), WAIT_S)
            (producer.commit_transaction if ending == "commit" else producer.abort_transaction)(WAIT_S)
    with consumer(target, new_name("group"), **{"isolation.level": "read_committed"}) as opened:
        opened.assign([TopicPartition(output, 0, 0)])
        assert [int(message.value() or b"") for message in consume(opened, 20)] == list(range(20))


def test_topics(target: Broker, admin_client: admin.AdminClient, new_name: NewName) -> None:
    name = new_name("topic")
    new = admin.NewTopic(name, 3, 1, config={"cleanup.policy": "compact"})
    admin_client.create_topics([new])[name].result(WAIT_S)
    with pytest.raises(KafkaException) as caught:
        admin_client.create_topics([new])[name].result(WAIT_S)
    assert caught.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    admin_client.create_partitions([admin.NewPartitions(name, 5)])[name].result(WAIT_S)

    def describe() -> admin.TopicDescription:
        return admin_client.describe_topics(TopicCollection([name]))[name].result(WAIT_S)

    eventually(lambda: len(describe().partitions), 5)
    described = describe()
    assert (described.name, described.is_internal) == (name, False)
    assert [(p.id, [r.id for r in p.replicas] == [p.leader.id]) for p in described.partitions] == [
        (index, True) for index in range(5)
    ]
    admin_client.delete_topics([name])[name].result(WAIT_S)
    eventually(lambda: _code_of(describe), KafkaError.UNKNOWN_TOPIC_OR_PART)


def _code_of(asking: Callable[[], Any]) -> int | None:
    """The error that asking ends with; None without one."""
    try:
        asking()
    except KafkaException as error:
        code: int = error.args[0].code()
        return code
    return None


REFUSED = [
    ({"topic": "a b"}, KafkaError.TOPIC_EXCEPTION),
    ({"topic": "x" * 250}, KafkaError.TOPIC_EXCEPTION),
    ({"num_partitions": 0}, KafkaError.INVALID_PARTITIONS),
    ({"replication_factor": 7}, KafkaError.INVALID_REPLICATION_FACTOR),
    ({"config": {"cleanup.policy": "keep"}}, KafkaError.INVALID_CONFIG),
    ({"config": {"no.such.config": "1"}}, KafkaError.INVALID_CONFIG),
    ({"config": {"retention.ms": "soon"}}, KafkaError.INVALID_CONFIG),
]


@pytest.mark.parametrize(("wrong", "code"), REFUSED, ids=str)
def test_refused_topics(admin_client: admin.AdminClient, new_name: NewName, wrong: dict[str, Any], code: int) -> None:
    new = {"topic": new_name("refused"), "num_partitions": 1, "replication_factor": 1} | wrong
    (answer,) = admin_client.create_topics([admin.NewTopic(**new)]).values()
    with pytest.raises(KafkaException) as caught:
        answer.result(WAIT_S)
    assert caught.value.args[0].code() == code


def test_configs(admin_client: admin.AdminClient, topic: str) -> None:
    def described() -> dict[str, tuple[str, str]]:
        resource = admin.ConfigResource(admin.ResourceType.TOPIC, topic)
        entries = admin_client.describe_configs([resource])[resource].result(WAIT_S)
        return {name: (entry.value, admin.ConfigSource(entry.source).name) for name, entry in entries.items()}

    def altered(name: str, value: str | None, operation: admin.AlterConfigOpType) -> None:
        entry = admin.ConfigEntry(name, value, incremental_operation=operation)
        resource = admin.ConfigResource(admin.ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin_client.incremental_alter_configs([resource])[resource].result(WAIT_S)

    operations = admin.AlterConfigOpType
    eventually(lambda: described()["retention.ms"], ("604800000", "DEFAULT_CONFIG"))
    altered("retention.ms", "1000", operations.SET)
    eventually(lambda: described()["retention.ms"], ("1000", "DYNAMIC_TOPIC_CONFIG"))
    altered("retention.ms", None, operations.DELETE)
    eventually(lambda: described()["retention.ms"], ("604800000", "DEFAULT_CONFIG"))
    altered("cleanup.policy", "compact", operations.APPEND)
    eventually(lambda: described()["cleanup.policy"], ("delete,compact", "DYNAMIC_TOPIC_CONFIG"))
    altered("cleanup.policy", "delete", operations.SUBTRACT)
    eventually(lambda: described()["cleanup.policy"], ("compact", "DYNAMIC_TOPIC_CONFIG"))
    with pytest.raises(KafkaException) as caught:
        altered("retention.ms", "soon", operations.SET)
    assert caught.value.args[0].code() == KafkaError.INVALID_CONFIG


def test_broker_configs_and_cluster(admin_client: admin.AdminClient) -> None:
    cluster = admin_client.describe_cluster(include_authorized_operations=True).result(WAIT_S)
    assert cluster.cluster_id and len(cluster.nodes) == 1
    resource = admin.ConfigResource(admin.ResourceType.BROKER, str(cluster.nodes[0].id))
    entries = admin_client.describe_configs([resource])[resource].result(WAIT_S)
    assert entries["log.segment.bytes"].value == "1073741824"
    assert entries["num.partitions"].value == "1"


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_groups_from_outside(
    target: Broker, topic: str, admin_client: admin.AdminClient, new_name: NewName, protocol: str
) -> None:
    group = new_name("group")
    produce(target, topic, [{"value": b"v", "partition": 0}] * 5)
    with consumer(target, group, **{"group.protocol": protocol, "client.id": "reader"}) as opened:
        opened.subscribe([topic])
        consume(opened, 5)
        opened.commit(asynchronous=False)
        described = admin_client.describe_consumer_groups([group])[group].result(WAIT_S)
        assert (described.state.name, described.is_simple_consumer_group) == ("STABLE", False)
        (member,) = described.members
        assert member.client_id == "reader"
        assert [(p.topic, p.partition) for p in member.assignment.topic_partitions] == [(topic, 0), (topic, 1)]
        listed = {g.group_id: g for g in admin_client.list_consumer_groups().result(WAIT_S).valid}
        assert (listed[group].state.name, listed[group].type.name) == ("STABLE", protocol.upper())
        with pytest.raises(KafkaException) as caught:
            admin_client.delete_consumer_groups([group])[group].result(WAIT_S)
        assert caught.value.args[0].code() == KafkaError.NON_EMPTY_GROUP
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
    offsets = admin_client.list_consumer_group_offsets([asked])[group].result(WAIT_S)
    assert [partition.offset for partition in offsets.topic_partitions] == [5]
    reset = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 2)])
    admin_client.alter_consumer_group_offsets([reset])[group].result(WAIT_S)
    offsets = admin_client.list_consumer_group_offsets([asked])[group].result(WAIT_S)
    assert [partition.offset for partition in offsets.topic_partitions] == [2]
    admin_client.delete_consumer_groups([group])[group].result(WAIT_S)
    listed = {g.group_id: g for g in admin_client.list_consumer_groups().result(WAIT_S).valid}
    assert group not in listed


def test_delete_records(target: Broker, topic: str, admin_client: admin.AdminClient, new_name: NewName) -> None:
    produce(target, topic, [{"value": str(index).encode(), "partition": 0} for index in range(5)])
    (answer,) = admin_client.delete_records([TopicPartition(topic, 0, 3)]).values()
    assert answer.result(WAIT_S).low_watermark == 3
    with consumer(target, new_name("group")) as opened:
        opened.assign([TopicPartition(topic, 0, 0)])
        assert [message.value() for message in consume(opened, 2)] == [b"3", b"4"]
    (answer,) = admin_client.delete_records([TopicPartition(topic, 0, 9)]).values()
    with pytest.raises(KafkaException) as caught:
        answer.result(WAIT_S)
    assert caught.value.args[0].code() == KafkaError.OFFSET_OUT_OF_RANGE


def test_acls(admin_client: admin.AdminClient, new_name: NewName) -> None:
    name = new_name("guarded")
    pattern = (admin.ResourceType.TOPIC, name, admin.ResourcePatternType.LITERAL)
    rule = ("User:nobody", "*", admin.AclOperation.READ, admin.AclPermissionType.ALLOW)
    admin_client.create_acls([admin.AclBinding(*pattern, *rule)])[admin.AclBinding(*pattern, *rule)].result(WAIT_S)
    anything = admin.AclBindingFilter(*pattern, None, None, admin.AclOperation.ANY, admin.AclPermissionType.ANY)
    eventually(lambda: admin_client.describe_acls(anything).result(WAIT_S), [admin.AclBinding(*pattern, *rule)])
    assert admin_client.delete_acls([anything])[anything].result(WAIT_S) == [admin.AclBinding(*pattern, *rule)]
    eventually(lambda: admin_client.describe_acls(anything).result(WAIT_S), [])


def test_scram_users(admin_client: admin.AdminClient, new_name: NewName) -> None:
    user = new_name("user")
    info = admin.ScramCredentialInfo(admin.ScramMechanism.SCRAM_SHA_256, 4096)
    upsert = admin.UserScramCredentialUpsertion(user, info, b"secret")
    admin_client.alter_user_scram_credentials([upsert])[user].result(WAIT_S)

    def infos() -> list[tuple[str, int]]:
        described = admin_client.describe_user_scram_credentials([user])[user].result(WAIT_S)
        return [(info.mechanism.name, info.iterations) for info in described.scram_credential_infos]

    eventually(lambda: _code_of(infos), None)
    assert infos() == [("SCRAM_SHA_256", 4096)]
    delete = admin.UserScramCredentialDeletion(user, admin.ScramMechanism.SCRAM_SHA_256)
    admin_client.alter_user_scram_credentials([delete])[user].result(WAIT_S)
    eventually(lambda: _code_of(infos), KafkaError.RESOURCE_NOT_FOUND)


def test_auto_created_topic(target: Broker, new_name: NewName) -> None:
    name = new_name("auto")
    assert [report.offset() for report in produce(target, name, [{"value": b"v"}])] == [0]
