"""Kafka's Python clients against listeners with TLS, SASL and ACLs, over sockets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import AuthenticationFailedError, KafkaError, TopicAuthorizationFailedError
from confluent_kafka import Producer

from broker_embedded.broker import Broker
from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.security.acl_store import add
from broker_embedded.security.acls import Acl, Operation, PatternType, Permission, ResourceType
from broker_embedded.security.authorizer import STANDARD_AUTHORIZER
from broker_embedded.security.listeners import Listener, SecurityProtocol
from broker_embedded.security.scram import MECHANISMS, credential, salt_password
from broker_embedded.security.tls import Tls

SASL_PLAINTEXT, SASL_SSL, SSL = SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL, SecurityProtocol.SSL
SALT = b"0123456789abcdef"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    client = authority.issue_cert(
        "ada@example.org", common_name="ada", organization_name="Analytical", organization_unit_name="engines"
    )
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return folder


def tls(files: Path, **options: Any) -> Tls:
    trust = (files / "ca.pem").read_text()
    return Tls(keystore_location=files / "server.pem", truststore_certificates=trust, **options)


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    brokers: list[Broker] = []

    async def begin(*listeners: Listener, guarded: bool = False) -> Broker:
        properties = {"authorizer.class.name": STANDARD_AUTHORIZER} if guarded else {}
        config = BrokerConfig(auto_create_topics=True, group_initial_rebalance_delay_ms=0, properties=properties)
        broker = Broker(Cluster.open(tmp_path / "data", config=config), listeners)
        await broker.start()
        brokers.append(broker)
        for mechanism in MECHANISMS.values():
            kept = credential(mechanism, salt_password(mechanism, "difference", SALT, 4096), SALT, 4096)
            broker.cluster.metadata.put_scram("ada", mechanism.type, **kept._asdict())
        return broker

    yield begin
    for broker in brokers:
        await broker.stop()


def sasl_listener(protocol: SecurityProtocol, files: Path, **options: Any) -> Listener:
    return Listener(
        "IN",
        protocol=protocol,
        tls=tls(files) if protocol.has_tls else None,
        plain_users={"ada": "difference", "grace": "compiler"},
        **options,
    )


def as_user(
    mechanism: str, protocol: SecurityProtocol, files: Path, password: str = "difference", user: str = "ada"
) -> dict[str, Any]:
    import ssl

    context = ssl.create_default_context(cafile=str(files / "ca.pem")) if protocol.has_tls else None
    return {
        "security_protocol": protocol.value,
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
        "ssl_context": context,
        "retry_backoff_ms": 10,
    }


async def send(bootstrap: str, topic: str = "flights", **options: Any) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"one")
    finally:
        await producer.stop()


async def receive(bootstrap: str, topic: str = "flights", **options: Any) -> bytes:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", **options)
    try:
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        value: bytes = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


@pytest.mark.parametrize("protocol", [SASL_PLAINTEXT, SASL_SSL])
@pytest.mark.parametrize("mechanism", ["PLAIN", *MECHANISMS])
async def test_aiokafka_writes_and_reads(start: Start, files: Path, mechanism: str, protocol: SecurityProtocol) -> None:
    broker = await start(sasl_listener(protocol, files))
    options = as_user(mechanism, protocol, files)

    await send(broker.bootstrap_servers, **options)

    assert await receive(broker.bootstrap_servers, **options) == b"one"


@pytest.mark.parametrize("protocol", [SASL_PLAINTEXT, SASL_SSL])
@pytest.mark.parametrize("mechanism", ["PLAIN", *MECHANISMS])
async def test_confluent_kafka_writes(start: Start, files: Path, mechanism: str, protocol: SecurityProtocol) -> None:
    broker = await start(sasl_listener(protocol, files))

    def write() -> list[Any]:
        errors: list[Any] = []
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "security.protocol": protocol.value,
                "sasl.mechanism": mechanism,
                "sasl.username": "ada",
                "sasl.password": "difference",
                "ssl.ca.location": str(files / "ca.pem"),
            }
        )
        producer.produce("flights", b"one", on_delivery=lambda error, message: errors.append(error))
        producer.flush(10)
        return errors

    assert await asyncio.to_thread(write) == [None]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_a_wrong_password_is_told(start: Start, files: Path, mechanism: str) -> None:
    broker = await start(sasl_listener(SASL_PLAINTEXT, files))

    with pytest.raises((AuthenticationFailedError, KafkaError)):
        await send(broker.bootstrap_servers, **as_user(mechanism, SASL_PLAINTEXT, files, "guess"))


@pytest.mark.parametrize(
    ("rules", "principal"),
    [("DEFAULT", "User:CN=ada,OU=engines,O=Analytical"), ("RULE:^CN=(.*?),.*$/$1/U", "User:ADA")],
)
async def test_a_client_certificate_makes_a_principal(start: Start, files: Path, rules: str, principal: str) -> None:
    import ssl

    mutual = tls(files, client_auth="required", principal_mapping_rules=rules)
    broker = await start(Listener("IN", protocol=SSL, tls=mutual), guarded=True)
    add(
        broker.cluster,
        [
            Acl(kind, PatternType.LITERAL, "*", principal, "*", Operation.ALL, Permission.ALLOW)
            for kind in (ResourceType.TOPIC, ResourceType.CLUSTER)
        ],
    )
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    context.load_cert_chain(files / "client.pem")

    await send(broker.bootstrap_servers, security_protocol="SSL", ssl_context=context)

    assert broker.cluster.log("flights", 0).log_end_offset == 1


async def test_a_client_without_a_certificate_is_not_let_in(start: Start, files: Path) -> None:
    import ssl

    broker = await start(Listener("IN", protocol=SSL, tls=tls(files, client_auth="required")))
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))

    with pytest.raises(KafkaError):
        await send(broker.bootstrap_servers, security_protocol="SSL", ssl_context=context)


async def test_several_listeners_each_with_their_own_security(start: Start, files: Path) -> None:
    broker = await start(Listener("LOCAL"), sasl_listener(SASL_SSL, files), guarded=False)

    await send(broker.address("LOCAL"))

    options = as_user("SCRAM-SHA-512", SASL_SSL, files)
    assert await receive(broker.address("IN"), **options) == b"one"
    assert broker.address("LOCAL") != broker.address("IN")


async def test_acls_over_the_wire(start: Start, files: Path) -> None:
    broker = await start(sasl_listener(SASL_PLAINTEXT, files), guarded=True)

    def rule(principal: str, kind: ResourceType, name: str, operation: Operation) -> Acl:
        return Acl(kind, PatternType.LITERAL, name, principal, "*", operation, Permission.ALLOW)

    add(
        broker.cluster,
        [
            rule("User:ada", ResourceType.TOPIC, "flights", Operation.WRITE),
            rule("User:ada", ResourceType.TOPIC, "flights", Operation.CREATE),
            rule("User:grace", ResourceType.TOPIC, "flights", Operation.READ),
        ],
    )
    ada = as_user("PLAIN", SASL_PLAINTEXT, files)
    grace = as_user("PLAIN", SASL_PLAINTEXT, files, "compiler", "grace")

    await send(broker.bootstrap_servers, **ada)
    assert await receive(broker.bootstrap_servers, **grace) == b"one"
    with pytest.raises(TopicAuthorizationFailedError):
        await receive(broker.bootstrap_servers, **ada)
    with pytest.raises(TopicAuthorizationFailedError):
        await send(broker.bootstrap_servers, **grace)
    with pytest.raises(TopicAuthorizationFailedError):
        await send(broker.bootstrap_servers, "secret", **ada)
    assert "secret" not in broker.cluster.topics


# What clients do not do


class Wire:
    """Frames by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, broker: Broker) -> Wire:
        host, _, port = broker.bootstrap_servers.partition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def send(self, frame: bytes) -> bytes:
        """The answering frame; b"" when the connection is closed instead."""
        self.writer.write(struct.pack(">i", len(frame)) + frame)
        try:
            (size,) = struct.unpack(">i", await self.reader.readexactly(4))
            return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def request(self, api_key: int, version: int, body: bytes) -> bytes:
        return (await self.send(struct.pack(">hhih", api_key, version, 7, -1) + body))[4:]

    async def handshake(self, mechanism: str = "PLAIN", version: int = 1) -> bytes:
        return await self.request(17, version, struct.pack(">h", len(mechanism)) + mechanism.encode())

    def close(self) -> None:
        self.writer.close()


