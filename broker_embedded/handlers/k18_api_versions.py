# 18 ApiVersions: which versions of which APIs this broker serves, and its features.
#
# - The list is what the handlers say they serve; Produce alone is told from version 0 on, though 3 is the first:
#   librdkafka reads its compression features out of that number (KAFKA-18659).
# - A version of this very API that is not served is answered in version 0 with UNSUPPORTED_VERSION and the list, so
#   that any client can go on from there (KIP-511).
# - From version 3 on a client says its name and version; INVALID_REQUEST if they are not of the form of KIP-511.
# - A feature that may be off, at level 0, is told from version 4 on: clients that ask in version 3 fail on it.
# - Features tell clients which protocols to use: group.version 1 (KIP-848), transaction.version 2 (KIP-890). Levels are
#   those of the metadata log; its last offset is their epoch.
from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError, UnsupportedVersionError
from broker_embedded.handlers import RequestContext, handler, served
from broker_embedded.metadata import SUPPORTED_FEATURES
from broker_embedded.wire.messages.cluster import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_PRODUCE = 0
_NAMES_ITSELF = 3
_KNOWS_LEVEL_0 = 4
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


@handler(18, versions=(0, 4))
async def handle(cluster: Cluster, request: ApiVersionsRequest, context: RequestContext) -> ApiVersionsResponse:
    if context.api_version >= _NAMES_ITSELF:
        said = (request.client_software_name, request.client_software_version)
        if not all(_SOFTWARE.fullmatch(text) for text in said):
            return ApiVersionsResponse(InvalidRequestError.info.code)
        context.session.client_software_name, context.session.client_software_version = said
    return ApiVersionsResponse(
        0,
        _rows(),
        supported_features=[
            SupportedFeatureKey(name, *levels)
            for name, levels in SUPPORTED_FEATURES.items()
            if levels[0] > 0 or context.api_version >= _KNOWS_LEVEL_0
        ],
        finalized_features_epoch=cluster.metadata.offset,
        finalized_features=[FinalizedFeatureKey(name, n, n) for name, n in cluster.metadata.features.items()],
    )


def unsupported() -> ApiVersionsResponse:
    """The answer, in version 0, to a version that is not served."""
    return ApiVersionsResponse(UnsupportedVersionError.info.code, _rows())


@cache
def _rows() -> list[ApiVersion]:
    return [ApiVersion(key, 0 if key == _PRODUCE else first, last) for key, (first, last) in served().items()]
