"""Who is at the other end of a connection: the session that a new connection gets, and what it may ask for already."""

from __future__ import annotations

from asyncio import BaseTransport
from typing import TYPE_CHECKING

from broker_embedded.errors import IllegalSaslStateError, SaslAuthenticationFailedError
from broker_embedded.session import Session

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.security.listeners import Listener
    from broker_embedded.security.scram import Credential, Mechanism, Token


def open_session(cluster: Cluster, listener: Listener, transport: BaseTransport) -> Session:
    """The session of a new connection; with TLS, its handshake is over, so the client's certificate is known.

    Raises SaslAuthenticationFailedError when no rule of `ssl.principal.mapping.rules` fits the certificate.
    """
    peer = transport.get_extra_info("peername")
    session = Session(client_host=peer[0] if isinstance(peer, tuple) else "", listener=listener.name)
    if listener.protocol.has_sasl:
        _expect_sasl(session, cluster, listener)
    elif listener.tls is not None and listener.protocol.has_tls:
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if certificate is not None:
            session.principal = _principal(listener.tls.principal_mapping_rules, certificate)
    return session


def _expect_sasl(session: Session, cluster: Cluster, listener: Listener) -> None:
    from broker_embedded.security.sasl import Sasl  # listeners without SASL do without

    session.authenticated = False
    session.sasl = Sasl(
        listener.sasl_mechanisms,
        plain_users=listener.plain_users,
        find_credential=lambda mechanism, user: _find_credential(cluster, mechanism, user),
        find_token=lambda mechanism, token_id: _find_token(cluster, mechanism, token_id),
        max_reauth_ms=listener.connections_max_reauth_ms,
    )


def _find_credential(cluster: Cluster, mechanism: int, user: str) -> Credential | None:
    from broker_embedded.security.scram import Credential

    kept = cluster.metadata.scram_users.get((user, mechanism))
    if kept is None:
        return None
    return Credential(kept.salt, kept.stored_key, kept.server_key, kept.iterations)


def _find_token(cluster: Cluster, mechanism: Mechanism, token_id: str) -> Token | None:
    from broker_embedded.security.tokens import find_token

    return find_token(cluster, mechanism, token_id)


def _principal(rules: str, certificate: bytes) -> str:
    from broker_embedded.security.names import MappingRules, subject_name

    subject = subject_name(certificate)
    name = MappingRules(rules).apply(subject)
    if name is None:
        raise SaslAuthenticationFailedError(
            f"no rule of ssl.principal.mapping.rules fits the certificate of {subject!r}"
        )
    return f"User:{name}"


def check_admitted(session: Session, api_key: int, now_ms: int) -> None:
    """Raise IllegalSaslStateError for a request that has to wait for SASL: the connection is closed for it."""
    if session.sasl is not None:
        is_expired = session.expires_ms is not None and now_ms > session.expires_ms
        if not session.sasl.admits(api_key, is_expired=is_expired):
            state = "authentication has expired" if is_expired else f"authentication is at {session.sasl.state.name}"
            raise IllegalSaslStateError(f"a request of API key {api_key} came while {state}")
