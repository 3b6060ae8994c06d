"""Configs of topics, brokers and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker_embedded.wire.messages.configs import (
    OPERATION_APPEND,
    OPERATION_DELETE,
    OPERATION_SET,
    OPERATION_SUBTRACT,
    RESOURCE_BROKER,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
    AlterableConfig,
    AlterConfigsResource,
    DescribeConfigsRequest,
    DescribeConfigsResource,
    IncrementalAlterConfigsRequest,
)
from streams.admin.descriptions import ConfigEntry
from streams.transport.contract import Asks, TransportError
from streams.transport.error_codes import check

KINDS = {"topic": RESOURCE_TOPIC, "broker": RESOURCE_BROKER, "group": RESOURCE_GROUP}
SOURCES = {
    1: "topic",
    2: "broker",
    3: "default broker",
    4: "static",
    5: "default",
    6: "logger",
    7: "client metrics",
    8: "group",
}


async def describe_configs(asks: Asks, kind: str, name: str, *, documentation: bool) -> list[ConfigEntry]:
    request = DescribeConfigsRequest([DescribeConfigsResource(_kind(kind), name)], False, documentation)
    (result,) = (await _ask(asks, request, kind, name)).results
    check(result.error_code, f"{kind} {name!r}", result.error_message)
    return [
        ConfigEntry(
            row.name,
            row.value,
            SOURCES.get(row.config_source, "unknown"),
            row.read_only,
            row.is_sensitive,
            row.documentation,
        )
        for row in sorted(result.configs, key=lambda row: row.name)
    ]


async def alter_configs(
    asks: Asks,
    kind: str,
    name: str,
    values: Mapping[str, str | None],
    *,
    append: Mapping[str, str],
    subtract: Mapping[str, str],
) -> None:
    rows: Sequence[AlterableConfig] = [
        *(AlterableConfig(key, OPERATION_DELETE) for key, value in values.items() if value is None),
        *(AlterableConfig(key, OPERATION_SET, value) for key, value in values.items() if value is not None),
        *(AlterableConfig(key, OPERATION_APPEND, value) for key, value in append.items()),
        *(AlterableConfig(key, OPERATION_SUBTRACT, value) for key, value in subtract.items()),
    ]
    request = IncrementalAlterConfigsRequest([AlterConfigsResource(_kind(kind), name, list(rows))])
    (result,) = (await _ask(asks, request, kind, name)).responses
    check(result.error_code, f"{kind} {name!r}", result.error_message)


async def _ask(
    asks: Asks, request: DescribeConfigsRequest | IncrementalAlterConfigsRequest, kind: str, name: str
) -> Any:
    if kind == "broker" and name:
        if not name.isdigit():
            raise TransportError(f"broker {name!r}: brokers are named by their ids; '' is the default for all")
        return await asks.ask_node(request, int(name))
    return await asks.ask(request)


def _kind(kind: str) -> int:
    if kind not in KINDS:
        raise TransportError(f"no configs of a {kind!r}; of a {', '.join(KINDS)}")
    return KINDS[kind]
