"""Configs of topics, brokers and groups."""

from __future__ import annotations

from typing import ClassVar

from broker_embedded.wire.messages import Message, Request, Response

RESOURCE_TOPIC = 2
RESOURCE_BROKER = 4


# 32 DescribeConfigs


class DescribeConfigsResource(Message):
    """`configuration_keys` is None for all."""

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


class AlterConfigsResourceResponse(Message):
    resource_type: int
    resource_name: str
    error_code: int = 0
    error_message: str | None = None


class IncrementalAlterConfigsResponse(Response):
    responses: list[AlterConfigsResourceResponse] = []
    throttle_time_ms: int = 0
