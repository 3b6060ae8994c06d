"""Delegation tokens: a user has the broker make one and hands it to programs, which log in with it as that user.

A token's id is its user name for SCRAM, with the extension `tokenauth=true`; its HMAC, in Base64, is the password. What
is kept is who may use it and until when; the HMAC comes from the broker's secret each time. KIP-48, KIP-373; Kafka:
DelegationTokenControlManager, DelegationTokenManager.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import msgspec

from broker_embedded.errors import (
    DelegationTokenAuthDisabledError,
    DelegationTokenExpiredError,
    DelegationTokenNotFoundError,
    DelegationTokenOwnerMismatchError,
    DelegationTokenRequestNotAllowedError,
    InvalidPrincipalTypeError,
)
from broker_embedded.metadata.records import DelegationTokenRecord
from broker_embedded.session import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from broker_embedded.cluster import Cluster
    from broker_embedded.security.scram import Mechanism, Token
    from broker_embedded.session import Session
    from broker_embedded.wire.messages.delegation_tokens import CreateDelegationTokenRequest

_DAY_MS: Final = 86_400_000
_SALT_BYTES: Final = 16


def check_may_ask(cluster: Cluster, session: Session) -> None:
    """Raise DelegationTokenRequestNotAllowedError, DelegationTokenAuthDisabledError."""
    if session.principal == ANONYMOUS or session.token_authenticated:
        raise DelegationTokenRequestNotAllowedError(
            "tokens are for whoever has authenticated, and by something else than a token"
        )
    if not _secret(cluster):
        raise DelegationTokenAuthDisabledError("delegation.token.secret.key is not set")


def type_and_name(principal: str) -> tuple[str, str]:
    """
    >>> type_and_name("User:ada")
    ('User', 'ada')
    """
    kind, _, name = principal.partition(":")
    return kind, name


def owner_of(request: CreateDelegationTokenRequest, requester: str) -> str:
    """The principal a token is asked for."""
    if not request.owner_principal_name:
        return requester
    return f"{request.owner_principal_type}:{request.owner_principal_name}"


def _secret(cluster: Cluster) -> str:
    return cluster.config.properties.get("delegation.token.secret.key", "")


def _period_ms(cluster: Cluster, setting: str, default_ms: int, asked_ms: int) -> int:
    longest_ms = int(cluster.config.properties.get(setting, default_ms))
    return min(longest_ms, asked_ms) if asked_ms > 0 else longest_ms


def _expiry_period_ms(cluster: Cluster, asked_ms: int = -1) -> int:
    return _period_ms(cluster, "delegation.token.expiry.time.ms", _DAY_MS, asked_ms)


def password(cluster: Cluster, token_id: str) -> bytes:
    """The HMAC of a token."""
    return hmac.digest(_secret(cluster).encode(), token_id.encode(), "sha512")


def create(
    cluster: Cluster, owner: str, requester: str, renewers: Sequence[str], max_lifetime_ms: int
) -> DelegationTokenRecord:
    """A new token of the principal `owner`. Raises InvalidPrincipalTypeError for a renewer that is no user."""
    for renewer in renewers:
        if not renewer.startswith("User:"):
            raise InvalidPrincipalTypeError(f"{renewer}: who renews a token is a user, written User:name")
    sweep(cluster)
    now_ms = cluster.now_ms()
    max_ms = now_ms + _period_ms(cluster, "delegation.token.max.lifetime.ms", 7 * _DAY_MS, max_lifetime_ms)
    token = DelegationTokenRecord(
        owner=owner,
        requester=requester,
        renewers=list(renewers),
        issue_timestamp=now_ms,
        max_timestamp=max_ms,
        expiration_timestamp=min(max_ms, now_ms + _expiry_period_ms(cluster)),
        token_id=urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode(),
    )
    cluster.metadata.put_token(token)
    return token


def renew(cluster: Cluster, principal: str, token_hmac: bytes, period_ms: int) -> int:
    """Let a token hold for longer; the time until which it does.

    Raises DelegationTokenNotFoundError, DelegationTokenExpiredError, DelegationTokenOwnerMismatchError.
    """
    token = _find(cluster, token_hmac)
    _check_unexpired(cluster, token)
    _check_owned(token, principal)
    return _set_expiry(cluster, token, _expiry_period_ms(cluster, period_ms))


def expire(cluster: Cluster, principal: str, token_hmac: bytes, period_ms: int) -> int:
    """Let a token hold for `period_ms` from now, or, if that is negative, no more; the time until which it does.

    Raises as `renew`.
    """
    token = _find(cluster, token_hmac)
    _check_owned(token, principal)
    if period_ms < 0:
        cluster.metadata.remove_tokens([token.token_id])
        return cluster.now_ms()
    _check_unexpired(cluster, token)
    return _set_expiry(cluster, token, period_ms)


def _find(cluster: Cluster, token_hmac: bytes) -> DelegationTokenRecord:
    for token in cluster.metadata.tokens.values():
        if hmac.compare_digest(password(cluster, token.token_id), token_hmac):
            return token
    raise DelegationTokenNotFoundError("no token has this HMAC")


def _check_owned(token: DelegationTokenRecord, principal: str) -> None:
    if principal not in (token.owner, *token.renewers):
        raise DelegationTokenOwnerMismatchError(f"{principal} neither owns nor renews token {token.token_id}")


def _check_unexpired(cluster: Cluster, token: DelegationTokenRecord) -> None:
    if _is_expired(token, cluster.now_ms()):
        raise DelegationTokenExpiredError(f"token {token.token_id} has expired")


def _is_expired(token: DelegationTokenRecord, now_ms: int) -> bool:
    return min(token.max_timestamp, token.expiration_timestamp) < now_ms


def _set_expiry(cluster: Cluster, token: DelegationTokenRecord, period_ms: int) -> int:
    expiry_ms = min(token.max_timestamp, cluster.now_ms() + period_ms)
    cluster.metadata.put_token(msgspec.structs.replace(token, expiration_timestamp=expiry_ms))
    return expiry_ms


def of_owners(cluster: Cluster, owners: Iterable[str] | None) -> list[DelegationTokenRecord]:
    """The tokens that one of `owners` owns, asked for or renews; None is all."""
    sweep(cluster)
    wanted = None if owners is None else set(owners)
    found = cluster.metadata.tokens.values()
    return [token for token in found if wanted is None or wanted & {token.owner, token.requester, *token.renewers}]


def sweep(cluster: Cluster) -> None:
    """Forget expired tokens. Kafka does so every hour; here it is done when somebody asks about tokens."""
    now_ms = cluster.now_ms()
    cluster.metadata.remove_tokens(
        [token.token_id for token in cluster.metadata.tokens.values() if _is_expired(token, now_ms)]
    )


def find_token(cluster: Cluster, mechanism: Mechanism, token_id: str) -> Token | None:
    """What SCRAM has to know of a token that holds."""
    from broker_embedded.security.scram import ITERATIONS_MIN, Token, credential, salt_password

    token = cluster.metadata.tokens.get(token_id)
    if token is None or not _secret(cluster) or _is_expired(token, cluster.now_ms()):
        return None
    salt = secrets.token_bytes(_SALT_BYTES)
    text = b64encode(password(cluster, token_id)).decode()
    salted = salt_password(mechanism, text, salt, ITERATIONS_MIN)
    _, owner = type_and_name(token.owner)
    return Token(owner, credential(mechanism, salted, salt, ITERATIONS_MIN), token.expiration_timestamp)
