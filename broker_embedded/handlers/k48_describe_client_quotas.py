# 48 DescribeClientQuotas: quotas of users, client ids and addresses (KIP-546).
#
# - A part of the question asks for one name, for the default of a type, or for any; `strict` for no other types.
# - Quotas are kept, not enforced.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.configs.client_quotas import check_filter, matches
from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.configs import (
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    QuotaEntity,
    QuotaEntry,
    ValueData,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(48, versions=(0, 1))
async def handle(
    cluster: Cluster, request: DescribeClientQuotasRequest, context: RequestContext
) -> DescribeClientQuotasResponse:
    try:
        check_filter(request.components)
    except KafkaError as error:
        return DescribeClientQuotasResponse(error.code, str(error), None)
    return DescribeClientQuotasResponse(
        error_message="",
        entries=[
            QuotaEntry([QuotaEntity(*part) for part in entity], [ValueData(*item) for item in values.items()])
            for entity, values in cluster.metadata.quotas.items()
            if matches(entity, request.components, request.strict)
        ],
    )
