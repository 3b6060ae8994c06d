"""Listeners out of Kafka's settings, and what is wrong with some."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from broker_embedded.security.listener_settings import ListenerConfigError, jaas_users, parse_listeners
from broker_embedded.security.listeners import Listener, SecurityProtocol, exposure_warning
from broker_embedded.security.tls import Tls, TlsConfigError

SASL_SSL, PLAINTEXT = SecurityProtocol.SASL_SSL, SecurityProtocol.PLAINTEXT
JAAS = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_ada="dif;fer ence" user_charles=analysis;'


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def issued(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost")


@pytest.fixture
def pem(tmp_path: Path, issued: trustme.LeafCert) -> Path:
    path = tmp_path / "server.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(path)
    return path


def test_the_default_is_loopback() -> None:
    (listener,) = parse_listeners({})

    assert (listener.name, listener.host, listener.port, listener.protocol) == (
        "PLAINTEXT",
        "127.0.0.1",
        9092,
        PLAINTEXT,
    )
    assert listener.ssl_context() is None


def test_a_listener_has_its_own_settings_before_those_for_all(pem: Path) -> None:
    properties = {
        "listeners": "PLAINTEXT://[::1]:9092, CLIENTS://0.0.0.0:9093",
        "advertised.listeners": "CLIENTS://kafka.example.org:443",
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,PLAINTEXT:PLAINTEXT",
        "ssl.keystore.location": "/nowhere",
        "listener.name.clients.ssl.keystore.location": str(pem),
        "listener.name.clients.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "listener.name.clients.plain.sasl.jaas.config": JAAS,
        "connections.max.reauth.ms": "1000",
        "listener.name.clients.connections.max.reauth.ms": "60000",
    }
    one, two = parse_listeners(properties)

    assert (one.host, one.port, one.advertised(9092)) == ("::1", 9092, ("::1", 9092))
    assert (two.host, two.protocol, two.advertised(9093)) == ("0.0.0.0", SASL_SSL, ("kafka.example.org", 443))
    assert two.sasl_mechanisms == ("PLAIN", "SCRAM-SHA-512")
    assert two.plain_users == {"ada": "dif;fer ence", "charles": "analysis"}
    assert two.connections_max_reauth_ms == 60_000
    assert two.ssl_context() is not None
    assert "analysis" not in repr(two)


def test_users_of_plain() -> None:
    assert jaas_users("") == {}
    assert jaas_users('x required username="u" password="p" user_a="";') == {"a": ""}


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"listeners": "9092"}, "'9092' is not NAME://host:port"),
        ({"listeners": "PLAINTEXT://h:99999"}, "is not NAME://host:port"),
        ({"listeners": "SSL://:1,SSL://:2"}, "names SSL twice"),
        ({"listeners": "MINE://:1"}, "listener.security.protocol.map"),
        ({"listeners": "MINE://:1", "listener.security.protocol.map": "MINE:TLS"}, "PLAINTEXT, SSL, SASL_PLAINTEXT"),
        ({"advertised.listeners": "OTHER://h:1"}, "OTHER"),
        ({"listeners": "SASL_PLAINTEXT://:1", "sasl.enabled.mechanisms": "GSSAPI"}, "GSSAPI, which is not served"),
        (
            {"listeners": "SASL_PLAINTEXT://:1", "sasl.enabled.mechanisms": "PLAIN"},
            "has no user: set listener.name.sasl",
        ),
    ],
)
def test_settings_that_do_not_fit(properties: dict[str, str], words: str) -> None:
    with pytest.raises(ListenerConfigError) as raised:
        parse_listeners(properties)

    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, "set ssl.keystore.location"),
        ({"ssl.keystore.location": "/nowhere/k.pem"}, "/nowhere/k.pem"),
        ({"ssl.keystore.certificate.chain": "PEM", "ssl.keystore.key": "PEM"}, "listener SSL"),
        ({"ssl.client.auth": "maybe"}, "none, requested or required"),
        ({"ssl.enabled.protocols": "TLSv1"}, "TLSv1.2, TLSv1.3"),
        ({"ssl.principal.mapping.rules": "RULE:x"}, "is no rule"),
    ],
)
def test_tls_settings_that_do_not_fit(properties: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_listeners({"listeners": "SSL://127.0.0.1:9093", **properties})[0].ssl_context()

    assert words in str(raised.value)


def test_tls_needs_a_certificate() -> None:
    with pytest.raises(ValueError, match="needs a certificate"):
        Listener("L", protocol=SecurityProtocol.SSL)


def test_clients_that_are_asked_for_certificates_need_an_authority(pem: Path) -> None:
    with pytest.raises(TlsConfigError, match=r"ssl\.truststore\.location"):
        Tls(keystore_location=pem, client_auth="required").context("L")


def test_pem_inline_and_a_key_in_a_file_of_its_own(
    tmp_path: Path, authority: trustme.CA, issued: trustme.LeafCert
) -> None:
    chain, key = issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "chain.pem").write_text(chain)
    trust = authority.cert_pem.bytes().decode()

    for tls in (
        Tls(keystore_certificate_chain=chain, keystore_key=key, truststore_certificates=trust, client_auth="required"),
        Tls(keystore_location=tmp_path / "chain.pem", keystore_key_location=tmp_path / "key.pem"),
    ):
        context = tls.context("L")
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == (ssl.CERT_REQUIRED if tls.client_auth == "required" else ssl.CERT_NONE)


def test_a_key_with_a_password(tmp_path: Path, issued: trustme.LeafCert) -> None:
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"difference"),
    )
    path = tmp_path / "both.pem"
    path.write_bytes(locked + issued.cert_chain_pems[0].bytes())

    Tls(keystore_location=path, key_password="difference").context("L")
    with pytest.raises(TlsConfigError, match="listener L"):
        Tls(keystore_location=path, key_password="guess").context("L")
    with pytest.raises(TlsConfigError, match="listener L"):
        Tls(keystore_location=path).context("L")  # and nobody is asked


@pytest.fixture
def key_store(tmp_path: Path, authority: trustme.CA, issued: trustme.LeafCert) -> Path:
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    certificates = [x509.load_pem_x509_certificate(pem.bytes()) for pem in issued.cert_chain_pems]
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    path = tmp_path / "server.p12"
    encryption = serialization.BestAvailableEncryption(b"difference")
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"server", key, certificates[0], [root], encryption))  # type: ignore[arg-type]
    return path


def test_pkcs12(key_store: Path) -> None:
    tls = Tls(
        keystore_location=key_store,
        keystore_password="difference",
        truststore_location=key_store,
        truststore_password="difference",
        client_auth="requested",
    )

    assert tls.context("L").verify_mode == ssl.CERT_OPTIONAL
    with pytest.raises(TlsConfigError, match="cannot be read as PKCS12"):
        Tls(keystore_location=key_store, keystore_password="guess").context("L")


def test_pkcs12_without_the_package_for_it(key_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)

    with pytest.raises(TlsConfigError, match=r"pip install .streams-engine\[tls\]"):
        Tls(keystore_location=key_store, keystore_password="difference").context("L")


def test_javas_old_format_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "server.jks"
    path.write_bytes(bytes.fromhex("feedfeed00000002"))

    with pytest.raises(
        TlsConfigError, match=r"keytool -importkeystore -srckeystore .*server.jks -destkeystore .*server.p12"
    ):
        Tls(keystore_location=path).context("L")


TLS = Tls(keystore_location=Path("x.pem"))
MUTUAL = Tls(keystore_location=Path("x.pem"), client_auth="required")


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        (Listener(), None),
        (Listener(host="127.1.2.3"), None),
        (Listener(host="::1"), None),
        (Listener(host="localhost"), None),
        (Listener(host=""), "all addresses:9092"),
        (Listener(host="192.0.2.1"), "192.0.2.1:9092"),
        (Listener("S", "0.0.0.0", protocol=SecurityProtocol.SSL, tls=TLS), "does not ask who they are"),
        (Listener("S", "0.0.0.0", protocol=SecurityProtocol.SSL, tls=MUTUAL), None),
        (Listener("S", "0.0.0.0", protocol=SASL_SSL, tls=TLS), None),
        (Listener("S", "0.0.0.0", protocol=SecurityProtocol.SASL_PLAINTEXT), "in clear text"),
        (Listener("S", "0.0.0.0", protocol=SecurityProtocol.SASL_PLAINTEXT, sasl_mechanisms=("SCRAM-SHA-256",)), None),
    ],
)
def test_what_is_warned_of(listener: Listener, words: str | None) -> None:
    warning = exposure_warning(listener, 9092)

    assert (words is None and warning is None) or (words or "?") in (warning or "")