@pytest.fixture
async def wire(start: Start, files: Path) -> AsyncIterator[Wire]:
    broker = await start(sasl_listener(SASL_PLAINTEXT, files, connections_max_reauth_ms=60_000))
    connected = await Wire.connect(broker)
    yield connected
    connected.close()


METADATA = (3, 0, struct.pack(">i", 0))
TOKEN = b"\0ada\0difference"


async def test_nothing_is_served_before_authentication(wire: Wire) -> None:
    assert (await wire.request(18, 0, b""))[:2] == b"\0\0"
    assert await wire.request(*METADATA) == b""


async def test_nothing_is_served_between_handshake_and_token(wire: Wire) -> None:
    assert (await wire.handshake())[:2] == b"\0\0"
    assert await wire.request(*METADATA) == b""


async def test_tokens_without_headers_after_a_handshake_of_version_0(wire: Wire) -> None:
    assert (await wire.handshake(version=0))[:2] == b"\0\0"
    assert await wire.send(TOKEN) == b""  # four bytes of length, and nothing

    assert await wire.request(*METADATA) != b""


async def test_a_wrong_token_without_header_closes(wire: Wire) -> None:
    await wire.handshake(version=0)

    assert await wire.send(b"\0ada\0guess") == b""
    assert wire.reader.at_eof()


