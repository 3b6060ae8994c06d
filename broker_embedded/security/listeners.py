"""Addresses a broker listens on."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listener:
    """One address. Port 0 takes a free one.

    >>> Listener().host
    '127.0.0.1'
    """

    name: str = "PLAINTEXT"
    host: str = "127.0.0.1"
    port: int = 0

    def ssl_context(self) -> ssl.SSLContext | None:
        return None
