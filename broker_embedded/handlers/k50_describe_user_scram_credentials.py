# 50 DescribeUserScramCredentials: which users have a password, by mechanism, with the iterations; never the keys
# (KIP-554).
#
# - `users` null or empty is all.
# - An unknown user is RESOURCE_NOT_FOUND, one that is named twice DUPLICATE_RESOURCE; both in the user's row.
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from broker_embedded.errors import DuplicateResourceError, KafkaError, ResourceNotFoundError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.security import (
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(50, versions=(0, 0))
async def handle(
    cluster: Cluster, request: DescribeUserScramCredentialsRequest, context: RequestContext
) -> DescribeUserScramCredentialsResponse:
    found: dict[str, list[CredentialInfo]] = {}
    for (user, mechanism), kept in sorted(cluster.metadata.scram_users.items()):
        found.setdefault(user, []).append(CredentialInfo(mechanism, kept.iterations))
    asked = Counter(user.name for user in request.users) if request.users else dict.fromkeys(found, 1)
    return DescribeUserScramCredentialsResponse(
        results=[_describe(user, found.get(user), times) for user, times in asked.items()]
    )


def _describe(user: str, found: list[CredentialInfo] | None, times: int) -> DescribeUserScramCredentialsResult:
    failure: KafkaError
    if times > 1:
        failure = DuplicateResourceError(
            f"Cannot describe SCRAM credentials for the same user twice in a single request: {user}"
        )
    elif found is None:
        failure = ResourceNotFoundError(f"Attempt to describe a user credential that does not exist: {user}")
    else:
        return DescribeUserScramCredentialsResult(user, credential_infos=found)
    return DescribeUserScramCredentialsResult(user, failure.code, str(failure))
