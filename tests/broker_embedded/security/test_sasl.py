"""The states of a connection's authentication."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.errors import (
    IllegalSaslStateError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from broker_embedded.security.authentication import check_admitted
from broker_embedded.security.sasl import PlainExchange, Sasl, State
from broker_embedded.session import ANONYMOUS, Session

NOW_MS = 1_000_000
PRODUCE, HANDSHAKE, VERSIONS, AUTHENTICATE = 0, 17, 18, 36
ADA, CHARLES = b"\0ada\0difference", b"\0charles\0analysis"


def connection(**options: Any) -> tuple[Sasl, Session]:
    users = {"ada": "difference", "charles": "analysis"}
    sasl = Sasl(("PLAIN", "SCRAM-SHA-256"), plain_users=users, find_credential=lambda mechanism, user: None, **options)
    return sasl, Session(sasl=sasl, authenticated=False)


def log_in(sasl: Sasl, session: Session, token: bytes = ADA, now_ms: int = NOW_MS) -> None:
    sasl.handshake("PLAIN", version=1, now_ms=now_ms)
    sasl.token(token, session, now_ms)


def admitted(session: Session, now_ms: int = NOW_MS) -> set[int]:
    found = set()
    for api_key in (PRODUCE, HANDSHAKE, VERSIONS, AUTHENTICATE):
        try:
            check_admitted(session, api_key, now_ms)
        except IllegalSaslStateError:
            continue
        found.add(api_key)
    return found


def test_what_may_be_asked_for_at_each_step() -> None:
    sasl, session = connection()
    assert admitted(session) == {HANDSHAKE, VERSIONS}

    sasl.handshake("PLAIN", version=1, now_ms=NOW_MS)
    assert admitted(session) == {AUTHENTICATE}

    sasl.token(ADA, session, NOW_MS)
    assert admitted(session) == {PRODUCE, HANDSHAKE, VERSIONS, AUTHENTICATE}
    assert (session.principal, session.authenticated, session.expires_ms) == ("User:ada", True, None)


def test_without_sasl_everything_may_be_asked_for() -> None:
    assert admitted(Session()) == {PRODUCE, HANDSHAKE, VERSIONS, AUTHENTICATE}


def test_an_unknown_mechanism_ends_the_connection() -> None:
    sasl, session = connection()

    with pytest.raises(UnsupportedSaslMechanismError, match=r"GSSAPI.*PLAIN, SCRAM-SHA-256"):
        sasl.handshake("GSSAPI", version=1, now_ms=NOW_MS)

    assert sasl.has_failed
    assert admitted(session) == set()


def test_a_wrong_password_ends_the_connection() -> None:
    sasl, session = connection()

    with pytest.raises(SaslAuthenticationFailedError):
        log_in(sasl, session, b"\0ada\0guess")

    assert sasl.has_failed
    assert admitted(session) == set()
    assert session.principal == ANONYMOUS


def test_tokens_without_headers_follow_a_handshake_of_version_0_until_the_last() -> None:
    sasl, session = connection()
    sasl.handshake("PLAIN", version=0, now_ms=NOW_MS)
    assert sasl.takes_raw_tokens

    assert sasl.token(ADA, session, NOW_MS) == b""

    assert not sasl.takes_raw_tokens
    assert session.authenticated


def test_an_authentication_expires_and_only_a_new_one_is_admitted() -> None:
    sasl, session = connection(max_reauth_ms=60_000)
    log_in(sasl, session)
    assert session.expires_ms == NOW_MS + 60_000
    assert PRODUCE in admitted(session, NOW_MS + 60_000)
    assert admitted(session, NOW_MS + 60_001) == {HANDSHAKE}

    later = NOW_MS + 70_000
    log_in(sasl, session, now_ms=later)

    assert PRODUCE in admitted(session, later)
    assert session.expires_ms == later + 60_000


def test_a_second_authentication_keeps_to_the_user() -> None:
    sasl, session = connection(max_reauth_ms=60_000)
    log_in(sasl, session)

    with pytest.raises(SaslAuthenticationFailedError, match="same user"):
        log_in(sasl, session, CHARLES, NOW_MS + 5_000)

    assert sasl.has_failed
    assert session.principal == "User:ada"


def test_a_second_authentication_within_a_second_is_refused_and_harms_nothing() -> None:
    sasl, session = connection()
    log_in(sasl, session)

    with pytest.raises(IllegalSaslStateError, match="within a second"):
        sasl.handshake("PLAIN", version=1, now_ms=NOW_MS + 999)

    assert PRODUCE in admitted(session)


def test_a_token_out_of_turn() -> None:
    sasl, session = connection()
    with pytest.raises(IllegalSaslStateError):
        sasl.token(ADA, session, NOW_MS)
    log_in(sasl, session)
    with pytest.raises(IllegalSaslStateError, match="after successful authentication"):
        sasl.token(ADA, session, NOW_MS)
    assert sasl.state is State.DONE


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "three parts"),
        (b"ada", "three parts"),
        (b"\0ada\0difference\0", "three parts"),
        (b"\0\xff\0difference", "three parts"),
        (b"\0ada\0", "Invalid username or password"),
        (b"\0\0difference", "Invalid username or password"),
        (b"\0grace\0difference", "Invalid username or password"),
        (b"root\0ada\0difference", "authorization id"),
    ],
)
def test_plain_refuses(message: bytes, words: str) -> None:
    exchange = PlainExchange({"ada": "difference", "": ""})

    with pytest.raises(SaslAuthenticationFailedError, match=words):
        exchange.step(message)

    assert exchange.user is None


def test_plain_takes_the_users_own_name_as_authorization_id() -> None:
    exchange = PlainExchange({"ada": "différence"})

    exchange.step("ada\0ada\0différence".encode())

    assert exchange.user == "ada"
