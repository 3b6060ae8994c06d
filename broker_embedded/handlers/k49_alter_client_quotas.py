# 49 AlterClientQuotas: set and remove quotas of users, client ids and addresses (KIP-546).
#
# - Each entity has its answer; one that is there twice is INVALID_REQUEST. Quotas are kept, not enforced.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.configs.client_quotas import changes_of, entity_of
from broker_embedded.errors import InvalidRequestError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.metadata.image import ClientQuotaEntity
from broker_embedded.wire.messages.configs import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    AlteredQuotaEntry,
    AlteredQuotaResult,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(49, versions=(0, 1))
async def handle(
    cluster: Cluster, request: AlterClientQuotasRequest, context: RequestContext
) -> AlterClientQuotasResponse:
    seen: set[ClientQuotaEntity] = set()
    return AlterClientQuotasResponse([_alter(cluster, row, request.validate_only, seen) for row in request.entries])


def _alter(
    cluster: Cluster, row: AlteredQuotaEntry, validate_only: bool, seen: set[ClientQuotaEntity]
) -> AlteredQuotaResult:
    try:
        entity = entity_of(row.entity)
        if entity in seen:
            raise InvalidRequestError(f"Ignoring duplicate entity {dict(entity)}")
        seen.add(entity)
        changes = changes_of(entity, row.ops)
        if not validate_only:
            present = cluster.metadata.quotas.get(entity, {})
            cluster.metadata.set_quotas(entity, {k: v for k, v in changes.items() if v is not None or k in present})
    except KafkaError as error:
        return AlteredQuotaResult(row.entity, error.code, str(error))
    return AlteredQuotaResult(row.entity)
