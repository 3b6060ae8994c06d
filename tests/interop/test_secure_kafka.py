"""Our transport on listeners of Apache Kafka with TLS and SASL, by an app's settings."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from broker_embedded import records
from streams.config import load_settings
from streams.transport.contract import ConnectionLostError, TopicPartition, TopicSpec, Transport
from streams.transport.opening import open_transport
from tests.interop.apache_kafka import ApacheKafka, free_port
from tests.interop.java_needed import require_java

pytestmark = pytest.mark.slow

USER = {"sasl_username": "ada", "sasl_password": "difference"}
_MODULE = "org.apache.kafka.common.security"
_LOGINS = {
    "plain": f'{_MODULE}.plain.PlainLoginModule required user_ada="difference";',
    "scram-sha-256": f"{_MODULE}.scram.ScramLoginModule required;",
    "scram-sha-512": f"{_MODULE}.scram.ScramLoginModule required;",
    "oauthbearer": f'{_MODULE}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
}

_AS_JAVA_READS_IT = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    for name, host in (("server", "127.0.0.1"), ("client", "ada@example.org"), ("elsewhere", "example.org")):
        issued = authority.issue_cert(host)
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
        (folder / f"{name}.pem").write_bytes(key.private_bytes(*_AS_JAVA_READS_IT) + chain)
    return folder


@pytest.fixture(scope="module")
def addresses(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A listener of each kind: without security, TLS, TLS that wants a certificate, with another name, with users."""
    require_java()
    kinds = {"PLAINTEXT": "PLAINTEXT", "SSL": "SSL", "MUTUAL": "SSL", "ELSEWHERE": "SSL", "SASL_SSL": "SASL_SSL"}
    found = {name: f"127.0.0.1:{free_port()}" for name in kinds}
    config = {
        "listeners": ",".join(f"{name}://{address}" for name, address in found.items()),
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT," + ",".join(f"{a}:{b}" for a, b in kinds.items()),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(files / "server.pem"),
        "listener.name.elsewhere.ssl.keystore.location": str(files / "elsewhere.pem"),
        "listener.name.elsewhere.ssl.keystore.type": "PEM",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(files / "ca.pem"),
        "listener.name.mutual.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "scram.users": "SCRAM-SHA-512=[name=ada,password=difference]",
    } | {f"listener.name.sasl_ssl.{name}.sasl.jaas.config": login for name, login in _LOGINS.items()}
    broker = ApacheKafka(tmp_path_factory.mktemp("secure"), config)
    broker.start()
    yield found
    broker.stop()


def token() -> str:
    """One that nobody has signed: Kafka's handler for tests takes it."""
    now = int(time.time())  # a fraction of a millisecond ahead of the broker's clock, and it is refused
    claims = [{"alg": "none"}, {"sub": "ada", "iat": now, "exp": now + 3600}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in claims) + "."


async def token_later() -> str:
    return token()


def ready_context() -> ssl.SSLContext:
    return ssl._create_unverified_context()


async def round_trip(address: str, **values: Any) -> list[bytes | None]:
    settings = load_settings("secure", {"broker": f"kafka://{address}", **values}, environment={})
    try:
        transport, _ = await open_transport(settings)
        try:
            return await sent_and_fetched(transport)
        finally:
            await transport.stop()
    finally:
        await sockets_closed()


async def sent_and_fetched(transport: Transport) -> list[bytes | None]:
    await transport.create([TopicSpec("secure", 1, {"retention.ms": "-1"})])
    tp = TopicPartition("secure", 0)
    producer = transport.producer()
    await producer.start()
    at = await producer.send(tp, records.encode([b"k"], [b"x" * 300_000], [0]))
    (fetched,) = await transport.fetch({tp: at}, wait_ms=10_000)
    return records.decode(fetched.data[0]).values()


async def sockets_closed() -> None:
    """TLS says goodbye before it closes: the socket of a loop that ends before is left to the collector."""
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]  # asyncio does not tell otherwise
    async with asyncio.timeout(10):
        while len(selector.get_map()) > 1:  # the loop's own
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("listener", "settings"),
    [
        ("SSL", {"security_protocol": "SSL"}),
        ("SSL", {"security_protocol": "SSL", "ssl_cipher_suites": "ECDHE+AESGCM"}),
        ("SSL", {"security_protocol": "SSL", "ssl_context": ready_context}),
        ("MUTUAL", {"security_protocol": "SSL", "ssl_certificate_location": "client.pem"}),
        ("ELSEWHERE", {"security_protocol": "SSL", "ssl_endpoint_identification_algorithm": ""}),
        ("SASL_SSL", {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", **USER}),
        ("SASL_SSL", {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", **USER}),
        *(
            (
                "SASL_SSL",
                {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": give},
            )
            for give in (token, token_later, f"{__name__}:token")
        ),
    ],
)
async def test_in(listener: str, settings: dict[str, Any], addresses: dict[str, str], files: Path) -> None:
    if "ssl_context" not in settings:
        settings = {"ssl_ca_location": str(files / "ca.pem")} | settings
    settings = {key: str(files / value) if value == "client.pem" else value for key, value in settings.items()}
    if isinstance(settings.get("sasl_oauth_token_provider"), str):
        settings["sasl_oauth_token_provider"] = "tests.interop.test_secure_kafka:token"
    assert await round_trip(addresses[listener], **settings) == [b"x" * 300_000]


@pytest.mark.parametrize(
    ("listener", "settings", "says"),
    [
        (
            "SASL_SSL",
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", **USER, "sasl_password": "wrong"},
            r"does not let this client in .*are user and password",
        ),
        (
            "SASL_SSL",
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-256", **USER},
            r"does not let this client in .*are user and password",
        ),
        (
            "SASL_SSL",
            {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "OAUTHBEARER",
                "sasl_oauth_token_provider": lambda: "no token",
            },
            r"does not let this client in .*the token, right",
        ),
        ("SSL", {"security_protocol": "SSL", "ssl_ca_location": "other.pem"}, r"does not pass .*ssl_ca_location"),
        ("ELSEWHERE", {"security_protocol": "SSL"}, r"does not pass .*is this address one of its names"),
        ("SSL", {"ssl_ca_location": ""}, r"does it want TLS"),
    ],
    ids=["password", "no such user", "token", "authority", "name", "no TLS"],
)
async def test_not_in(
    listener: str, settings: dict[str, Any], says: str, addresses: dict[str, str], files: Path
) -> None:
    settings = {"ssl_ca_location": "ca.pem", "request_timeout_ms": 5_000, "retry_timeout_ms": 100} | settings
    if settings["ssl_ca_location"]:
        settings["ssl_ca_location"] = str(files / settings["ssl_ca_location"])
    with pytest.raises(ConnectionLostError, match=says):
        await round_trip(addresses[listener], **settings)
