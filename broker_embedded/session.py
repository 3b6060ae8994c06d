"""Who asks: what the broker remembers of a connection, and what it knows of a single request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker_embedded.security.sasl import Sasl

ANONYMOUS = "User:ANONYMOUS"
_NEWEST = 32_767


@dataclass(slots=True)
class Session:
    """One per connection; requests in the process share one that stands for the process itself.

    >>> Session(client_host="127.0.0.1").principal
    'User:ANONYMOUS'
    """

    client_host: str = ""
    listener: str = ""  # its name; empty for requests in the process
    principal: str = ANONYMOUS
    sasl: Sasl | None = None  # on listeners with SASL
    authenticated: bool = True
    expires_ms: int | None = None  # when the authentication has to be repeated (KIP-368)
    token_authenticated: bool = False  # by a delegation token (KIP-48)
    client_software_name: str = "unknown"
    client_software_version: str = "unknown"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request comes from. Some rules depend on the version that the client spoke."""

    api_version: int = _NEWEST
    client_id: str = ""
    in_process: bool = False  # batches come straight from `records.encode`: their CRC needs no second look
    session: Session = field(default_factory=Session)


LOCAL = RequestContext(in_process=True)
