"""Configs of topics, brokers and groups."""

from __future__ import annotations

from typing import ClassVar

from broker_embedded.wire.messages import Message, Request, Response

RESOURCE_TOPIC = 2
RESOURCE_BROKER = 4
RESOURCE_BROKER_LOGGER = 8
RESOURCE_CLIENT_METRICS = 16
RESOURCE_GROUP = 32


# 32 DescribeConfigs


class DescribeConfigsResource(Message):
    """`configuration_keys` is None, or empty, for all."""

    resource_type: int
    resource_name: str
    configuration_keys: list[str] | None = None


class DescribeConfigsRequest(Request):
    api_key: ClassVar[int] = 32
    resources: list[DescribeConfigsResource] = []
    include_synonyms: bool = False
    include_documentation: bool = False


class DescribeConfigsSynonym(Message):
    name: str
    value: str | None
    source: int


class DescribeConfigsResourceResult(Message):
    name: str
    value: str | None
    read_only: bool = False
    config_source: int = -1
    is_sensitive: bool = False
    synonyms: list[DescribeConfigsSynonym] = []
    config_type: int = 0
    documentation: str | None = None


class DescribeConfigsResult(Message):
    resource_type: int
    resource_name: str
    error_code: int = 0
    error_message: str | None = None
    configs: list[DescribeConfigsResourceResult] = []


class DescribeConfigsResponse(Response):
    results: list[DescribeConfigsResult] = []
    throttle_time_ms: int = 0


# 33 AlterConfigs


class LegacyAlterableConfig(Message):
    name: str
    value: str | None = None


class LegacyAlterConfigsResource(Message):
    """All configs that the resource is to have from then on."""

    resource_type: int
    resource_name: str
    configs: list[LegacyAlterableConfig] = []


class AlterConfigsRequest(Request):
    api_key: ClassVar[int] = 33
    resources: list[LegacyAlterConfigsResource] = []
    validate_only: bool = False


class AlterConfigsResourceResponse(Message):
    resource_type: int
    resource_name: str
    error_code: int = 0
    error_message: str | None = None


class AlterConfigsResponse(Response):
    responses: list[AlterConfigsResourceResponse] = []
    throttle_time_ms: int = 0


# 44 IncrementalAlterConfigs

OPERATION_SET = 0
OPERATION_DELETE = 1
OPERATION_APPEND = 2
OPERATION_SUBTRACT = 3


class AlterableConfig(Message):
    name: str
    config_operation: int = OPERATION_SET
    value: str | None = None


class AlterConfigsResource(Message):
    resource_type: int
    resource_name: str
    configs: list[AlterableConfig] = []


class IncrementalAlterConfigsRequest(Request):
    api_key: ClassVar[int] = 44
    resources: list[AlterConfigsResource] = []
    validate_only: bool = False


class IncrementalAlterConfigsResponse(Response):
    responses: list[AlterConfigsResourceResponse] = []
    throttle_time_ms: int = 0


# 74 ListConfigResources


class ListConfigResourcesRequest(Request):
    """No types: all."""

    api_key: ClassVar[int] = 74
    resource_types: list[int] = []


class ConfigResource(Message):
    resource_name: str
    resource_type: int = RESOURCE_CLIENT_METRICS


class ListConfigResourcesResponse(Response):
    error_code: int = 0
    config_resources: list[ConfigResource] = []
    throttle_time_ms: int = 0
