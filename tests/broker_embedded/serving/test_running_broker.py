"""A broker for tests, in a thread of its own: for clients of every kind, in a loop and without one."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer

import broker_embedded
from broker_embedded import Broker, BrokerConfig, Fault, Listener
from broker_embedded.errors import InvalidConfigError
from broker_embedded.lock import FolderInUseError

NOT_LEADER = 6

pytest_plugins = ["pytester"]


async def with_aiokafka(address: str) -> list[bytes]:
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait("flights", b"EWR")
    async with AIOKafkaConsumer("flights", bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
        return [(await consumer.getone()).value]


def with_confluent(address: str) -> list[bytes]:
    producer = Producer({"bootstrap.servers": address})
    producer.produce("flights", b"EWR")
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": address, "group.id": "tests", "auto.offset.reset": "earliest"})
    consumer.subscribe(["flights"])
    try:
        return [message.value() for message in consumer.consume(1, 30)]
    finally:
        consumer.close()


def with_kafka_python(address: str) -> list[bytes]:
    from kafka import KafkaConsumer, KafkaProducer  # whose import warns

    with KafkaProducer(bootstrap_servers=address) as producer:
        producer.send("flights", b"EWR").get(30)
    consumer = KafkaConsumer("flights", bootstrap_servers=address, auto_offset_reset="earliest")
    try:
        return [next(consumer).value]
    finally:
        consumer.close()


@pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")
@pytest.mark.parametrize("client", [with_confluent, with_kafka_python])
def test_ready_for_clients_without_a_loop(client: Any, broker: broker_embedded.RunningBroker) -> None:
    assert client(broker.bootstrap_servers) == [b"EWR"]


async def test_ready_for_clients_in_a_loop(broker: broker_embedded.RunningBroker) -> None:
    assert await with_aiokafka(broker.bootstrap_servers) == [b"EWR"]


def test_without_a_block(tmp_path: Path) -> None:
    broker = broker_embedded.running(tmp_path)
    assert repr(broker) == f"<broker not running, data in {tmp_path}>"
    with pytest.raises(
        RuntimeError, match=r"not running yet: `with broker_embedded\.running\(\) as broker:`, or start"
    ):
        broker.bootstrap_servers  # noqa: B018 - reading it is the test
    assert broker.start() is broker
    try:
        assert repr(broker) == f"<broker at {broker.bootstrap_servers}, data in {tmp_path}>"
    finally:
        broker.stop()
    assert repr(broker) == f"<broker not running, data in {tmp_path}>"


def test_a_program_that_ends_leaves_nothing_in_memory() -> None:
    program = "import broker_embedded\nprint(broker_embedded.running().start().data_dir)"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ended.stderr == "" and not Path(ended.stdout.strip()).exists()


def test_what_the_package_offers_is_listed() -> None:
    assert dir(broker_embedded) == sorted(broker_embedded.__all__)


def test_a_given_folder_stays(tmp_path: Path) -> None:
    for _ in range(2):
        with broker_embedded.running(tmp_path) as broker:
            assert broker.data_dir == tmp_path
            with pytest.raises(FolderInUseError), broker_embedded.running(tmp_path):
                pass
    assert any(tmp_path.iterdir())


def test_its_own_folder_goes() -> None:
    with broker_embedded.running() as broker:
        assert broker.data_dir.is_dir()
    assert not broker.data_dir.exists()


def test_two_at_once() -> None:
    with broker_embedded.running() as one, broker_embedded.running() as other:
        assert one.bootstrap_servers != other.bootstrap_servers
        assert with_confluent(one.bootstrap_servers) == with_confluent(other.bootstrap_servers) == [b"EWR"]


def test_what_goes_wrong_at_the_start_is_raised_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        unlucky = broker_embedded.running(listeners=[Listener(port=taken.getsockname()[1])])
        with pytest.raises(OSError, match="address already in use"), unlucky:
            pass
    assert not unlucky.data_dir.exists()


def test_what_goes_wrong_in_the_end_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Broker.stop

    async def broken(broker: Broker) -> None:
        await stop(broker)
        raise ZeroDivisionError

    monkeypatch.setattr(Broker, "stop", broken)
    with pytest.raises(ZeroDivisionError), broker_embedded.running():
        pass


def test_many_starts_leave_no_threads() -> None:
    before = set(threading.enumerate())
    for _ in range(20):
        with broker_embedded.running():
            pass
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(
    "config",
    [
        BrokerConfig(auto_create_topics=True, num_partitions=3),
        {"num.partitions": "3"},  # topics are made when first used all the same
        {"num.partitions": 3, "auto.create.topics.enable": True},
    ],
    ids=["config", "settings", "values"],
)
def test_its_configuration(config: Any) -> None:
    with broker_embedded.running(config=config) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("flights", b"EWR")
        producer.flush(30)
        assert len(producer.list_topics("flights", 30).topics["flights"].partitions) == 3


def test_settings_may_take_back_what_tests_like() -> None:
    with broker_embedded.running(config={"auto.create.topics.enable": False}) as broker:
        assert not broker.broker.cluster.config.auto_create_topics
    with pytest.raises(InvalidConfigError, match=r"did you mean num\.partitions\?"):
        broker_embedded.running(config={"num.partitons": 3})


def test_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from confluent_kafka.admin import AdminClient

        def test_it(broker):
            found = AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=30)
            assert found.brokers[1].port == int(broker.bootstrap_servers.partition(":")[2])
    """)
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(passed=1)


# Clients ask again

FAULTS = [
    Fault(api_key=0, error=NOT_LEADER, times=2),
    Fault(api_key=0, close=True),
    Fault(api_key=0, topic="flights", close=True, after=True),
    Fault(api_key=3, delay_ms=5, times=3),
    Fault(client_id="tests", close=True),
    Fault(api_key=22, error=15),
]


def text(fault: Fault) -> str:
    kinds = {"api_key": fault.api_key, "error": fault.error, "close": fault.close, "after": fault.after}
    return ",".join(f"{name}={value}" for name, value in kinds.items() if value)


@pytest.mark.parametrize("fault", FAULTS, ids=text)
async def test_aiokafka_asks_again(fault: Fault, broker: broker_embedded.RunningBroker) -> None:
    options: dict[str, Any] = {"bootstrap_servers": broker.bootstrap_servers, "client_id": "tests"}
    async with AIOKafkaProducer(enable_idempotence=True, retry_backoff_ms=5, **options) as producer:
        broker.faults().add(fault)
        await producer.send_and_wait("flights", b"EWR")
    async with AIOKafkaConsumer("flights", auto_offset_reset="earliest", **options) as consumer:
        assert (await consumer.getone()).value == b"EWR"
        assert await consumer.end_offsets(consumer.assignment()) == dict.fromkeys(consumer.assignment(), 1)
    broker.faults().clear()


@pytest.mark.parametrize("fault", FAULTS, ids=text)
def test_confluent_asks_again(fault: Fault, broker: broker_embedded.RunningBroker) -> None:
    options = {"bootstrap.servers": broker.bootstrap_servers, "client.id": "tests", "retry.backoff.ms": 5}
    broker.faults().add(fault)
    producer = Producer({"enable.idempotence": True, "reconnect.backoff.ms": 5, **options})
    producer.produce("flights", b"EWR")
    assert producer.flush(30) == 0
    assert not broker.faults().waiting
    broker.faults().clear()
    consumer = Consumer({"group.id": "tests", "auto.offset.reset": "earliest", **options})
    consumer.subscribe(["flights"])
    assert [message.value() for message in consumer.consume(1, 30)] == [b"EWR"]
    consumer.close()
