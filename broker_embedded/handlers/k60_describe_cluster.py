# 60 DescribeCluster: brokers, controller, id (KIP-700).
#
# - Asked for controllers (endpoint type 2) a broker answers MISMATCHED_ENDPOINT_TYPE (KIP-919): the one here has no
#   listener of its own.
# - No broker is ever fenced here, so asking for fenced ones too changes nothing (KIP-1073).
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError, MismatchedEndpointTypeError, UnsupportedEndpointTypeError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security.acls import CLUSTER_NAME, ResourceType
from broker_embedded.security.authorizer import authorized_operations
from broker_embedded.wire.messages.cluster import (
    ENDPOINT_BROKERS,
    ENDPOINT_CONTROLLERS,
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(60, versions=(0, 2))
async def handle(cluster: Cluster, request: DescribeClusterRequest, context: RequestContext) -> DescribeClusterResponse:
    try:
        _check_endpoint(request.endpoint_type)
    except KafkaError as error:
        return DescribeClusterResponse(error.code, str(error))
    response = DescribeClusterResponse(
        cluster_id=cluster.folder.meta.cluster_id,
        controller_id=cluster.config.node_id,
        brokers=[DescribeClusterBroker(*cluster.advertised(context), rack=cluster.config.broker_rack)],
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = authorized_operations(
            cluster, context, ResourceType.CLUSTER, CLUSTER_NAME
        )
    return response


def _check_endpoint(kind: int) -> None:
    if kind == ENDPOINT_CONTROLLERS:
        raise MismatchedEndpointTypeError(
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
        )
    if kind != ENDPOINT_BROKERS:
        raise UnsupportedEndpointTypeError(f"Unsupported endpoint type {kind}")
