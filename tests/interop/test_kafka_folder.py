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

from tests.interop.conftest import require_java  # noqa: E402
from tests.interop.targets import Broker, OurBroker, assert_answers, new_broker  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WAIT_S = 20.0
PARTITIONS = 3
GROWING = "growing"


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


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("first", ["ours", "kafka"])
def test_there_and_back_twice(play: Callable[..., None], first: str, end: str) -> None:
    second = {"ours": "kafka", "kafka": "ours"}[first]
    play((first, end), (second, end), (first, end), (second, end), (first, "stop"))
