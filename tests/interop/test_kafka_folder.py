"""One data folder, opened by our broker and by Apache Kafka in turns: each finds all that the other has left.

A turn does everything that leaves something behind, and checks first what all turns before have left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

confluent = pytest.importorskip("confluent_kafka", reason="comes with the extra `test`")
from confluent_kafka import (  # noqa: E402
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    Producer,
    TopicCollection,
    TopicPartition,
    admin,
)

from broker_embedded.cluster import Cluster  # noqa: E402
from broker_embedded.lock import FolderInUseError, FolderLock  # noqa: E402
from broker_embedded.metadata import BROKER_RESOURCE, GROUP_RESOURCE, NewTopic  # noqa: E402
from tests.interop import apache_kafka  # noqa: E402
from tests.interop.java_needed import require_java  # noqa: E402
from tests.interop.targets import Broker, OurBroker, assert_answers, new_broker  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WAIT_S = 20.0
PARTITIONS = 3
GROWING = "growing"
CONFIGS = "kafka.admin.ConfigCommand"
ONE = ("--entity-type", "brokers", "--entity-name", "1")
ALL = ("--entity-type", "brokers", "--entity-default")
GROUP = ("--entity-type", "groups", "--entity-name", "readers")
USER = ("--entity-type", "users", "--entity-name", "alice")


@dataclass
class Left:
    """What must be found."""

    ids: dict[str, str] = field(default_factory=dict)
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    records: dict[str, list[list[bytes]]] = field(default_factory=dict)
    offsets: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)
    acls: set[tuple[str, str]] = field(default_factory=set)
    growing: int = 0
    producer_ids: set[int] = field(default_factory=set)


class Turn:
    """A client of the broker whose turn it is."""

    def __init__(self, broker: Broker, left: Left, number: int) -> None:
        self.broker, self.left, self.number = broker, left, number
        self.admin = admin.AdminClient({"bootstrap.servers": broker.bootstrap})

    def work(self) -> None:
        self._abort_open()
        name = f"flights-{self.number}"
        self._create(name, PARTITIONS, {"retention.ms": str(-1), "segment.bytes": str(1 << 20 | self.number)})
        self._create(f"doomed-{self.number}", 2, {})
        self.admin.delete_topics([f"doomed-{self.number}"])[f"doomed-{self.number}"].result(WAIT_S)
        self._grow()
        self._alter(name, "max.message.bytes", str(2_000_000 + self.number))
        self._alter(name, "segment.bytes", None)
        self._produce(name)
        self._transact(name)
        self._commit_offsets(name)
        self._secure()
        self._leave_open(name)

    def _create(self, name: str, partitions: int, configs: dict[str, str]) -> None:
        topic = admin.NewTopic(name, partitions, 1, config=configs)
        self.admin.create_topics([topic])[name].result(WAIT_S)
        if not name.startswith("doomed"):
            self.left.ids[name] = self._topic_id(name)
            self.left.configs[name] = dict(configs)
            self.left.records[name] = [[] for _ in range(partitions)]

    def _topic_id(self, name: str) -> str:
        found = self.admin.describe_topics(TopicCollection([name]))[name].result(WAIT_S)
        return str(found.topic_id)

    def _grow(self) -> None:
        if self.left.growing == 0:
            self.admin.create_topics([admin.NewTopic(GROWING, 1, 1)])[GROWING].result(WAIT_S)
            self.left.growing = 1
            return
        self.left.growing += 1
        self.admin.create_partitions([admin.NewPartitions(GROWING, self.left.growing)])[GROWING].result(WAIT_S)

    def _alter(self, topic: str, name: str, value: str | None) -> None:
        operation = admin.AlterConfigOpType.DELETE if value is None else admin.AlterConfigOpType.SET
        entry = admin.ConfigEntry(name, value, incremental_operation=operation)
        resource = admin.ConfigResource(admin.ResourceType.TOPIC, topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result(WAIT_S)
        if value is None:
            del self.left.configs[topic][name]
        else:
            self.left.configs[topic][name] = value

    def _produce(self, topic: str) -> None:
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True})
        for index in range(30):
            self._send(producer, topic, index % PARTITIONS, f"{self.number}-{index}".encode(), kept=True)
        assert producer.flush(WAIT_S) == 0

    def _send(self, producer: Producer, topic: str, partition: int, value: bytes, *, kept: bool) -> None:
        producer.produce(topic, value, partition=partition)
        if kept:
            self.left.records[topic][partition].append(value)

    def _transact(self, topic: str) -> None:
        """The same producer at every turn: it goes on where it was."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "transactional.id": "relay"})
        producer.init_transactions(WAIT_S)
        group = f"transactional-{self.number}"
        for commit in (True, False, True):
            producer.begin_transaction()
            for partition in range(PARTITIONS):
                for known in list(self.left.records):
                    self._send(producer, known, partition, f"t{self.number}".encode(), kept=commit)
            if commit:
                with closing(Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": group})) as consumer:
                    offsets = [TopicPartition(topic, 0, 5)]
                    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), WAIT_S)
                producer.commit_transaction(WAIT_S)
                self.left.offsets[group] = {(topic, 0): 5}
            else:
                producer.flush(WAIT_S)
                producer.abort_transaction(WAIT_S)

    def _leave_open(self, topic: str) -> None:
        """A transaction that goes on when the broker ends; the next one aborts it."""
        self.open = Producer({"bootstrap.servers": self.broker.bootstrap, "transactional.id": "open"})
        self.open.init_transactions(WAIT_S)
        self.open.begin_transaction()
        self._send(self.open, topic, 0, b"never seen", kept=False)
        assert self.open.flush(WAIT_S) == 0

    def _abort_open(self) -> None:
        """What follows it in the log can be read then."""
        Producer({"bootstrap.servers": self.broker.bootstrap, "transactional.id": "open"}).init_transactions(WAIT_S)

    def _commit_offsets(self, topic: str) -> None:
        group = f"group-{self.number}"
        row = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 1, 7), TopicPartition(topic, 2, 8)])
        self.admin.alter_consumer_group_offsets([row])[group].result(WAIT_S)
        self.left.offsets[group] = {(topic, 1): 7, (topic, 2): 8}

    def _secure(self) -> None:
        user, gone = f"user-{self.number}", f"user-{self.number - 1}"
        iterations = admin.ScramCredentialInfo(admin.ScramMechanism.SCRAM_SHA_256, 4096)
        changes: list[Any] = [admin.UserScramCredentialUpsertion(user, iterations, b"secret")]
        # Removed on ours only: a Kafka that reads a removal at its start may forget every user (ScramDelta.apply).
        if gone in self.left.users and isinstance(self.broker, OurBroker):
            changes.append(admin.UserScramCredentialDeletion(gone, admin.ScramMechanism.SCRAM_SHA_256))
            self.left.users.discard(gone)
        for future in self.admin.alter_user_scram_credentials(changes).values():
            future.result(WAIT_S)
        self.left.users.add(user)
        acl = admin.AclBinding(
            admin.ResourceType.TOPIC,
            f"private-{self.number}",
            admin.ResourcePatternType.PREFIXED,
            f"User:{user}",
            "*",
            admin.AclOperation.READ,
            admin.AclPermissionType.ALLOW,
        )
        self.admin.create_acls([acl])[acl].result(WAIT_S)
        self.left.acls.add((acl.name, acl.principal))

    def check(self) -> None:
        topics = self.admin.list_topics(timeout=WAIT_S).topics
        expected = {*self.left.ids} | ({GROWING} if self.left.growing else set())
        assert {name for name in topics if not name.startswith("__")} == expected
        for name, topic_id in self.left.ids.items():
            assert self._topic_id(name) == topic_id
            assert self._configs(name) == self.left.configs[name]
            assert self._read(name, len(topics[name].partitions)) == self.left.records[name]
        if self.left.growing:
            assert len(topics[GROWING].partitions) == self.left.growing
        for group, offsets in self.left.offsets.items():
            assert self._offsets(group) == offsets
        described = self.admin.describe_user_scram_credentials().result(WAIT_S)
        assert set(described) == self.left.users
        assert self._acls() == self.left.acls

    def _configs(self, topic: str) -> dict[str, str]:
        resource = admin.ConfigResource(admin.ResourceType.TOPIC, topic)
        found = self.admin.describe_configs([resource])[resource].result(WAIT_S)
        own = admin.ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        return {name: entry.value for name, entry in found.items() if entry.source == own}

    def _read(self, topic: str, partitions: int) -> list[list[bytes]]:
        config = {
            "bootstrap.servers": self.broker.bootstrap,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
        values: list[list[bytes]] = [[] for _ in range(partitions)]
        left = set(range(partitions))
        with closing(Consumer(config)) as consumer:
            consumer.assign([TopicPartition(topic, partition, 0) for partition in left])
            while left:
                message = consumer.poll(WAIT_S)
                assert message is not None, f"nothing more of {topic} {left}"
                if message.error() is None:
                    values[message.partition()].append(message.value())
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    left.discard(message.partition())
        return values

    def _offsets(self, group: str) -> dict[tuple[str, int], int]:
        found = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(WAIT_S)
        return {(row.topic, row.partition): row.offset for row in found.topic_partitions}

    def _acls(self) -> set[tuple[str, str]]:
        everything = admin.AclBindingFilter(
            admin.ResourceType.ANY,
            None,
            admin.ResourcePatternType.ANY,
            None,
            None,
            admin.AclOperation.ANY,
            admin.AclPermissionType.ANY,
        )
        return {(acl.name, acl.principal) for acl in self.admin.describe_acls(everything).result(WAIT_S)}


def wait_for_leaders(broker: Broker) -> None:
    """Kafka listens before it leads its partitions."""
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        topics = client.list_topics(timeout=WAIT_S).topics.values()
        if all(partition.leader >= 0 for topic in topics for partition in topic.partitions.values()):
            return
    raise AssertionError("some partitions have no leader")


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Plays turns over one folder: each a broker and how it ends."""
    require_java()
    left, running = Left(), []

    def take_turns(*turns: tuple[str, str], **config: str) -> None:
        for number, (name, end) in enumerate(turns):
            broker = new_broker(name, tmp_path, config)
            broker.start()
            running.append(broker)
            assert_answers(broker)
            wait_for_leaders(broker)
            turn = Turn(broker, left, number)
            turn.check()
            turn.work()
            turn.check()
            running.remove(broker)
            getattr(broker, end)()

    yield take_turns
    for broker in running:
        broker.kill()


@pytest.mark.parametrize(("first", "end"), [("ours", "kill"), ("kafka", "stop")])
def test_there_and_back_twice(play: Callable[..., None], first: str, end: str) -> None:
    second = {"ours": "kafka", "kafka": "ours"}[first]
    play((first, end), (second, end), (first, end), (second, end), (first, "stop"))


def test_a_dynamic_quorum_opens_ours(play: Callable[..., None]) -> None:
    """The log says who votes (KIP-853), with an address that is not right any more."""
    quorum = {"controller.quorum.voters": "", "controller.quorum.bootstrap.servers": "127.0.0.1:9"}
    play(("ours", "stop"), ("kafka", "stop"), ("ours", "stop"), **quorum)


def test_kafka_holds_its_folder(tmp_path: Path) -> None:
    require_java()
    kafka = new_broker("kafka", tmp_path)
    kafka.start()
    try:
        with pytest.raises(FolderInUseError, match="in use by another process"):
            Cluster.open(kafka.data_dir)
    finally:
        kafka.stop()
    FolderLock.take(kafka.data_dir).release()


def configure(tools: apache_kafka.Tools, broker: Broker, action: str, change: str, *entity: str) -> None:
    done = tools.run(CONFIGS, "--bootstrap-server", broker.bootstrap, "--alter", action, change, *entity)
    assert done.code == 0, done.err


def describe(tools: apache_kafka.Tools, broker: Broker, *entity: str) -> str:
    done = tools.run(CONFIGS, "--bootstrap-server", broker.bootstrap, "--describe", *entity)
    assert done.code == 0, done.err
    return done.out


async def test_configs_and_quotas(tmp_path: Path, tools: apache_kafka.Tools) -> None:
    """Those that Kafka has set are in our metadata, and the other way round."""
    kafka = new_broker("kafka", tmp_path)
    kafka.start()
    configure(tools, kafka, "--add-config", "log.cleaner.threads=2", *ONE)
    configure(tools, kafka, "--add-config", "log.retention.ms=7000000", *ALL)
    configure(tools, kafka, "--add-config", "consumer.session.timeout.ms=50000", *GROUP)
    configure(tools, kafka, "--add-config", "producer_byte_rate=1024,consumer_byte_rate=2048", *USER)
    configure(tools, kafka, "--delete-config", "consumer_byte_rate", *USER)
    kafka.stop()

    cluster = Cluster.open(kafka.data_dir)
    metadata = cluster.metadata
    assert metadata.broker_configs(1) == {"log.cleaner.threads": "2"}
    assert metadata.broker_configs()["log.retention.ms"] == "7000000"
    assert metadata.group_configs("readers") == {"consumer.session.timeout.ms": "50000"}
    assert metadata.quotas == {(("user", "alice"),): {"producer_byte_rate": 1024.0}}
    assert metadata.features["share.version"] == 1
    metadata.set_configs(BROKER_RESOURCE, "1", {"log.cleaner.threads": None, "background.threads": "12"})
    metadata.set_configs(GROUP_RESOURCE, "readers", {"consumer.session.timeout.ms": "55000"})
    metadata.set_quotas((("user", "alice"),), {"consumer_byte_rate": 4096.0, "producer_byte_rate": None})
    await cluster.close()

    kafka.start()
    wait_for_leaders(kafka)
    assert "background.threads=12" in describe(tools, kafka, *ONE)
    assert "log.cleaner.threads=2 " not in describe(tools, kafka, *ONE)
    assert "consumer.session.timeout.ms=55000" in describe(tools, kafka, *GROUP)
    quotas = describe(tools, kafka, *USER)
    assert "consumer_byte_rate=4096.0" in quotas
    assert "producer_byte_rate" not in quotas
    kafka.stop()


async def test_kafkas_tool_reads_our_metadata(tmp_path: Path, tools: apache_kafka.Tools) -> None:
    """A log and a snapshot, by DumpLogSegments."""
    cluster = Cluster.open(tmp_path)
    metadata = cluster.metadata
    metadata.create_topics([NewTopic("flights", uuid4(), 3, {"retention.ms": "-1"})])
    metadata.put_scram("alice", 1, salt=b"s", stored_key=b"k", server_key=b"v", iterations=4096)
    log = tmp_path / "__cluster_metadata-0" / f"{0:020d}.log"
    shown = dump(tools, log)
    metadata.remove_scram("alice", 1)  # makes a snapshot
    (snapshot,) = log.parent.glob("*.checkpoint")
    summary = dump(tools, snapshot)
    await cluster.close()
    for output in (shown, summary):
        assert "isvalid: false" not in output
        assert '"type":"TOPIC_RECORD","version":0,"data":{"name":"flights"' in output
        assert output.count('"type":"PARTITION_RECORD","version":1') == 5
    assert '"type":"USER_SCRAM_CREDENTIAL_RECORD"' in shown
    assert "USER_SCRAM" not in summary
    assert "SnapshotFooter" in summary


def dump(tools: apache_kafka.Tools, file: Path) -> str:
    main = "org.apache.kafka.tools.DumpLogSegments"
    done = tools.run(main, "--cluster-metadata-decoder", "--deep-iteration", "--files", str(file))
    assert (done.code, done.err) == (0, "")
    return done.out
