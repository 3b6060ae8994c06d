"""What a mechanism of SASL is to the authentication of a connection."""

from __future__ import annotations

from typing import Final

PLAIN: Final = "PLAIN"
SASL_MECHANISMS: Final = (PLAIN, "SCRAM-SHA-256", "SCRAM-SHA-512")
"""What is served; Kafka also has GSSAPI and OAUTHBEARER."""


class Exchange:
    """One run of a mechanism, the server's side: `step` until `user` is known."""

    user: str | None = None
    expires_ms: int | None = None  # of a delegation token
    is_token = False

    def step(self, message: bytes) -> bytes:
        """The answer to a message of the client. Raises SaslAuthenticationFailedError."""
        raise NotImplementedError
