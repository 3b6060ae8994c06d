"""SaslHandshake, SaslAuthenticate (17, 36), DescribeUserScramCredentials, AlterUserScramCredentials (50, 51)."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.conn import ScramAuthenticator

from broker_embedded.cluster import Cluster
from broker_embedded.handlers import RequestContext
from broker_embedded.security.authentication import open_session
from broker_embedded.security.listeners import Listener, SecurityProtocol
from broker_embedded.security.scram import SCRAM_SHA_256, SCRAM_SHA_512, Mechanism, salt_password
from broker_embedded.session import Session
from broker_embedded.wire.messages.security import (
    AlterUserScramCredentialsRequest,
    DescribeUserScramCredentialsRequest,
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
    UserName,
)

SALT = b"0123456789abcdef"
SASL = Listener("IN", protocol=SecurityProtocol.SASL_PLAINTEXT, plain_users={"ada": "difference"})


class Socket:
    """What `open_session` asks of a transport."""

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("10.0.0.7", 4711)}.get(name)


class Connection:
    def __init__(self, cluster: Cluster, listener: Listener = SASL) -> None:
        self.cluster = cluster
        self.session: Session = open_session(cluster, listener, Socket())  # type: ignore[arg-type]

    async def ask(self, request: Any, version: int = 2) -> Any:
        return await self.cluster.handle(request, RequestContext(version, session=self.session))

    async def log_in(self, mechanism: str, user: str, password: str) -> SaslAuthenticateResponse:
        await self.ask(SaslHandshakeRequest(mechanism))
        if mechanism == "PLAIN":
            answer: SaslAuthenticateResponse = await self.ask(SaslAuthenticateRequest(f"\0{user}\0{password}".encode()))
            return answer
        client = ScramAuthenticator(
            loop=None, sasl_plain_username=user, sasl_plain_password=password, sasl_mechanism=mechanism
        )
        answer = await self.ask(SaslAuthenticateRequest(client.first_message().encode()))
        if answer.error_code == 0:
            client.process_server_first_message(bytes(answer.auth_bytes).decode())
            answer = await self.ask(SaslAuthenticateRequest(client.final_message().encode()))
            if answer.error_code == 0:
                client.process_server_final_message(bytes(answer.auth_bytes).decode())
        return answer


def upsertion(user: str, password: str = "p", mechanism: Mechanism = SCRAM_SHA_256, **fields: Any) -> Any:
    iterations = fields.get("iterations", 4096)
    salted = salt_password(mechanism, password, SALT, max(iterations, 1))
    return ScramCredentialUpsertion(user, fields.get("type", mechanism.type), iterations, SALT, salted)


async def alter(user: Any, *changes: Any) -> dict[str, int]:
    deletions = [change for change in changes if isinstance(change, ScramCredentialDeletion)]
    upsertions = [change for change in changes if isinstance(change, ScramCredentialUpsertion)]
    answer = await user.ask(AlterUserScramCredentialsRequest(deletions, upsertions))
    return {row.user: row.error_code for row in answer.results}


async def describe(user: Any, *names: str) -> dict[str, Any]:
    answer = await user.ask(DescribeUserScramCredentialsRequest([UserName(name) for name in names] or None))
    return {
        row.user: row.error_code or [(found.mechanism, found.iterations) for found in row.credential_infos]
        for row in answer.results
    }


async def test_users_are_given_passwords_and_described(open_cluster: Any) -> None:
    assert await alter(open_cluster, upsertion("ada"), upsertion("charles", iterations=16_384)) == {
        "ada": 0,
        "charles": 0,
    }
    assert await alter(open_cluster, upsertion("ada", mechanism=SCRAM_SHA_512)) == {"ada": 0}

    assert await describe(open_cluster) == {"ada": [(1, 4096), (2, 4096)], "charles": [(1, 16_384)]}
    assert await describe(open_cluster, "charles", "grace") == {"charles": [(1, 16_384)], "grace": 91}
    assert await describe(open_cluster, "ada", "ada") == {"ada": 92}


async def test_what_is_kept_is_not_what_a_client_needs(open_cluster: Any) -> None:
    await alter(open_cluster, upsertion("ada", "difference"))

    kept = open_cluster.cluster.metadata.scram_users["ada", 1]

    salted = salt_password(SCRAM_SHA_256, "difference", SALT, 4096)
    assert salted not in (kept.stored_key, kept.server_key)


async def test_a_password_is_taken_away(open_cluster: Any) -> None:
    await alter(open_cluster, upsertion("ada"), upsertion("charles"))

    assert await alter(open_cluster, ScramCredentialDeletion("ada", 1), ScramCredentialDeletion("grace", 1)) == {
        "ada": 0,
        "grace": 91,
    }
    assert list(await describe(open_cluster)) == ["charles"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([upsertion("")], 93),
        ([upsertion("ada", iterations=4095)], 93),
        ([upsertion("ada", iterations=16_385)], 93),
        ([upsertion("ada", type=3)], 33),
        ([ScramCredentialDeletion("ada", 0)], 33),
        ([ScramCredentialDeletion("", 1)], 93),
        ([ScramCredentialDeletion("ada", 1)], 91),
        ([upsertion("ada"), upsertion("ada", mechanism=SCRAM_SHA_512)], 92),
        ([upsertion("ada", iterations=1), upsertion("ada")], 93),
        ([ScramCredentialDeletion("ada", 1), upsertion("ada")], 91),
    ],
)
async def test_changes_that_are_refused_change_nothing(open_cluster: Any, changes: list[Any], code: int) -> None:
    assert set((await alter(open_cluster, *changes)).values()) == {code}
    assert await describe(open_cluster) == {}


@pytest.mark.parametrize("mechanism", [SCRAM_SHA_256, SCRAM_SHA_512], ids=lambda found: found.name)
async def test_a_user_logs_in_with_the_password_given(open_cluster: Any, mechanism: Mechanism) -> None:
    await alter(open_cluster, upsertion("ada", "difference", mechanism))
    connection = Connection(open_cluster.cluster)

    answer = await connection.log_in(mechanism.name, "ada", "difference")

    assert (answer.error_code, answer.error_message, answer.session_lifetime_ms) == (0, None, 0)
    assert connection.session.principal == "User:ada"
    assert connection.session.client_host == "10.0.0.7"


@pytest.mark.parametrize(("user", "password"), [("ada", "guess"), ("grace", "difference")])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password(open_cluster: Any, mechanism: str, user: str, password: str) -> None:
    await alter(open_cluster, upsertion("ada", "difference"))
    connection = Connection(open_cluster.cluster)

    answer = await connection.log_in(mechanism, user, password)

    assert answer.error_code == 58
    assert "grace" not in (answer.error_message or "")
    assert connection.session.sasl is not None
    assert connection.session.sasl.has_failed


async def test_a_new_password_holds_and_the_old_does_not(open_cluster: Any) -> None:
    await alter(open_cluster, upsertion("ada", "old"))
    await alter(open_cluster, upsertion("ada", "new"))

    assert (await Connection(open_cluster.cluster).log_in("SCRAM-SHA-256", "ada", "old")).error_code == 58
    assert (await Connection(open_cluster.cluster).log_in("SCRAM-SHA-256", "ada", "new")).error_code == 0


async def test_an_unknown_mechanism_is_told_the_known_ones(open_cluster: Any) -> None:
    connection = Connection(open_cluster.cluster)

    answer = await connection.ask(SaslHandshakeRequest("GSSAPI"))

    assert (answer.error_code, answer.mechanisms) == (33, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])


async def test_a_listener_without_sasl(open_cluster: Any) -> None:
    connection = Connection(open_cluster.cluster, Listener())

    assert (await connection.ask(SaslHandshakeRequest("PLAIN"))).error_code == 34
    assert (await connection.ask(SaslAuthenticateRequest(b""))).error_code == 34


async def test_the_lifetime_of_an_authentication_is_told(open_cluster: Any) -> None:
    listener = Listener(
        "IN",
        protocol=SecurityProtocol.SASL_PLAINTEXT,
        plain_users={"ada": "difference"},
        connections_max_reauth_ms=60_000,
    )
    connection = Connection(open_cluster.cluster, listener)

    answer = await connection.log_in("PLAIN", "ada", "difference")

    assert answer.session_lifetime_ms == 60_000
    assert (await connection.ask(SaslAuthenticateRequest(b""))).error_code == 34
    assert (await connection.ask(SaslHandshakeRequest("PLAIN"))).error_code == 34  # within a second
