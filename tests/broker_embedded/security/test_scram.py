"""SCRAM: the examples of its RFCs, Kafka clients' own implementations as the other side, and what must fail."""

from __future__ import annotations

import asyncio
import re
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest
from aiokafka.conn import ScramAuthenticator
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.errors import SaslAuthenticationFailedError
from broker_embedded.security.scram import (
    MECHANISMS,
    SCRAM_SHA_256,
    Credential,
    Mechanism,
    ScramExchange,
    credential,
    salt_password,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of importlib, which kafka-python uses in the old way
    from kafka.net.sasl.scram import ScramClient

SALT = b"0123456789abcdef"
SHA_1 = Mechanism(0, "SCRAM-SHA-1", "sha1")  # not Kafka's: the example of RFC 5802 is in it


def kept(mechanism: Mechanism, password: str, salt: bytes = SALT, iterations: int = 4096) -> Credential:
    return credential(mechanism, salt_password(mechanism, password, salt, iterations), salt, iterations)


def exchange(mechanism: Mechanism, user: str, password: str, **options: str) -> ScramExchange:
    users = {user: kept(mechanism, password)}
    return ScramExchange(mechanism, users.get, (lambda: options["nonce"]) if "nonce" in options else None)


RFC = [
    pytest.param(
        SHA_1,
        "QSXCR+Q6sek8bf92",
        "3rfcNHYJY1ZVvWVs7j",
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        id="RFC 5802, section 5",
    ),
    pytest.param(
        SCRAM_SHA_256,
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        id="RFC 7677, section 3",
    ),
]


@pytest.mark.parametrize(("mechanism", "salt", "nonce", "first", "answer", "final", "signature"), RFC)
def test_the_examples_of_the_rfcs(
    mechanism: Mechanism, salt: str, nonce: str, first: str, answer: str, final: str, signature: str
) -> None:
    users = {"user": kept(mechanism, "pencil", b64decode(salt))}
    server = ScramExchange(mechanism, users.get, lambda: nonce)

    assert server.step(first.encode()) == answer.encode()
    assert server.user is None
    assert server.step(final.encode()) == signature.encode()
    assert server.user == "user"


def kafka_python(mechanism: str, user: str, password: str, server: ScramExchange) -> None:
    client = ScramClient(user, password, mechanism)
    client.process_server_first_message(server.step(client.first_message()))
    client.process_server_final_message(server.step(client.final_message()))


def aiokafka(mechanism: str, user: str, password: str, server: ScramExchange) -> None:
    loop = asyncio.new_event_loop()
    client = ScramAuthenticator(
        loop=loop, sasl_plain_username=user, sasl_plain_password=password, sasl_mechanism=mechanism
    )
    loop.close()
    client.process_server_first_message(server.step(client.first_message().encode()).decode())
    client.process_server_final_message(server.step(client.final_message().encode()).decode())


Client = Callable[[str, str, str, ScramExchange], None]
CLIENTS: list[Client] = [kafka_python, aiokafka]
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=lambda found: found.name)
@pytest.mark.parametrize("client", CLIENTS)
def test_clients_of_kafka_authenticate_and_accept_the_servers_signature(client: Client, mechanism: Mechanism) -> None:
    server = exchange(mechanism, "ada", "différence")

    client(mechanism.name, "ada", "différence", server)

    assert server.user == "ada"


@settings(max_examples=25, deadline=None)
@given(names, names)
def test_any_name_and_password(user: str, password: str) -> None:
    server = exchange(SCRAM_SHA_256, user, password)

    aiokafka("SCRAM-SHA-256", user, password, server)

    assert server.user == user


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("user", "password"), [("ada", "wrong"), ("charles", "difference"), ("ada", "")])
def test_a_wrong_name_or_password_is_refused_in_the_same_words(client: Client, user: str, password: str) -> None:
    server = exchange(SCRAM_SHA_256, "ada", "difference")

    with pytest.raises(SaslAuthenticationFailedError, match="due to invalid credentials with SASL mechanism SCRAM-SHA"):
        client("SCRAM-SHA-256", user, password, server)

    assert server.user is None


