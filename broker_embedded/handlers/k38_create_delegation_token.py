# 38 CreateDelegationToken: a token with which programs log in as the user who asks (KIP-48), or as another (KIP-373).
#
# - DELEGATION_TOKEN_REQUEST_NOT_ALLOWED for whoever has not authenticated, or has done so by a token;
#   DELEGATION_TOKEN_AUTH_DISABLED without `delegation.token.secret.key`; INVALID_PRINCIPAL_TYPE for a renewer that is
#   no user.
# - It holds for `delegation.token.expiry.time.ms` (a day) and can be renewed for `delegation.token.max.lifetime.ms` (a
#   week), or for `max_lifetime_ms` if that is less.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security import tokens
from broker_embedded.wire.messages.delegation_tokens import CreateDelegationTokenRequest, CreateDelegationTokenResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(38, versions=(1, 3))
async def handle(
    cluster: Cluster, request: CreateDelegationTokenRequest, context: RequestContext
) -> CreateDelegationTokenResponse:
    requester = context.session.principal
    owner = tokens.owner_of(request, requester)
    response = CreateDelegationTokenResponse(0, *tokens.type_and_name(owner), *tokens.type_and_name(requester))
    try:
        tokens.check_may_ask(cluster, context.session)
        renewers = [f"{row.principal_type}:{row.principal_name}" for row in request.renewers]
        token = tokens.create(cluster, owner, requester, renewers, request.max_lifetime_ms)
    except KafkaError as error:
        response.error_code = error.code
        return response
    response.issue_timestamp_ms = token.issue_timestamp
    response.expiry_timestamp_ms = token.expiration_timestamp
    response.max_timestamp_ms = token.max_timestamp
    response.token_id = token.token_id
    response.hmac = tokens.password(cluster, token.token_id)
    return response
