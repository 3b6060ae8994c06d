"""Authentication of a connection by SASL, as Kafka frames it: handshake, tokens, and the same again in time. No I/O.

    HANDSHAKE --SaslHandshake--> TOKENS --last token--> DONE --SaslHandshake--> TOKENS ...
                    any error --> FAILED: the answer is sent, then the connection is closed

KIP-43 (handshake; after version 0 tokens come without Kafka's headers), KIP-152 (SaslAuthenticate), KIP-368
(re-authentication); Kafka: SaslServerAuthenticator, PlainSaslServer. PLAIN is RFC 4616.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from broker_embedded.errors import IllegalSaslStateError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError
from broker_embedded.security.exchange import PLAIN, Exchange

if TYPE_CHECKING:
    from broker_embedded.security.scram import Credential, Mechanism, Token
    from broker_embedded.session import Session

SASL_HANDSHAKE: Final = 17
API_VERSIONS: Final = 18
SASL_AUTHENTICATE: Final = 36

_REAUTHENTICATION_INTERVAL_MS = 1000  # Kafka: KafkaChannel.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS

FindCredential = Callable[[int, str], "Credential | None"]
"""Looks up a user's credential: number of the SCRAM mechanism, user name."""

FindToken = Callable[["Mechanism", str], "Token | None"]
"""Looks up a delegation token by its id."""


class State(Enum):
    HANDSHAKE = auto()
    TOKENS = auto()
    DONE = auto()
    FAILED = auto()


class PlainExchange(Exchange):
    """PLAIN: name and password in one message.

    >>> exchange = PlainExchange({"ada": "difference"})
    >>> exchange.step(bytes(1) + b"ada" + bytes(1) + b"difference"), exchange.user
    (b'', 'ada')
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        """`users` are passwords by name."""
        self._users = users

    def step(self, message: bytes) -> bytes:
        try:
            authorization, name, password = message.decode().split("\0")
        except ValueError:
            raise SaslAuthenticationFailedError(
                "Authentication failed: a message of PLAIN has three parts, [authorization id] NUL name NUL password"
            ) from None
        known = self._users.get(name)
        # Compared in either case, so that the time taken does not tell which users exist.
        is_right = hmac.compare_digest(password.encode(), (known or "").encode())
        if known is None or not password or not is_right:
            raise SaslAuthenticationFailedError("Authentication failed: Invalid username or password")
        if authorization not in ("", name):
            raise SaslAuthenticationFailedError("Authentication failed: the authorization id is not the user's name")
        self.user = name
        return b""


class Sasl:
    """The authentication of one connection; the handlers of SaslHandshake and SaslAuthenticate drive it."""

    def __init__(
        self,
        mechanisms: tuple[str, ...],
        *,
        plain_users: Mapping[str, str],
        find_credential: FindCredential,
        find_token: FindToken = lambda mechanism, token_id: None,
        max_reauth_ms: int = 0,
    ) -> None:
        """`max_reauth_ms` is how long an authentication holds; 0 is for ever (`connections.max.reauth.ms`)."""
        self.mechanisms = mechanisms
        self.state = State.HANDSHAKE
        self.takes_raw_tokens = False
        self._plain_users = plain_users
        self._find_credential = find_credential
        self._find_token = find_token
        self._max_reauth_ms = max_reauth_ms
        self._exchange: Exchange = Exchange()
        self._mechanism = ""
        self._previous: tuple[str, str] | None = None  # mechanism and user that a re-authentication must keep to
        self._begun_ms = 0

    @property
    def is_done(self) -> bool:
        """Whether the client has shown who it is, and is not about to do so again."""
        return self.state is State.DONE

    @property
    def has_failed(self) -> bool:
        """Whether the connection is to be closed behind the answer."""
        return self.state is State.FAILED

    def admits(self, api_key: int, *, is_expired: bool) -> bool:
        """Whether a request may be served now; if not, the connection is closed without an answer."""
        if self.state is State.HANDSHAKE:
            return api_key in (SASL_HANDSHAKE, API_VERSIONS)
        if self.state is State.TOKENS:
            return api_key == SASL_AUTHENTICATE
        return self.state is State.DONE and (not is_expired or api_key == SASL_HANDSHAKE)

    def handshake(self, mechanism: str, *, version: int, now_ms: int) -> None:
        """Choose a mechanism. Raises UnsupportedSaslMechanismError, IllegalSaslStateError."""
        if self.state is State.DONE:
            if now_ms - self._begun_ms < _REAUTHENTICATION_INTERVAL_MS:
                raise IllegalSaslStateError("authentication is not to be repeated within a second")
        elif self.state is not State.HANDSHAKE:
            raise IllegalSaslStateError(f"SaslHandshake does not belong here: the state is {self.state.name}")
        if mechanism not in self.mechanisms:
            self.state = State.FAILED
            raise UnsupportedSaslMechanismError(
                f"SASL mechanism {mechanism!r} is not enabled here; these are: {', '.join(self.mechanisms)}"
            )
        self._begun_ms = now_ms
        self._mechanism = mechanism
        self._exchange = self._begin(mechanism)
        self.takes_raw_tokens = version == 0
        self.state = State.TOKENS

    def _begin(self, mechanism: str) -> Exchange:
        if mechanism == PLAIN:
            return PlainExchange(self._plain_users)
        from broker_embedded.security.scram import MECHANISMS, ScramExchange  # hashes: where SCRAM is used

        found = MECHANISMS[mechanism]
        return ScramExchange(
            found,
            lambda name: self._find_credential(found.type, name),
            find_token=lambda token_id: self._find_token(found, token_id),
        )

    def token(self, message: bytes, session: Session, now_ms: int) -> bytes:
        """Take a token of the client; the last one says on the session who it is, and for how long.

        Raises SaslAuthenticationFailedError, IllegalSaslStateError.
        """
        if self.state is not State.TOKENS:
            raise IllegalSaslStateError("SaslAuthenticate request received after successful authentication")
        try:
            answer = self._exchange.step(message)
            if self._exchange.user is not None:
                self._finish(self._exchange, self._exchange.user, session, now_ms)
        except SaslAuthenticationFailedError:
            self.state = State.FAILED
            session.authenticated = False
            raise
        return answer

    def _finish(self, exchange: Exchange, user: str, session: Session, now_ms: int) -> None:
        if self._previous not in (None, (self._mechanism, user)):
            raise SaslAuthenticationFailedError(
                f"a connection is authenticated again by the same mechanism as the same user: {self._previous}, "
                f"not {(self._mechanism, user)}"
            )
        self._previous = (self._mechanism, user)
        self.state = State.DONE
        self.takes_raw_tokens = False
        session.principal = f"User:{user}"
        session.authenticated = True
        session.token_authenticated = exchange.is_token
        limits = (now_ms + self._max_reauth_ms if self._max_reauth_ms else None, exchange.expires_ms)
        session.expires_ms = min((limit for limit in limits if limit is not None), default=None)
