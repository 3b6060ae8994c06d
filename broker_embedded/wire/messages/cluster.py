"""The cluster: versions, brokers, log directories, features, reassignments, quotas."""

from __future__ import annotations

from typing import ClassVar

from broker_embedded.wire.messages import Message, Request, Response

# 18 ApiVersions


class ApiVersionsRequest(Request):
    api_key: ClassVar[int] = 18
    client_software_name: str = ""
    client_software_version: str = ""


class ApiVersion(Message):
    api_key: int
    min_version: int
    max_version: int


class SupportedFeatureKey(Message):
    name: str
    min_version: int
    max_version: int


class FinalizedFeatureKey(Message):
    name: str
    max_version_level: int
    min_version_level: int


class ApiVersionsResponse(Response):
    error_code: int = 0
    api_keys: list[ApiVersion] = []
    throttle_time_ms: int = 0
    supported_features: list[SupportedFeatureKey] = []
    finalized_features_epoch: int = -1
    finalized_features: list[FinalizedFeatureKey] = []
    zk_migration_ready: bool = False
