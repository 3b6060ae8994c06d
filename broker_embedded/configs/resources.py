"""Who has configs: topics, the broker (with an empty name, all brokers), groups. Read, checked and stored here.

What a change comes to is the same for AlterConfigs and IncrementalAlterConfigs; so is what may go wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from broker_embedded.configs import broker, groups
from broker_embedded.configs.definitions import ConfigType
from broker_embedded.configs.topics import TOPIC_CONFIGS, log_config
from broker_embedded.errors import InvalidConfigError, InvalidRequestError, KafkaError, UnknownTopicOrPartitionError
from broker_embedded.topics import check_name
from broker_embedded.wire.messages.configs import (
    OPERATION_DELETE,
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
    AlterableConfig,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    LegacyAlterableConfig,
    LegacyAlterConfigsResource,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

Row = TypeVar("Row", AlterConfigsResource, LegacyAlterConfigsResource)

_LONGEST_VALUE = 32_767
_NAMES = {RESOURCE_TOPIC: "topic", RESOURCE_GROUP: "group"}


def alter(
    cluster: Cluster,
    rows: Sequence[Row],
    change: Callable[[Row, Mapping[str, str]], Mapping[str, str]],
    *,
    validate_only: bool,
) -> list[AlterConfigsResourceResponse]:
    """Answer each row; `change` gives what a resource is to have, from what the row says and what is set for it.

    All changes of a resource are checked together and made together; with a bad one nothing is made.
    """
    counts = Counter((row.resource_type, row.resource_name) for row in rows)
    answers = []
    for row in rows:
        kind, name = row.resource_type, row.resource_name
        answer = AlterConfigsResourceResponse(kind, name)
        answers.append(answer)
        try:
            if counts[kind, name] > 1:
                raise InvalidRequestError("Each resource must appear at most once.")
            _check_request(kind, row.configs)
            configs = change(row, stored(cluster, kind, name))
            check(cluster, kind, name, configs)
            if not validate_only:
                store(cluster, kind, name, configs)
        except KafkaError as error:
            answer.error_code, answer.error_message = error.code, str(error)
    return answers


def _check_request(kind: int, configs: Sequence[AlterableConfig] | Sequence[LegacyAlterableConfig]) -> None:
    """What is wrong with a change whatever it changes. Raises InvalidRequestError."""
    if any(count > 1 for count in Counter(config.name for config in configs).values()):
        raise InvalidRequestError("Error due to duplicate config keys")
    missing = [config.name for config in configs if config.value is None and not _deletes(config)]
    if missing:
        raise InvalidRequestError(f"Null value not supported for : {', '.join(missing)}")
    if kind == RESOURCE_BROKER_LOGGER:
        raise InvalidRequestError("Log levels are set where the broker runs: it logs with Python's `logging`")
    if kind == RESOURCE_CLIENT_METRICS:
        raise InvalidRequestError("This broker collects no metrics from clients, so there is nothing to subscribe to")
    if kind not in (RESOURCE_TOPIC, RESOURCE_BROKER, RESOURCE_GROUP):
        raise InvalidRequestError(f"Unknown resource type {kind}")


def _deletes(config: AlterableConfig | LegacyAlterableConfig) -> bool:
    return isinstance(config, AlterableConfig) and config.config_operation == OPERATION_DELETE


def stored(cluster: Cluster, kind: int, name: str) -> Mapping[str, str]:
    """What is set for a resource. Raises InvalidRequestError for a broker that is not this one."""
    if kind == RESOURCE_BROKER and name:
        _check_node(cluster, name)
    return cluster.metadata.configs(kind, name)


def _check_node(cluster: Cluster, name: str) -> None:
    node = cluster.config.node_id
    if not name.removeprefix("-").isdecimal():
        raise InvalidRequestError(f"Node id must be an integer, but it is: {name}")
    if int(name) != node:
        raise InvalidRequestError(f"Unexpected broker id, expected {node}, but received {name}")


def list_entries(kind: int, name: str, value: str | None, operation: str) -> list[str]:
    """The entries of a list config that is appended to or subtracted from. Raises InvalidConfigError for no list."""
    if kind == RESOURCE_BROKER:
        known = broker.definition(name)
        problem = f"Config value {operation.lower()} is not allowed for config key: {name}"
    else:
        table = TOPIC_CONFIGS if kind == RESOURCE_TOPIC else groups.GROUP_CONFIGS
        found = table.get(name)
        problem = f"Can't {operation} to key {name} because its type is not LIST."
        if found is None:
            raise InvalidConfigError(problem)
        known = found
    if known.type is not ConfigType.LIST:
        raise InvalidConfigError(problem)
    text = known.default if value is None else value
    return [entry for entry in (text or "").split(",") if entry]


def check(cluster: Cluster, kind: int, name: str, configs: Mapping[str, str]) -> None:
    """Whether a resource may have these configs, and no others. Raises InvalidConfigError, InvalidRequestError,
    InvalidTopicError, UnknownTopicOrPartitionError."""
    if any(len(text) > _LONGEST_VALUE for text in configs.values()):
        raise InvalidConfigError(
            "The configuration value cannot be added because it exceeds the maximum value size of "
            f"{_LONGEST_VALUE} bytes."
        )
    if kind == RESOURCE_BROKER:
        broker.check_dynamic(cluster, configs)
        return
    if not name:
        raise InvalidRequestError(f"Default {_NAMES[kind]} resources are not allowed.")
    if kind == RESOURCE_GROUP:
        groups.check_group_configs(cluster, configs)
        return
    check_name(name)
    log_config(configs, cluster.config)
    if name not in cluster.topics:
        raise UnknownTopicOrPartitionError(f"The topic '{name}' does not exist.")


def store(cluster: Cluster, kind: int, name: str, configs: Mapping[str, str]) -> None:
    """Let a resource have these configs, and no others; what follows from them follows at once."""
    if kind == RESOURCE_TOPIC:
        cluster.folder.configure(cluster.topics[name], dict(configs), cluster.config)
        return
    gone = dict.fromkeys(cluster.metadata.configs(kind, name))
    cluster.metadata.set_configs(kind, name, {**gone, **configs})
    if kind == RESOURCE_BROKER:
        broker.apply_dynamic(cluster)
