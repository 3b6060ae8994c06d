# 29 DescribeAcls: the ACLs that a filter finds, grouped by resource (KIP-140; prefixes and MATCH: KIP-290).
#
# - Null, and ANY, let everything pass; MATCH finds every ACL that is about a resource of the name.
# - Without an authorizer: SECURITY_DISABLED. A number that is none of Kafka's: INVALID_REQUEST.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError, SecurityDisabledError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security.acl_store import NO_AUTHORIZER, filter_of, find
from broker_embedded.security.acls import Acl
from broker_embedded.wire.messages.security import (
    AclDescription,
    DescribeAclsRequest,
    DescribeAclsResource,
    DescribeAclsResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(29, versions=(1, 3))
async def handle(cluster: Cluster, request: DescribeAclsRequest, context: RequestContext) -> DescribeAclsResponse:
    if cluster.authorizer is None:
        return DescribeAclsResponse(SecurityDisabledError.info.code, NO_AUTHORIZER)
    try:
        found = find(cluster, filter_of(request))
    except InvalidRequestError as error:
        return DescribeAclsResponse(error.code, str(error))
    return DescribeAclsResponse(resources=_by_resource(list(found.values())))


def _by_resource(acls: list[Acl]) -> list[DescribeAclsResource]:
    resources: dict[tuple[int, str, int], DescribeAclsResource] = {}
    for acl in acls:
        key = (int(acl.resource_type), acl.name, int(acl.pattern_type))
        row = resources.setdefault(key, DescribeAclsResource(*key))
        row.acls.append(AclDescription(acl.principal, acl.host, int(acl.operation), int(acl.permission)))
    return list(resources.values())
