# 17 SaslHandshake: the client says by which mechanism it will show who it is (KIP-43).
#
# - UNSUPPORTED_SASL_MECHANISM lists those that are enabled; the connection is closed behind it.
# - Version 1: SaslAuthenticate follows (KIP-152). Version 0: bare tokens follow, each behind its length alone.
# - On a connection that is authenticated already it begins a new authentication (KIP-368), at most once a second, and
#   ILLEGAL_SASL_STATE is the answer before that, as on a listener without SASL.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import IllegalSaslStateError, UnsupportedSaslMechanismError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.security import SaslHandshakeRequest, SaslHandshakeResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(17, versions=(0, 1))
async def handle(cluster: Cluster, request: SaslHandshakeRequest, context: RequestContext) -> SaslHandshakeResponse:
    sasl = context.session.sasl
    if sasl is None:
        return SaslHandshakeResponse(IllegalSaslStateError.info.code)
    try:
        sasl.handshake(request.mechanism, version=context.api_version, now_ms=cluster.now_ms())
    except IllegalSaslStateError as error:
        return SaslHandshakeResponse(error.code)
    except UnsupportedSaslMechanismError as error:
        return SaslHandshakeResponse(error.code, list(sasl.mechanisms))
    return SaslHandshakeResponse(0, list(sasl.mechanisms))
