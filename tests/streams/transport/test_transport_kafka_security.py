"""An app's settings of a connection, as aiokafka's clients take them; on Apache Kafka in tests/interop."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

import broker_embedded
from broker_embedded import Listener
from broker_embedded.security.listeners import SecurityProtocol
from broker_embedded.security.tls import Tls
from streams.config import load_settings
from streams.errors import ConfigError
from streams.transport.kafka import KafkaTransport
from streams.transport.kafka.security import security_of
from streams.transport.opening import open_transport


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.issue_cert("ada@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return folder


async def test_a_certificate_for_each_other(files: Path) -> None:
    tls = Tls(
        keystore_location=files / "server.pem",
        truststore_certificates=(files / "ca.pem").read_text(),
        client_auth="required",
    )
    with broker_embedded.running(listeners=[Listener("TLS", protocol=SecurityProtocol.SSL, tls=tls)]) as broker:
        values = {
            "broker": f"kafka://{broker.broker.address('TLS')}",
            "security.protocol": "SSL",
            "ssl.ca.location": str(files / "ca.pem"),
            "ssl.certificate.location": str(files / "client.pem"),
        }
        transport, _ = await open_transport(load_settings("secure", values, environment={}))
        assert "secure" not in await transport.topics()
        await transport.stop()


async def test_times_and_names_reach_the_connection() -> None:
    values = {
        "broker": "kafka://127.0.0.1:1",
        "client.id": "shop-client",
        "request.timeout.ms": 7,
        "default.api.timeout.ms": 8,
        "reconnect.backoff.ms": 9,
        "metadata.max.age.ms": 10,
    }
    settings = load_settings("shop", values, environment={})
    from streams.transport import opening

    transport = opening._kafka(settings)
    assert isinstance(transport, KafkaTransport)
    timing = transport.connection._timing
    assert (timing.request_timeout_ms, timing.retry_timeout_ms, timing.reconnect_backoff_ms) == (7, 8, 9)
    assert timing.metadata_max_age_ms == 10
    assert transport.connection._client_id == "shop-client"


def ready() -> ssl.SSLContext:
    return ssl.create_default_context()


def test_a_ready_context() -> None:
    context = ready()
    assert security_of({"security.protocol": "SSL", "ssl.context": context})["ssl_context"] is context
    assert isinstance(security_of({"security.protocol": "SSL", "ssl.context": ready})["ssl_context"], ssl.SSLContext)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"security.protocol": "SASL_SSL"}, "needs a user"),
        ({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI"}, "pip install gssapi"),
        (
            {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER"},
            r"needs sasl\.oauth\.token\.provider",
        ),
        (
            {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "OAUTHBEARER",
                "sasl.oauth.token.provider": "nowhere:token",
            },
            "is to be module:attribute",
        ),
        ({"security.protocol": "SSL", "ssl.context": str}, r"is to be an ssl\.SSLContext"),
        ({"security.protocol": "SSL", "ssl.cipher.suites": "NONE-SUCH"}, r"TLS \(NONE-SUCH\)"),
        ({"security.protocol": "SSL", "ssl.ca.location": "/none.pem"}, r"TLS \(/none\.pem\)"),
    ],
)
def test_what_does_not_fit(properties: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.transport.kafka.security.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=says):
        security_of(properties)


def test_kerberos_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.transport.kafka.security.find_spec", lambda name: object())
    found = security_of(
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI", "sasl.kerberos.service.name": "broker"}
    )
    assert (found["sasl_mechanism"], found["sasl_kerberos_service_name"]) == ("GSSAPI", "broker")
