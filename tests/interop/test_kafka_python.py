"""kafka-python in every mode, the same steps on both brokers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import kafka.codec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    OffsetSpec,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.structs import OffsetAndMetadata

from tests.interop.targets import Broker
from tests.interop.waiting import eventually

NewName = Callable[[str], str]
WAIT_MS = 20_000


@pytest.fixture(scope="module")
def admin(target: Broker) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=target.bootstrap)) as client:
        yield client


@pytest.fixture
def topic(admin: KafkaAdminClient, new_name: NewName) -> str:
    name = new_name("kafka-python")
    admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    return name


def consumer(target: Broker, *topics: str, **config: Any) -> KafkaConsumer:
    settings = {
        "bootstrap_servers": target.bootstrap,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "heartbeat_interval_ms": 200,
    }
    opened = KafkaConsumer(*topics, **settings | config)
    for topic in topics:  # a group that forms before its leader knows the topic stays without partitions
        opened.partitions_for_topic(topic)
    return opened


def producer(target: Broker, **config: Any) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=target.bootstrap, **config)


def poll(opened: KafkaConsumer, count: int) -> list[Any]:
    """The next `count` records; fails when they do not come."""
    found: list[Any] = []
    deadline = time.monotonic() + WAIT_MS / 1000
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records came"
        for records in opened.poll(timeout_ms=100).values():
            found.extend(records)
    return found


def read(target: Broker, topic: str, count: int, partition: int = 0, **config: Any) -> list[Any]:
    with closing(consumer(target, **config)) as opened:
        opened.assign([TopicPartition(topic, partition)])
        return poll(opened, count)


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_codecs(target: Broker, topic: str, codec: str | None) -> None:
    if codec and not getattr(kafka.codec, f"has_{codec}")():
        pytest.skip(f"kafka-python has no library for {codec} here")
    with closing(producer(target, compression_type=codec, linger_ms=20)) as sender:
        for index in range(100):
            sender.send(topic, b"x" * 100 + str(index).encode(), partition=0)
    found = read(target, topic, 100)
    assert [record.value for record in found] == [b"x" * 100 + str(index).encode() for index in range(100)]


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_acks(target: Broker, topic: str, acks: int | str) -> None:
    with closing(producer(target, acks=acks, enable_idempotence=acks == "all")) as sender:
        sent = [sender.send(topic, b"v", partition=0).get(WAIT_MS / 1000) for _ in range(3)]
    if acks:
        assert [report.offset for report in sent] == [0, 1, 2]
    assert [record.offset for record in read(target, topic, 3)] == [0, 1, 2]


def test_everything_in_a_record(target: Broker, topic: str) -> None:
    with closing(producer(target)) as sender:
        sender.send(topic, b"v", b"k", [("a", b"1"), ("a", b"2"), ("b", b"")], 0, 1_700_000_000_000)
        sender.send(topic, None, b"", [], 0, 1_600_000_000_000)
    first, second = read(target, topic, 2)
    assert (first.key, first.value, list(first.headers)) == (b"k", b"v", [("a", b"1"), ("a", b"2"), ("b", b"")])
    assert (second.key, second.value) == (b"", None)
    assert (first.timestamp, second.timestamp, first.timestamp_type) == (1_700_000_000_000, 1_600_000_000_000, 0)


def test_positions(target: Broker, topic: str) -> None:
    partition, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with closing(producer(target)) as sender:
        for index in range(1, 6):
            sender.send(topic, b"v", partition=0, timestamp_ms=1000 * index)
    with closing(consumer(target)) as opened:
        assert opened.beginning_offsets([partition, empty]) == {partition: 0, empty: 0}
        assert opened.end_offsets([partition, empty]) == {partition: 5, empty: 0}
        found = opened.offsets_for_times({partition: 2500, empty: 0})
        assert (found[partition].offset, found[partition].timestamp, found[empty]) == (3 - 1, 3000, None)
        opened.assign([partition])
        opened.seek(partition, 99)
        opened.poll(timeout_ms=500)
        assert opened.position(partition) <= 5, "a position out of range starts again where auto_offset_reset says"


class Members:
    """Consumers that poll in threads until the test ends."""

    def __init__(self, target: Broker, topic: str, **config: Any) -> None:
        self._start = lambda **more: consumer(target, topic, **config | more)
        self._stop = threading.Event()
        self._left: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        self.assigned: list[set[TopicPartition]] = []

    def add(self, **config: Any) -> None:
        index = len(self._threads)
        self._left.append(threading.Event())
        self.assigned.append(set())
        self._threads.append(threading.Thread(target=self._poll, args=(index, config)))
        self._threads[-1].start()

    def _poll(self, index: int, config: dict[str, Any]) -> None:
        with closing(self._start(**config)) as opened:
            while not self._stop.is_set() and not self._left[index].is_set():
                opened.poll(timeout_ms=50)
                self.assigned[index] = opened.assignment()
        self.assigned[index] = set()

    def leave(self, index: int) -> None:
        self._left[index].set()
        self._threads[index].join()

    def wait_for(self, *counts: int) -> None:
        deadline = time.monotonic() + WAIT_MS / 1000
        while [len(partitions) for partitions in self.assigned] != list(counts):
            assert time.monotonic() < deadline, self.assigned
            self._stop.wait(0.02)
        assert sum(counts) == len(set().union(*self.assigned)), self.assigned

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_rebalance_of_two(target: Broker, topic: str, new_name: NewName) -> None:
    with Members(target, topic, group_id=new_name("group")) as members:
        members.add()
        members.wait_for(2)
        members.add()
        members.wait_for(1, 1)
        members.leave(0)
        members.wait_for(0, 2)


def test_static_members(target: Broker, topic: str, admin: KafkaAdminClient, new_name: NewName) -> None:
    group = new_name("group")
    with Members(target, topic, group_id=group) as members:
        members.add(group_instance_id="one")
        members.add(group_instance_id="two")
        members.wait_for(1, 1)
    described = admin.describe_groups([group])[group]
    assert sorted(member["group_instance_id"] for member in described["members"]) == ["one", "two"]


def test_group_goes_on_where_it_left(target: Broker, topic: str, new_name: NewName) -> None:
    group, partition = new_name("group"), TopicPartition(topic, 0)
    with closing(producer(target)) as sender:
        for index in range(10):
            sender.send(topic, str(index).encode(), partition=0)
    with closing(consumer(target, topic, group_id=group)) as opened:
        poll(opened, 10)
        opened.commit({partition: OffsetAndMetadata(7, "so far", -1)})
        assert opened.committed(partition) == 7
    with closing(consumer(target, topic, group_id=group)) as opened:
        assert [record.value for record in poll(opened, 3)] == [b"7", b"8", b"9"]
        assert opened.committed(partition, metadata=True).metadata == "so far"


def test_transactions(target: Broker, topic: str, new_name: NewName) -> None:
    with closing(producer(target, transactional_id=new_name("transaction"))) as sender:
        sender.init_transactions()
        for index, commits in enumerate([True, False, True]):
            sender.begin_transaction()
            sender.send(topic, str(index).encode(), partition=0).get(WAIT_MS / 1000)
            (sender.commit_transaction if commits else sender.abort_transaction)()
    committed = read(target, topic, 2, isolation_level="read_committed")
    everything = read(target, topic, 3)
    assert [(record.offset, record.value) for record in committed] == [(0, b"0"), (4, b"2")]
    assert [(record.offset, record.value) for record in everything] == [(0, b"0"), (2, b"1"), (4, b"2")]


def test_consume_transform_produce(target: Broker, topic: str, new_name: NewName) -> None:
    group, output = new_name("group"), new_name("output")
    with closing(producer(target)) as sender:
        for index in range(10):
            sender.send(topic, str(index).encode(), partition=0)
    with closing(producer(target, transactional_id=new_name("transaction"))) as sender:
        sender.init_transactions()
        for commits in (False, True):
            with closing(consumer(target, topic, group_id=group)) as opened:
                sender.begin_transaction()
                for record in poll(opened, 10):
                    sender.send(output, record.value, partition=0)
                offsets = {TopicPartition(topic, 0): OffsetAndMetadata(10, "", -1)}
                sender.send_offsets_to_transaction(offsets, opened.group_metadata())
                (sender.commit_transaction if commits else sender.abort_transaction)()
    found = read(target, output, 10, isolation_level="read_committed")
    assert [int(record.value) for record in found] == list(range(10))


def test_transactions_from_outside(target: Broker, topic: str, admin: KafkaAdminClient, new_name: NewName) -> None:
    name, partition = new_name("transaction"), TopicPartition(topic, 0)
    with closing(producer(target, transactional_id=name)) as sender:
        sender.init_transactions()
        sender.begin_transaction()
        sender.send(topic, b"v", partition=0).get(WAIT_MS / 1000)
        (found,) = admin.describe_transactions([name]).values()
        assert (found.state.value, found.topic_partitions) == ("Ongoing", {partition})
        listed = {row.transactional_id: row.state.value for rows in admin.list_transactions().values() for row in rows}
        assert listed[name] == "Ongoing"
        (active,) = admin.describe_producers([partition])[partition].active_producers
        assert (active.producer_id, active.current_transaction_start_offset) == (found.producer_id, 0)
        sender.commit_transaction()
        eventually(lambda: admin.describe_transactions([name])[name].state.value, "CompleteCommit")
        assert admin.describe_transactions([name])[name].topic_partitions == set()


def test_topics(admin: KafkaAdminClient, new_name: NewName) -> None:
    name = new_name("topic")
    admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "-1"}}})
    with pytest.raises(kafka_errors.TopicAlreadyExistsError):
        admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1}})
    admin.create_partitions({name: 4})
    eventually(lambda: len(admin.describe_topics([name])[0]["partitions"]), 4)
    assert name in admin.list_topics()
    admin.delete_topics([name])
    eventually(lambda: name in admin.list_topics(), False)


def test_configs(admin: KafkaAdminClient, topic: str) -> None:
    def value(name: str) -> str | None:
        described = admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")
        found: dict[str, Any] = described["topic"][topic]
        return found[name]["value"] if name in found else None

    eventually(lambda: value("segment.bytes"), "1073741824")
    admin.alter_configs([ConfigResource("TOPIC", topic, {"max.message.bytes": "2000"})])
    eventually(lambda: value("max.message.bytes"), "2000")


def test_groups_from_outside(target: Broker, topic: str, admin: KafkaAdminClient, new_name: NewName) -> None:
    group, partition = new_name("group"), TopicPartition(topic, 0)
    with Members(target, topic, group_id=group) as members:
        members.add(client_id="reader")
        members.wait_for(2)
        described = admin.describe_groups([group])[group]
        assert (described["group_state"], described["protocol_type"]) == ("Stable", "consumer")
        assert [member["client_id"] for member in described["members"]] == ["reader"]
        assert group in [row["group_id"] for row in admin.list_groups(states_filter=["Stable"])]
        assert admin.delete_groups([group]) == {group: "NonEmptyGroupError"}
    admin.alter_group_offsets(group, {partition: OffsetAndMetadata(0, "", -1)})
    assert admin.list_group_offsets({group: None})[group][partition].offset == 0
    admin.delete_group_offsets(group, [partition])
    assert admin.list_group_offsets({group: None})[group] == {}
    admin.delete_groups([group])
    assert group not in [row["group_id"] for row in admin.list_groups()]


def test_delete_records(target: Broker, topic: str, admin: KafkaAdminClient) -> None:
    partition = TopicPartition(topic, 0)
    with closing(producer(target)) as sender:
        for index in range(5):
            sender.send(topic, str(index).encode(), partition=0)
    assert admin.delete_records({partition: 3})[partition]["low_watermark"] == 3
    specs = {partition: OffsetSpec.EARLIEST}
    assert admin.list_partition_offsets(specs)[partition].offset == 3
    assert [record.offset for record in read(target, topic, 2)] == [3, 4]


def test_acls(admin: KafkaAdminClient, new_name: NewName) -> None:
    pattern = ResourcePattern(ResourceType.TOPIC, new_name("guarded"))
    rule = ("User:nobody", "*", ACLOperation.WRITE, ACLPermissionType.DENY)
    anything = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)
    assert len(admin.create_acls([ACL(*rule, pattern)])["succeeded"]) == 1
    eventually(lambda: admin.describe_acls(anything), ([ACL(*rule, pattern)], kafka_errors.NoError))
    admin.delete_acls([anything])
    eventually(lambda: admin.describe_acls(anything)[0], [])


def test_scram_users(admin: KafkaAdminClient, new_name: NewName) -> None:
    user, mechanism = new_name("user"), ScramMechanism.SCRAM_SHA_512
    admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, mechanism, "secret", iterations=8192)])

    def infos() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = admin.describe_user_scram_credentials([user])[user]["credential_infos"]
        return found

    eventually(infos, [{"mechanism": mechanism, "iterations": 8192}])
    admin.alter_user_scram_credentials([UserScramCredentialDeletion(user, mechanism)])
    eventually(infos, [])


def test_cluster(admin: KafkaAdminClient) -> None:
    described = admin.describe_cluster()
    (node,) = described["brokers"]
    assert described["controller_id"] == node["broker_id"]
    features = admin.describe_features()
    assert [features[name]["finalized"][1] for name in ("group.version", "transaction.version")] == [1, 2]


EMPTY = {
    "list_partition_reassignments": lambda admin: admin.list_partition_reassignments(),
    "find_hanging_transactions": lambda admin: admin.find_hanging_transactions(),
}


@pytest.mark.parametrize("ask", EMPTY.values(), ids=EMPTY)
def test_nothing_of_that_kind(admin: KafkaAdminClient, ask: Callable[[KafkaAdminClient], Any]) -> None:
    assert not ask(admin)


def test_log_dirs(admin: KafkaAdminClient, topic: str, target: Broker) -> None:
    text = str(admin.describe_log_dirs())
    assert str(target.data_dir) in text and topic in text
