"""Kill -9 while several clients produce: nothing acknowledged is lost, nothing is doubled, transactions are whole.

INTEROP_SEEDS says how many times, 3 if it does not.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

confluent = pytest.importorskip("confluent_kafka", reason="comes with the extra `test`")
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

from tests.interop.targets import Broker, new_broker  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SEEDS = range(int(os.environ.get("INTEROP_SEEDS", "3")))
PRODUCERS = 3
PARTITIONS = 2
KILLS = 3
WAIT_S = 60.0
PATIENT = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 0}
Value = tuple[str, int]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = new_broker("ours", tmp_path)
    broker.start()
    yield broker
    broker.stop()


class Sender:
    """An idempotent producer of ever larger numbers, and which of them were acknowledged."""

    def __init__(self, broker: Broker, name: str, **config: Any) -> None:
        settings = {"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 1}
        self.name = name
        self.config = settings | PATIENT | config
        self.producer = Producer(self.config)
        self.acknowledged: set[Value] = set()
        self.sent = 0

    def send(self, topic: str, partition: int) -> Value:
        value = (self.name, self.sent)
        self.sent += 1
        self.producer.produce(topic, f"{self.name} {value[1]}", partition=partition, on_delivery=self._delivered(value))
        return value

    def _delivered(self, value: Value) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.acknowledged.add(value)

        return delivered


class Transactions(Sender):
    """Transactions over all partitions: which were committed, which were aborted; what is in neither may be either."""

    def __init__(self, broker: Broker, name: str) -> None:
        super().__init__(broker, name, **{"transactional.id": name, "transaction.timeout.ms": 30_000})
        self.producer.init_transactions(WAIT_S)
        self.committed: set[Value] = set()
        self.aborted: set[Value] = set()
        self.all: list[set[Value]] = []

    def begin(self, topic: str) -> None:
        self.producer.begin_transaction()
        self.all.append({self.send(topic, partition) for partition in range(PARTITIONS) for _ in range(2)})

    def end(self, commits: bool) -> None:
        try:
            if commits:
                _insist(self.producer.commit_transaction)
                self.committed |= self.all[-1]
                return
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
        try:
            _insist(self.producer.abort_transaction)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.INVALID_TXN_STATE:
                raise
            # The broker was killed before it heard of the transaction; librdkafka ends it all the same, and gives up.
            self.producer = Producer(self.config)
            self.producer.init_transactions(WAIT_S)
        self.aborted |= self.all[-1]


def _insist(ending: Callable[[float], Any]) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            ending(5.0)
            return
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > deadline:
                raise


def read(broker: Broker, topic: str) -> list[list[Value]]:
    """What a reader of committed records finds, by partition."""
    config = {"bootstrap.servers": broker.bootstrap, "group.id": "check", "isolation.level": "read_committed"}
    found: list[list[Value]] = []
    with closing(Consumer(config | {"enable.partition.eof": True})) as consumer:
        for partition in range(PARTITIONS):
            consumer.assign([TopicPartition(topic, partition, 0)])
            found.append(list(_until_end(consumer)))
    return found


def _until_end(consumer: Consumer) -> Iterator[Value]:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error() is not None:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            return
        name, number = (message.value() or b"").decode().split()
        yield name, int(number)
    raise AssertionError("the end did not come")


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_acknowledged_is_lost(broker: Broker, seed: int) -> None:
    rng = Random(seed)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for created in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in ("plain", "whole")]).values():
        created.result(WAIT_S)
    senders = [Sender(broker, f"plain-{index}") for index in range(PRODUCERS)]
    transactions = Transactions(broker, "whole")
    for _ in range(KILLS):
        _produce(rng, senders, transactions, until=rng.randrange(50, 500))
        for _ in range(rng.randrange(20)):
            for sender in senders:
                sender.send("plain", rng.randrange(PARTITIONS))
        transactions.begin("whole")
        with ThreadPoolExecutor(1) as pool:  # killed in a transaction, or while that ends
            ending = pool.submit(transactions.end, commits=rng.random() < 0.8)
            broker.kill()
            broker.start()
            ending.result()
    _produce(rng, senders, transactions, until=100)
    for sender in senders:
        assert sender.producer.flush(WAIT_S) == 0, "what was not acknowledged is sent again until it is"
    _check_plain(read(broker, "plain"), senders)
    _check_whole(read(broker, "whole"), transactions)


def _produce(rng: Random, senders: list[Sender], transactions: Transactions, until: int) -> None:
    """Until so many more were acknowledged, and with transactions in between."""
    start = sum(len(sender.acknowledged) for sender in senders)
    deadline = time.monotonic() + WAIT_S
    while sum(len(sender.acknowledged) for sender in senders) - start < until:
        assert time.monotonic() < deadline, "nothing is acknowledged any more"
        for sender in senders:
            if sender.sent - len(sender.acknowledged) < 1000:
                sender.send("plain", rng.randrange(PARTITIONS))
            sender.producer.poll(0)
        if rng.random() < 0.02:
            transactions.begin("whole")
            transactions.end(commits=rng.random() < 0.8)


def _check_plain(found: list[list[Value]], senders: list[Sender]) -> None:
    counts = Counter(value for partition in found for value in partition)
    assert max(counts.values()) == 1, [value for value, count in counts.items() if count > 1]
    for sender in senders:
        lost = sender.acknowledged - counts.keys()
        assert not lost, f"{len(lost)} of {len(sender.acknowledged)} are lost: {sorted(lost)[:10]}"
    for partition in found:
        for sender in senders:
            numbers = [number for name, number in partition if name == sender.name]
            assert numbers == sorted(numbers), "reordered"


def _check_whole(found: list[list[Value]], transactions: Transactions) -> None:
    counts = Counter(value for partition in found for value in partition)
    assert not counts or max(counts.values()) == 1
    assert transactions.committed <= counts.keys(), "committed and lost"
    assert not transactions.aborted & counts.keys(), "aborted and there"
    torn = [values for values in transactions.all if 0 < len(values & counts.keys()) < len(values)]
    assert not torn, "half a transaction"
