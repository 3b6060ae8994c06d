# 39 RenewDelegationToken: let a token hold for longer, at most until its `max_timestamp` (KIP-48).
#
# - Its owner and its renewers may, by its HMAC: DELEGATION_TOKEN_NOT_FOUND, DELEGATION_TOKEN_OWNER_MISMATCH,
#   DELEGATION_TOKEN_EXPIRED. Who may ask at all: as in CreateDelegationToken.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security import tokens
from broker_embedded.wire.messages.delegation_tokens import RenewDelegationTokenRequest, RenewDelegationTokenResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(39, versions=(1, 2))
async def handle(
    cluster: Cluster, request: RenewDelegationTokenRequest, context: RequestContext
) -> RenewDelegationTokenResponse:
    session = context.session
    try:
        tokens.check_may_ask(cluster, session)
        expiry_ms = tokens.renew(cluster, session.principal, bytes(request.hmac), request.renew_period_ms)
    except KafkaError as error:
        return RenewDelegationTokenResponse(error.code)
    return RenewDelegationTokenResponse(expiry_timestamp_ms=expiry_ms)
