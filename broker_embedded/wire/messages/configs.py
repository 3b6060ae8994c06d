"""Configs of topics, brokers and groups; quotas of clients."""

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


# 48 DescribeClientQuotas

MATCH_EXACT = 0
MATCH_DEFAULT = 1
MATCH_SPECIFIED = 2


class QuotaEntity(Message):
    """A part of who has a quota; name None is all without one of their own."""

    entity_type: str
    entity_name: str | None = None


class ComponentData(Message):
    entity_type: str
    match_type: int
    match: str | None = None


class DescribeClientQuotasRequest(Request):
    """`strict`: only quotas of exactly the types asked for."""

    api_key: ClassVar[int] = 48
    components: list[ComponentData] = []
    strict: bool = False


class ValueData(Message):
    key: str
    value: float


class QuotaEntry(Message):
    entity: list[QuotaEntity]
    values: list[ValueData] = []


class DescribeClientQuotasResponse(Response):
    error_code: int = 0
    error_message: str | None = None
    entries: list[QuotaEntry] | None = []
    throttle_time_ms: int = 0


# 49 AlterClientQuotas


class OpData(Message):
    key: str
    value: float = 0.0
    remove: bool = False


class AlteredQuotaEntry(Message):
    entity: list[QuotaEntity]
    ops: list[OpData] = []


class AlterClientQuotasRequest(Request):
    api_key: ClassVar[int] = 49
    entries: list[AlteredQuotaEntry] = []
    validate_only: bool = False


class AlteredQuotaResult(Message):
    entity: list[QuotaEntity]
    error_code: int = 0
    error_message: str | None = None


class AlterClientQuotasResponse(Response):
    entries: list[AlteredQuotaResult] = []
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
