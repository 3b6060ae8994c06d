"""Addresses a broker listens on, and how whoever comes there says who they are."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from broker_embedded.security.exchange import PLAIN, SASL_MECHANISMS

if TYPE_CHECKING:
    import ssl

    from broker_embedded.security.tls import Tls

_EVERY_ADDRESS: Final = ("", "0.0.0.0", "::")


class SecurityProtocol(Enum):
    """Kafka's four; the name says whether connections are encrypted, and whether they begin with SASL."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def has_tls(self) -> bool:
        return self.value.endswith("SSL")

    @property
    def has_sasl(self) -> bool:
        return self.value.startswith("SASL")


@dataclass(frozen=True, slots=True)
class Listener:
    """One address. Port 0 takes a free one; host "" is every address of the machine.

    >>> Listener().host
    '127.0.0.1'
    >>> listener = Listener("IN", protocol=SecurityProtocol.SASL_PLAINTEXT, plain_users={"ada": "difference"})
    >>> listener.has_authentication
    True
    """

    name: str = "PLAINTEXT"
    host: str = "127.0.0.1"
    port: int = 0
    protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    advertised_host: str | None = None  # what clients are told to connect to, if not host and port
    advertised_port: int | None = None
    tls: Tls | None = None
    sasl_mechanisms: tuple[str, ...] = SASL_MECHANISMS
    plain_users: Mapping[str, str] = field(default_factory=dict, repr=False)  # passwords by name
    connections_max_reauth_ms: int = 0  # how long an authentication by SASL holds; 0: for ever

    def __post_init__(self) -> None:
        if self.protocol.has_tls and self.tls is None:
            raise ValueError(f"listener {self.name}: {self.protocol.value} needs a certificate (tls=, ssl.keystore.*)")

    @property
    def has_authentication(self) -> bool:
        """Whether whoever comes here has to prove who they are."""
        return self.protocol.has_sasl or (self.tls is not None and self.tls.client_auth == "required")

    def advertised(self, port: int) -> tuple[str, int]:
        """Host and port that clients are told, if it listens on `port`. Every address is told as the machine's name."""
        host = self.advertised_host or self.host
        if host in _EVERY_ADDRESS:
            host = socket.gethostname()
        return host, self.advertised_port or port

    def ssl_context(self) -> ssl.SSLContext | None:
        """What the server's side of TLS needs; None where connections are not encrypted. Reads the key stores.

        Raises TlsConfigError, which says which setting is wrong.
        """
        if self.tls is None or not self.protocol.has_tls:
            return None
        return self.tls.context(self.name)


def exposure_warning(listener: Listener, port: int) -> str | None:
    """What a listener opens to others on the network without asking who they are; None if that is nothing.

    >>> exposure_warning(Listener(), 9092) is None
    True
    >>> print(exposure_warning(Listener(host="0.0.0.0"), 9092))
    Listener PLAINTEXT (0.0.0.0:9092) takes connections from other machines and does not ask who they are: whoever
    reaches it can read, write, create and delete every topic, move the offsets of every group, and change settings.
    To close it, bind it to 127.0.0.1, or use SASL_SSL with users, or SSL with ssl.client.auth=required.
    """
    if listener.host == "127.0.0.1":  # the usual case starts without the module of addresses
        return None
    from broker_embedded.security.addresses import is_loopback

    if is_loopback(listener.host):
        return None
    where = f"Listener {listener.name} ({listener.host or 'all addresses'}:{port})"
    if not listener.has_authentication:
        return (
            f"{where} takes connections from other machines and does not ask who they are: whoever\n"
            "reaches it can read, write, create and delete every topic, move the offsets of every group, and change "
            "settings.\n"
            "To close it, bind it to 127.0.0.1, or use SASL_SSL with users, or SSL with ssl.client.auth=required."
        )
    if listener.protocol is SecurityProtocol.SASL_PLAINTEXT and PLAIN in listener.sasl_mechanisms:
        return (
            f"{where} takes passwords from other machines in clear text (PLAIN without TLS): whoever sees the\n"
            "traffic can read them. Use SASL_SSL, or SCRAM-SHA-256 alone (sasl.enabled.mechanisms)."
        )
    return None
