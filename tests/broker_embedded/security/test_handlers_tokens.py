"""Delegation tokens (38-41): made, used to log in, renewed, expired, and seen by whom."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from aiokafka.conn import ScramAuthenticator

from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.errors import SaslAuthenticationFailedError
from broker_embedded.handlers import RequestContext
from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.security.authentication import open_session
from broker_embedded.security.listeners import Listener, SecurityProtocol
from broker_embedded.session import Session
from broker_embedded.wire.messages.delegation_tokens import (
    CreatableRenewers,
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
    DescribeDelegationTokenOwner,
    DescribeDelegationTokenRequest,
    ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
)

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000
SECRET = {"delegation.token.secret.key": "difference"}


class Asker:
    """Whoever has logged in to a cluster whose clock stands."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.now_ms = NOW_MS
        cluster.now_ms = lambda: self.now_ms

    async def ask(self, user: str, request: Any, **session: Any) -> Any:
        context = RequestContext(session=Session("10.0.0.7", "IN", f"User:{user}", **session))
        return await self.cluster.handle(request, context)

    async def create(self, user: str = "ada", **fields: Any) -> CreateDelegationTokenResponse:
        answer: CreateDelegationTokenResponse = await self.ask(user, CreateDelegationTokenRequest(**fields))
        return answer

    async def ids(self, user: str, *owners: str) -> list[str]:
        rows = [DescribeDelegationTokenOwner("User", owner) for owner in owners]
        answer = await self.ask(user, DescribeDelegationTokenRequest(rows if owners else None))
        assert answer.error_code == 0
        return [token.token_id for token in answer.tokens]


