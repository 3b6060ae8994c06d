# 57 UpdateFeatures: which level of a feature clients and broker are to use (KIP-584).
#
# - All updates of a request are made or none. Levels are those that this broker supports; a lower one takes an upgrade
#   type that says so (2 safe, 3 unsafe; in version 0 `allow_downgrade`).
# - metadata.version never falls: records of the newest level may be in the log, which an older one can't read.
#   kraft.version stays as it is: it says how voters are found, and there is one.
# - From version 2 on errors come for the request as a whole; before, there is a row for each feature.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidUpdateVersionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.metadata import KRAFT_VERSION, METADATA_VERSION, SUPPORTED_FEATURES
from broker_embedded.wire.messages.cluster import (
    SAFE_DOWNGRADE,
    UNSAFE_DOWNGRADE,
    UPGRADE,
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(57, versions=(0, 2))
async def handle(cluster: Cluster, request: UpdateFeaturesRequest, context: RequestContext) -> UpdateFeaturesResponse:
    try:
        for update in request.feature_updates:
            _check(cluster, update)
    except InvalidUpdateVersionError as error:
        why = f"The update failed for all features since the following feature had an error: {error}"
        return UpdateFeaturesResponse(error.code, why)
    if not request.validate_only:
        levels = {update.feature: update.max_version_level for update in request.feature_updates}
        present = cluster.metadata.features
        cluster.metadata.set_features({n: level for n, level in levels.items() if level != present.get(n, 0)})
    names = dict.fromkeys(update.feature for update in request.feature_updates)
    return UpdateFeaturesResponse(results=[UpdatableFeatureResult(name, 0, "NONE") for name in names])


def _check(cluster: Cluster, update: FeatureUpdateKey) -> None:
    node, level = cluster.config.node_id, update.max_version_level
    if _kind(update) not in (UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE):
        raise _invalid(update, "The controller does not support the given upgrade type.")
    if level < 0:
        raise _invalid(update, "A feature version cannot be less than 0.")
    if update.feature not in SUPPORTED_FEATURES:
        raise _invalid(update, f"Local controller {node} does not support this feature.")
    least, most = SUPPORTED_FEATURES[update.feature]
    if not least <= level <= most:
        raise _invalid(update, f"Local controller {node} only supports versions {least}-{most}")
    _check_direction(update, cluster.metadata.features.get(update.feature, 0))


def _kind(update: FeatureUpdateKey) -> int:
    return SAFE_DOWNGRADE if update.allow_downgrade else update.upgrade_type


def _check_direction(update: FeatureUpdateKey, present: int) -> None:
    level = update.max_version_level
    if level < present and _kind(update) == UPGRADE:
        raise _invalid(
            update,
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe "
            "downgrade.",
        )
    if level > present and _kind(update) != UPGRADE:
        raise _invalid(update, "Can't downgrade to a newer version.")
    if level != present and update.feature == KRAFT_VERSION:
        raise _invalid(update, "The quorum of this broker is itself, whatever the version.")
    if level < present and update.feature == METADATA_VERSION:
        raise InvalidUpdateVersionError(
            f"Unsupported metadata.version downgrade from {present} to {level}. "
            "Refusing to perform the requested downgrade because it might delete metadata information."
        )


def _invalid(update: FeatureUpdateKey, why: str) -> InvalidUpdateVersionError:
    return InvalidUpdateVersionError(
        f"Invalid update version {update.max_version_level} for feature {update.feature}. {why}"
    )