def client_final(
    server: ScramExchange, binding: bytes = b"n,,", nonce: str = "", cut: int = 0, in_front: int = 0
) -> bytes:
    """A right proof over a message that may say something wrong."""
    client = ScramClient("ada", "difference", "SCRAM-SHA-256")
    first = server.step(client.first_message())
    said = re.fullmatch(rb"r=([^,]+),s=.*", first)
    assert said is not None
    c = b64encode(binding)
    r = said[1][:in_front] + said[1] + nonce.encode()
    client.process_server_first_message(first)
    bare = client.first_message().removeprefix(b"n,,").replace(client.nonce, client.nonce[:32])
    message = b"c=%s,r=%s" % (c, r)
    signature = client.hmac(client.stored_key, b",".join((bare, first, message)))
    proof = bytes(a ^ b for a, b in zip(client.client_key, signature, strict=True))
    return message + b",p=" + b64encode(proof[: len(proof) - cut])


def test_a_final_message_made_by_hand_passes() -> None:
    server = exchange(SCRAM_SHA_256, "ada", "difference")

    assert server.step(client_final(server)).startswith(b"v=")


def test_the_clients_part_of_the_nonce_may_stand_in_front_twice() -> None:
    """librdkafka up to 2.6.0, so the kcat of Debian and Ubuntu; Kafka's ScramSaslServer lets it in too."""
    server = exchange(SCRAM_SHA_256, "ada", "difference")

    assert server.step(client_final(server, in_front=32)).startswith(b"v=")


@pytest.mark.parametrize(
    "wrong", [{"binding": b"y,,"}, {"nonce": "x"}, {"cut": 1}], ids=["channel binding", "nonce", "short proof"]
)
def test_a_final_message_that_does_not_fit_the_first_is_refused(wrong: dict[str, object]) -> None:
    server = exchange(SCRAM_SHA_256, "ada", "difference")

    with pytest.raises(SaslAuthenticationFailedError, match="invalid credentials"):
        server.step(client_final(server, **wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,n=ada",
        b"y,,n=ada,r=abc",
        b"p=tls-unique,,n=ada,r=abc",
        b"n,,n=a=da,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,m=ext,n=ada,r=abc",
        b"n,,n=ada,r=a b",
    ],
)
def test_what_is_no_first_message(message: bytes) -> None:
    server = exchange(SCRAM_SHA_256, "ada", "difference")

    with pytest.raises(SaslAuthenticationFailedError, match="not one of SCRAM"):
        server.step(message)


@pytest.mark.parametrize("message", [b"", b"c=biws,r=abc", b"c=biws,r=abc,p=%%%", b"c=biws,r=abc,p=a"])
def test_what_is_no_final_message(message: bytes) -> None:
    server = exchange(SCRAM_SHA_256, "ada", "difference")
    server.step(b"n,,n=ada,r=abc")

    with pytest.raises(SaslAuthenticationFailedError, match="not one of SCRAM"):
        server.step(message)


def test_the_authorization_id_has_to_be_the_user() -> None:
    exchange(SCRAM_SHA_256, "a,b", "p").step(b"n,a=a=2Cb,n=a=2Cb,r=abc")

    with pytest.raises(SaslAuthenticationFailedError, match="authorization id"):
        exchange(SCRAM_SHA_256, "ada", "p").step(b"n,a=root,n=ada,r=abc")


def test_a_credential_with_few_iterations_is_not_used() -> None:
    weak = kept(SCRAM_SHA_256, "difference", iterations=4095)

    with pytest.raises(SaslAuthenticationFailedError, match="invalid credentials"):
        ScramExchange(SCRAM_SHA_256, {"ada": weak}.get).step(b"n,,n=ada,r=abc")


def test_nonces_are_new_each_time() -> None:
    answers = {exchange(SCRAM_SHA_256, "ada", "p").step(b"n,,n=ada,r=abc") for _ in range(3)}

    assert len(answers) == 3


def test_nothing_follows_the_end() -> None:
    server = exchange(SCRAM_SHA_256, "ada", "difference")
    kafka_python("SCRAM-SHA-256", "ada", "difference", server)

    with pytest.raises(SaslAuthenticationFailedError, match="after the end"):
        server.step(b"n,,n=ada,r=abc")
