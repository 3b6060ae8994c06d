# 36 SaslAuthenticate: one token of the chosen mechanism, answered by one of the server's (KIP-152).
#
# - A wrong password is SASL_AUTHENTICATION_FAILED with a message that does not say whether the user exists; the
#   connection is closed behind it.
# - The answer to the last token says from version 1 on for how long the authentication holds (KIP-368,
#   `connections.max.reauth.ms`); 0 is for ever.
# - Without a handshake before it, or after the end: ILLEGAL_SASL_STATE.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import IllegalSaslStateError, SaslAuthenticationFailedError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.security import SaslAuthenticateRequest, SaslAuthenticateResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(36, versions=(0, 2))
async def handle(
    cluster: Cluster, request: SaslAuthenticateRequest, context: RequestContext
) -> SaslAuthenticateResponse:
    session = context.session
    if session.sasl is None:
        text = "SaslAuthenticate came by a listener without SASL"
        return SaslAuthenticateResponse(IllegalSaslStateError.info.code, text)
    now_ms = cluster.now_ms()
    try:
        token = session.sasl.token(bytes(request.auth_bytes), session, now_ms)
    except (SaslAuthenticationFailedError, IllegalSaslStateError) as error:
        return SaslAuthenticateResponse(error.code, str(error))
    lifetime_ms = session.expires_ms - now_ms if session.sasl.is_done and session.expires_ms is not None else 0
    return SaslAuthenticateResponse(auth_bytes=token, session_lifetime_ms=lifetime_ms)