async def test_a_wrong_password_is_answered_and_then_the_connection_is_closed(wire: Wire) -> None:
    await wire.handshake()
    wrong = b"\0ada\0guess"

    answer = await wire.request(36, 1, struct.pack(">i", len(wrong)) + wrong)

    assert struct.unpack_from(">h", answer) == (58,)
    assert await wire.reader.read() == b""


async def test_an_unknown_mechanism_is_answered_and_then_the_connection_is_closed(wire: Wire) -> None:
    answer = await wire.handshake("GSSAPI")

    assert struct.unpack_from(">h", answer) == (33,)
    assert b"SCRAM-SHA-512" in answer
    assert await wire.reader.read() == b""


async def test_an_authentication_that_has_expired(start: Start, files: Path) -> None:
    broker = await start(sasl_listener(SASL_PLAINTEXT, files, connections_max_reauth_ms=60_000))
    wire = await Wire.connect(broker)
    now = broker.cluster.now_ms()
    broker.cluster.now_ms = lambda: now
    await wire.handshake()
    answer = await wire.request(36, 1, struct.pack(">i", len(TOKEN)) + TOKEN)
    assert struct.unpack_from(">q", answer, len(answer) - 8) == (60_000,)
    assert await wire.request(*METADATA) != b""

    broker.cluster.now_ms = lambda: now + 50_000  # in time
    await wire.handshake()
    await wire.request(36, 1, struct.pack(">i", len(TOKEN)) + TOKEN)
    broker.cluster.now_ms = lambda: now + 110_000
    assert await wire.request(*METADATA) != b""
    broker.cluster.now_ms = lambda: now + 110_001

    assert await wire.request(*METADATA) == b""
    wire.close()


async def test_large_frames_are_for_those_who_have_authenticated(wire: Wire) -> None:
    large = b"\0" * 600_000
    await wire.handshake()
    await wire.request(36, 1, struct.pack(">i", len(TOKEN)) + TOKEN)
    assert await wire.request(18, 0, large) != b""

    assert await wire.handshake() != b""  # within a second: it stays authenticated
    assert await wire.request(18, 0, large) != b""


async def test_a_large_frame_before_authentication_closes(wire: Wire) -> None:
    assert await wire.request(18, 0, b"\0" * 600_000) == b""
