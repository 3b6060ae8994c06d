# 31 DeleteAcls: take away the ACLs that filters find; the answer says which those were (KIP-140, KIP-290).
#
# - Filters as in DescribeAcls. One that several filters find is in each one's row.
# - Without an authorizer: SECURITY_DISABLED; a number that is none of Kafka's: INVALID_REQUEST in the filter's row.
from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from broker_embedded.errors import InvalidRequestError, SecurityDisabledError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security.acl_store import NO_AUTHORIZER, filter_of, find, remove
from broker_embedded.security.acls import Acl
from broker_embedded.wire.messages.security import (
    DeleteAclsFilterResult,
    DeleteAclsMatchingAcl,
    DeleteAclsRequest,
    DeleteAclsResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(31, versions=(1, 3))
async def handle(cluster: Cluster, request: DeleteAclsRequest, context: RequestContext) -> DeleteAclsResponse:
    if cluster.authorizer is None:
        disabled = DeleteAclsFilterResult(SecurityDisabledError.info.code, NO_AUTHORIZER)
        return DeleteAclsResponse([disabled] * len(request.filters))
    doomed: set[UUID] = set()
    rows = []
    for asked in request.filters:
        try:
            found = find(cluster, filter_of(asked))
        except InvalidRequestError as error:
            rows.append(DeleteAclsFilterResult(error.code, str(error)))
            continue
        doomed.update(found)
        rows.append(DeleteAclsFilterResult(matching_acls=[_row(acl) for acl in found.values()]))
    remove(cluster, doomed)
    return DeleteAclsResponse(rows)


def _row(acl: Acl) -> DeleteAclsMatchingAcl:
    return DeleteAclsMatchingAcl(
        int(acl.resource_type),
        acl.name,
        acl.principal,
        acl.host,
        int(acl.operation),
        int(acl.permission),
        int(acl.pattern_type),
    )
