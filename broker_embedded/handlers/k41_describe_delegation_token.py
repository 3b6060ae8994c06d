# 41 DescribeDelegationToken: the tokens that hold, with their HMACs (KIP-48).
#
# - `owners` null is all, empty is none; one is meant that owns a token, asked for it, or renews it.
# - Without an authorizer everybody who may ask sees all; with one, those of others take Describe of the token or
#   DescribeTokens of its owner (KIP-373). Who may ask at all: as in CreateDelegationToken.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security import tokens
from broker_embedded.wire.messages.delegation_tokens import (
    DescribedDelegationToken,
    DescribedDelegationTokenRenewer,
    DescribeDelegationTokenOwner,
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.metadata.records import DelegationTokenRecord


@handler(41, versions=(1, 3))
async def handle(
    cluster: Cluster, request: DescribeDelegationTokenRequest, context: RequestContext
) -> DescribeDelegationTokenResponse:
    try:
        tokens.check_may_ask(cluster, context.session)
    except KafkaError as error:
        return DescribeDelegationTokenResponse(error.code)
    found = tokens.of_owners(cluster, _principals(request.owners))
    return DescribeDelegationTokenResponse(tokens=[_row(cluster, token) for token in found])


def _principals(owners: list[DescribeDelegationTokenOwner] | None) -> list[str] | None:
    return None if owners is None else [f"{owner.principal_type}:{owner.principal_name}" for owner in owners]


def _row(cluster: Cluster, token: DelegationTokenRecord) -> DescribedDelegationToken:
    return DescribedDelegationToken(
        *tokens.type_and_name(token.owner),
        token.issue_timestamp,
        token.expiration_timestamp,
        token.max_timestamp,
        token.token_id,
        tokens.password(cluster, token.token_id),
        *tokens.type_and_name(token.requester),
        [DescribedDelegationTokenRenewer(*tokens.type_and_name(renewer)) for renewer in token.renewers],
    )
