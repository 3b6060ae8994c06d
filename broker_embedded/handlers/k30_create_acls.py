# 30 CreateAcls: add ACLs; one that is there already is no error (KIP-140, KIP-290).
#
# - A row that makes no sense is INVALID_REQUEST and does not hold up the others: ANY, MATCH or an unknown number, an
#   empty name, a cluster of another name than kafka-cluster, a principal without a type.
# - Without an authorizer: SECURITY_DISABLED. Kafka: AclApis, AclControlManager.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError, SecurityDisabledError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security.acl_store import NO_AUTHORIZER, acl_of, add
from broker_embedded.wire.messages.security import AclCreationResult, CreateAclsRequest, CreateAclsResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.security.acls import Acl


@handler(30, versions=(1, 3))
async def handle(cluster: Cluster, request: CreateAclsRequest, context: RequestContext) -> CreateAclsResponse:
    if cluster.authorizer is None:
        disabled = AclCreationResult(SecurityDisabledError.info.code, NO_AUTHORIZER)
        return CreateAclsResponse([disabled] * len(request.creations))
    acls: list[Acl] = []
    rows = []
    for creation in request.creations:
        row = AclCreationResult()
        try:
            acls.append(acl_of(creation))
        except InvalidRequestError as error:
            row = AclCreationResult(error.code, str(error))
        rows.append(row)
    add(cluster, acls)
    return CreateAclsResponse(rows)
