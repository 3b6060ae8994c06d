# 40 ExpireDelegationToken: let a token hold for so long from now, or, with a negative period, no more (KIP-48).
#
# - Who may, and the errors: as in RenewDelegationToken.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security import tokens
from broker_embedded.wire.messages.delegation_tokens import ExpireDelegationTokenRequest, ExpireDelegationTokenResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(40, versions=(1, 2))
async def handle(
    cluster: Cluster, request: ExpireDelegationTokenRequest, context: RequestContext
) -> ExpireDelegationTokenResponse:
    session = context.session
    try:
        tokens.check_may_ask(cluster, session)
        expiry_ms = tokens.expire(cluster, session.principal, bytes(request.hmac), request.expiry_time_period_ms)
    except KafkaError as error:
        return ExpireDelegationTokenResponse(error.code)
    return ExpireDelegationTokenResponse(expiry_timestamp_ms=expiry_ms)