@pytest.fixture
async def tokens(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("os.fsync", lambda fd: None)
    cluster = Cluster.open(tmp_path / "tokens", config=BrokerConfig(properties=SECRET))
    yield Asker(cluster)
    await cluster.close()


async def test_a_token_is_made(tokens: Asker) -> None:
    answer = await tokens.create(renewers=[CreatableRenewers("User", "charles")])

    assert (answer.error_code, answer.principal_type, answer.principal_name) == (0, "User", "ada")
    assert answer.token_requester_principal_name == "ada"
    assert answer.issue_timestamp_ms == NOW_MS
    assert answer.expiry_timestamp_ms == NOW_MS + DAY_MS
    assert answer.max_timestamp_ms == NOW_MS + 7 * DAY_MS
    assert len(answer.hmac) == 64
    described = (await tokens.ask("ada", DescribeDelegationTokenRequest())).tokens[0]
    assert (described.token_id, described.hmac) == (answer.token_id, answer.hmac)
    assert [renewer.principal_name for renewer in described.renewers] == ["charles"]


async def test_a_short_life_and_an_owner(tokens: Asker) -> None:
    answer = await tokens.create(max_lifetime_ms=1000, owner_principal_type="User", owner_principal_name="grace")

    assert (answer.principal_name, answer.token_requester_principal_name) == ("grace", "ada")
    assert answer.expiry_timestamp_ms == answer.max_timestamp_ms == NOW_MS + 1000


def log_in(tokens: Asker, token_id: str, password: bytes, extension: str = ",tokenauth=true") -> Session:
    """By SCRAM, as Java does it with a token: the extension stands behind the nonce."""

    class Socket:
        def get_extra_info(self, name: str) -> Any:
            return None

    listener = Listener("IN", protocol=SecurityProtocol.SASL_PLAINTEXT)
    session = open_session(tokens.cluster, listener, Socket())  # type: ignore[arg-type]
    sasl = session.sasl
    assert sasl is not None
    sasl.handshake("SCRAM-SHA-256", version=1, now_ms=tokens.now_ms)
    client = ScramAuthenticator(
        loop=None,
        sasl_plain_username=token_id,
        sasl_plain_password=b64encode(password).decode(),
        sasl_mechanism="SCRAM-SHA-256",
    )
    first = client.first_message() + extension
    client._auth_message += extension
    client.process_server_first_message(sasl.token(first.encode(), session, tokens.now_ms).decode())
    client.process_server_final_message(sasl.token(client.final_message().encode(), session, tokens.now_ms).decode())
    return session


async def test_a_token_logs_in_as_its_owner_until_it_expires(tokens: Asker) -> None:
    token = await tokens.create()

    session = log_in(tokens, token.token_id, token.hmac)

    assert (session.principal, session.token_authenticated) == ("User:ada", True)
    assert session.expires_ms == token.expiry_timestamp_ms


async def test_what_does_not_log_in(tokens: Asker) -> None:
    token = await tokens.create()

    for token_id, password, extension in (
        (token.token_id, b"guess", ",tokenauth=true"),
        ("nothing", token.hmac, ",tokenauth=true"),
        (token.token_id, token.hmac, ""),
        (token.token_id, token.hmac, ",tokenauth=false"),
    ):
        with pytest.raises(SaslAuthenticationFailedError, match="invalid credentials"):
            log_in(tokens, token_id, password, extension)
    tokens.now_ms = token.expiry_timestamp_ms + 1
    with pytest.raises(SaslAuthenticationFailedError, match="invalid credentials"):
        log_in(tokens, token.token_id, token.hmac)


async def test_renewing(tokens: Asker) -> None:
    token = await tokens.create(renewers=[CreatableRenewers("User", "charles")])

    async def renew(user: str, period_ms: int = -1, hmac: bytes = token.hmac) -> tuple[int, int]:
        answer = await tokens.ask(user, RenewDelegationTokenRequest(hmac, period_ms))
        return answer.error_code, answer.expiry_timestamp_ms

    tokens.now_ms = NOW_MS + 1000
    assert await renew("charles") == (0, NOW_MS + 1000 + DAY_MS)
    assert await renew("ada", 5000) == (0, NOW_MS + 6000)
    assert await renew("ada", 9 * DAY_MS) == (0, NOW_MS + 1000 + DAY_MS)
    assert await renew("grace") == (63, -1)
    assert await renew("ada", hmac=b"x" * 64) == (62, -1)
    tokens.now_ms = NOW_MS + 2 * DAY_MS
    assert await renew("ada") == (66, -1)


async def test_expiring(tokens: Asker) -> None:
    token = await tokens.create()

    async def expire(user: str, period_ms: int) -> tuple[int, int]:
        answer = await tokens.ask(user, ExpireDelegationTokenRequest(token.hmac, period_ms))
        return answer.error_code, answer.expiry_timestamp_ms

    assert await expire("ada", 9 * DAY_MS) == (0, token.max_timestamp_ms)
    assert await expire("ada", 5000) == (0, NOW_MS + 5000)
    assert await expire("grace", -1) == (63, -1)
    tokens.now_ms = NOW_MS + 5001
    assert await expire("ada", 5000) == (66, -1)
    assert await expire("ada", -1) == (0, NOW_MS + 5001)
    assert await expire("ada", -1) == (62, -1)


async def test_expired_tokens_are_forgotten(tokens: Asker) -> None:
    await tokens.create(max_lifetime_ms=1000)
    kept = await tokens.create(max_lifetime_ms=5000)
    tokens.now_ms += 1001

    assert await tokens.ids("ada") == [kept.token_id]
    assert list(tokens.cluster.metadata.tokens) == [kept.token_id]


async def test_tokens_by_owner(tokens: Asker) -> None:
    ada = (await tokens.create("ada")).token_id
    grace = (await tokens.create("grace", renewers=[CreatableRenewers("User", "charles")])).token_id

    assert set(await tokens.ids("ada")) == {ada, grace}  # no authorizer
    assert await tokens.ids("ada", "ada") == [ada]
    assert await tokens.ids("ada", "charles") == [grace]
    assert (await tokens.ask("ada", DescribeDelegationTokenRequest([]))).tokens == []


REQUESTS = [
    CreateDelegationTokenRequest(),
    RenewDelegationTokenRequest(b""),
    ExpireDelegationTokenRequest(b""),
    DescribeDelegationTokenRequest(),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
async def test_who_may_ask(tokens: Asker, request_: Any) -> None:
    assert (await tokens.ask("ANONYMOUS", request_)).error_code == 64
    assert (await tokens.ask("ada", request_, token_authenticated=True)).error_code == 64


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
async def test_without_a_secret(open_cluster: Any, request_: Any) -> None:
    assert (await open_cluster.ask(request_)).error_code == 61


async def test_a_renewer_is_a_user(tokens: Asker) -> None:
    assert (await tokens.create(renewers=[CreatableRenewers("Group", "engines")])).error_code == 67


async def test_tokens_of_others_take_rights(guarded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded.cluster.config.properties.update(SECRET)
    for_grace = CreateDelegationTokenRequest("User", "grace")
    assert (await guarded.ada.ask(for_grace)).error_code == 65
    await guarded.root.allow("User:ada", ResourceType.USER, "User:grace", Operation.CREATE_TOKENS)
    asked_for = (await guarded.ada.ask(for_grace)).token_id
    own = (await guarded.ada.ask(CreateDelegationTokenRequest())).token_id
    other = (await guarded.root.ask(CreateDelegationTokenRequest())).token_id

    async def seen() -> set[str]:
        return {row.token_id for row in (await guarded.ada.ask(DescribeDelegationTokenRequest())).tokens}

    assert await seen() == {asked_for, own}
    await guarded.root.allow("User:ada", ResourceType.USER, "User:root", Operation.DESCRIBE_TOKENS)
    assert await seen() == {asked_for, own, other}


async def test_tokens_are_there_after_a_restart(tokens: Asker) -> None:
    token = await tokens.create()
    await tokens.cluster.close()

    again = Asker(Cluster.open(tokens.cluster.folder.path, config=BrokerConfig(properties=SECRET)))

    assert log_in(again, token.token_id, token.hmac).principal == "User:ada"
    await again.cluster.close()
