"""SCRAM-SHA-256 and SCRAM-SHA-512, the server's side: RFC 5802, RFC 7677, without channel binding. No I/O.

Of a password the broker keeps what can check a client and prove itself to it, and not what a client needs:
StoredKey and ServerKey (Kafka: ScramCredential; the client sends the salted password, KIP-554).
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from hashlib import new as new_hash
from hashlib import pbkdf2_hmac
from typing import Final, NamedTuple

from broker_embedded.errors import SaslAuthenticationFailedError
from broker_embedded.security.exchange import Exchange

ITERATIONS_MIN: Final = 4096
ITERATIONS_MAX: Final = 16_384

_TOKEN: Final = "tokenauth=true"
_SASL_NAME = r"(?:[^=,\x00]|=2C|=3D)+"
_CLIENT_FIRST = re.compile(
    rf"(?P<gs2>n,(?:a=(?P<authorization>{_SASL_NAME}))?,)"
    rf"(?P<bare>n=(?P<name>{_SASL_NAME}),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?P<extensions>(?:,[A-Za-z]+=[^,\x00]+)*))"
)
_CLIENT_FINAL = re.compile(
    r"(?P<without_proof>c=(?P<binding>[A-Za-z0-9/+=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]+=[^,\x00]+)*)"
    r",p=(?P<proof>[A-Za-z0-9/+=]+)"
)


class Mechanism(NamedTuple):
    """One of Kafka's two mechanisms; `type` is its number in requests and in the metadata log."""

    type: int
    name: str
    digest: str


SCRAM_SHA_256: Final = Mechanism(1, "SCRAM-SHA-256", "sha256")
SCRAM_SHA_512: Final = Mechanism(2, "SCRAM-SHA-512", "sha512")
MECHANISMS: Final = {mechanism.name: mechanism for mechanism in (SCRAM_SHA_256, SCRAM_SHA_512)}
MECHANISM_TYPES: Final = {mechanism.type: mechanism for mechanism in (SCRAM_SHA_256, SCRAM_SHA_512)}


class Credential(NamedTuple):
    """What is kept of a user's password, for one mechanism."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


class Token(NamedTuple):
    """A delegation token, as a user: whose name it gives, how it is checked, until when it holds."""

    owner: str
    credential: Credential
    expires_ms: int


def salt_password(mechanism: Mechanism, password: str, salt: bytes, iterations: int) -> bytes:
    """What a client derives from a password, in some milliseconds.

    >>> salt_password(SCRAM_SHA_256, "pencil", b"salt", 4096).hex()[:16]
    '0997564f29292327'
    """
    return pbkdf2_hmac(mechanism.digest, password.encode(), salt, iterations)


def credential(mechanism: Mechanism, salted_password: bytes, salt: bytes, iterations: int) -> Credential:
    """What to keep of a salted password."""
    client_key = _hmac(mechanism, salted_password, b"Client Key")
    return Credential(salt, _hash(mechanism, client_key), _hmac(mechanism, salted_password, b"Server Key"), iterations)


class ScramExchange(Exchange):
    """Takes the client's two messages, one `step` each."""

    def __init__(
        self,
        mechanism: Mechanism,
        find: Callable[[str], Credential | None],
        nonce: Callable[[], str] | None = None,
        find_token: Callable[[str], Token | None] = lambda token_id: None,
    ) -> None:
        """`find` looks up a user's credential of this mechanism; `nonce` makes the server's part of the nonce."""
        self._mechanism = mechanism
        self._find = find
        self._find_token = find_token
        self._make_nonce = nonce or secrets.token_urlsafe
        self.user = None
        self._credential: Credential | None = None
        self._gs2 = b""
        self._nonce = ""
        self._exchanged = ""
        self._user = ""

    def step(self, message: bytes) -> bytes:
        """The answer to a message. Raises SaslAuthenticationFailedError, which says nothing about which users exist."""
        if self.user is not None:
            raise SaslAuthenticationFailedError("the client goes on after the end of the exchange")
        if self._credential is None:
            return self._first(message)
        return self._final(message, self._credential)

    def _first(self, message: bytes) -> bytes:
        found = _match(_CLIENT_FIRST, message)
        name = _unescape(found["name"])
        kept = self._token(name) if _TOKEN in found["extensions"].split(",") else self._find(name)
        if kept is None or kept.iterations < ITERATIONS_MIN:
            raise self._invalid()
        if _unescape(found["authorization"] or "") not in ("", name):
            raise SaslAuthenticationFailedError("Authentication failed: the authorization id is not the user's name")
        self._user = self._user or name
        self._credential = kept
        self._gs2 = found["gs2"].encode()
        self._nonce = found["nonce"] + self._make_nonce()
        answer = f"r={self._nonce},s={b64encode(kept.salt).decode()},i={kept.iterations}"
        self._exchanged = f"{found['bare']},{answer}"
        return answer.encode()

    def _token(self, token_id: str) -> Credential | None:
        token = self._find_token(token_id)
        if token is None:
            return None
        self._user, self.expires_ms, self.is_token = token.owner, token.expires_ms, True
        return token.credential

    def _final(self, message: bytes, kept: Credential) -> bytes:
        found = _match(_CLIENT_FINAL, message)
        proof, binding = _decode(found["proof"]), _decode(found["binding"])
        signed = f"{self._exchanged},{found['without_proof']}".encode()
        client_signature = _hmac(self._mechanism, kept.stored_key, signed)
        is_right = len(proof) == len(client_signature)
        client_key = bytes(a ^ b for a, b in zip(proof, client_signature, strict=False))
        is_right &= hmac.compare_digest(_hash(self._mechanism, client_key), kept.stored_key)
        # As Kafka's ScramSaslServer asks: librdkafka up to 2.6.0 puts its own part in front a second time.
        is_right &= found["nonce"].endswith(self._nonce)
        if not is_right or binding != self._gs2:
            raise self._invalid()
        self.user = self._user
        return b"v=" + b64encode(_hmac(self._mechanism, kept.server_key, signed))

    def _invalid(self) -> SaslAuthenticationFailedError:
        return SaslAuthenticationFailedError(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism "
            f"{self._mechanism.name}"
        )


def _unescape(name: str) -> str:
    return name.replace("=2C", ",").replace("=3D", "=")


def _match(pattern: re.Pattern[str], message: bytes) -> re.Match[str]:
    try:
        found = pattern.fullmatch(message.decode())
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise SaslAuthenticationFailedError("Authentication failed: the message is not one of SCRAM (RFC 5802)")
    return found


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error:
        raise SaslAuthenticationFailedError(
            "Authentication failed: the message is not one of SCRAM (RFC 5802)"
        ) from None


def _hmac(mechanism: Mechanism, key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, mechanism.digest)


def _hash(mechanism: Mechanism, data: bytes) -> bytes:
    return new_hash(mechanism.digest, data).digest()
