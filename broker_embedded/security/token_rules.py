"""Rules for delegation tokens of others (KIP-373; Kafka: KafkaApis, DelegationTokenManager.filterToken)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.security.guard import Answer, Guard, denied
from broker_embedded.security.tokens import owner_of
from broker_embedded.wire.error_response import error_response

if TYPE_CHECKING:
    from broker_embedded.wire.messages.delegation_tokens import (
        CreateDelegationTokenRequest,
        CreateDelegationTokenResponse,
        DescribedDelegationToken,
        DescribeDelegationTokenRequest,
        DescribeDelegationTokenResponse,
    )


async def create_token(
    guard: Guard, request: CreateDelegationTokenRequest, answer: Answer
) -> CreateDelegationTokenResponse:
    """For others: CreateTokens of that user."""
    requester = guard.context.session.principal
    owner = owner_of(request, requester)
    if owner != requester and not guard.allows(Operation.CREATE_TOKENS, ResourceType.USER, owner):
        return error_response(request, denied(ResourceType.DELEGATION_TOKEN))  # type: ignore[return-value]
    return await answer(request)  # type: ignore[no-any-return]


async def describe_tokens(
    guard: Guard, request: DescribeDelegationTokenRequest, answer: Answer
) -> DescribeDelegationTokenResponse:
    """Of others: Describe of the token, or DescribeTokens of its owner."""
    response: DescribeDelegationTokenResponse = await answer(request)
    response.tokens = [row for row in response.tokens if _is_visible(guard, row)]
    return response


def _is_visible(guard: Guard, row: DescribedDelegationToken) -> bool:
    owner = f"{row.principal_type}:{row.principal_name}"
    requester = f"{row.token_requester_principal_type}:{row.token_requester_principal_name}"
    renewers = (f"{renewer.principal_type}:{renewer.principal_name}" for renewer in row.renewers)
    return (
        guard.context.session.principal in (owner, requester, *renewers)
        or guard.allows(Operation.DESCRIBE, ResourceType.DELEGATION_TOKEN, row.token_id)
        or guard.allows(Operation.DESCRIBE_TOKENS, ResourceType.USER, owner)
    )
