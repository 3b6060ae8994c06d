"""The Kafka transport against our own broker over a socket; against a real Kafka in tests/interop."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

import broker_embedded
from broker_embedded import Listener, RunningBroker
from broker_embedded.security.listeners import SecurityProtocol
from broker_embedded.security.tls import Tls
from streams.testing.transport import CHECKS, Check, run_check
from streams.transport.contract import ConnectionLostError
from streams.transport.kafka import KafkaTransport


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with broker_embedded.running() as broker:
        yield broker.bootstrap_servers


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, address: str) -> None:
    await run_check(check, lambda: KafkaTransport(address))


async def test_nobody_there_is_named() -> None:
    transport = KafkaTransport("127.0.0.1:1")
    with pytest.raises(ConnectionLostError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        await transport.start()


USER = {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": "ada", "sasl_plain_password": "difference"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    pair = tmp_path_factory.mktemp("certificates") / "server.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pair)
    tls = Listener("TLS", protocol=SecurityProtocol.SSL, tls=Tls(keystore_location=pair))
    users = Listener("USERS", protocol=SecurityProtocol.SASL_PLAINTEXT, sasl_mechanisms=("SCRAM-SHA-512",))
    with broker_embedded.running(listeners=[tls, users]) as broker:
        yield broker


@pytest.mark.parametrize(
    ("listener", "security", "says"),
    [
        ("USERS", USER | {"sasl_mechanism": "SCRAM-SHA-512"}, r"does not let this client in .*are user and password"),
        ("USERS", USER | {"sasl_mechanism": "PLAIN"}, r"does not let this client in .*has its listener this sasl_mech"),
        ("USERS", {}, r"hangs up .*does it want TLS, or a user \(security_protocol\)\?"),
        (
            "TLS",
            {"security_protocol": "SSL", "ssl_context": ssl.create_default_context()},
            r"certificate of the Kafka broker .*ssl_ca_location",
        ),
    ],
    ids=["password", "mechanism", "no user", "certificate"],
)
async def test_who_is_not_let_in_learns_why(
    closed: RunningBroker, listener: str, security: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "aiokafka")  # what it logs is the reason
    transport = KafkaTransport(closed.broker.address(listener), security=security)
    with pytest.raises(ConnectionLostError, match=says):
        await transport.start()
