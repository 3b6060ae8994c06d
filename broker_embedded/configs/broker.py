"""The broker's settings by Kafka's names: read from a `server.properties`, changed while it runs, told by layer.

Of the layers an earlier one wins: set for this broker, set for all brokers (both while it runs, KIP-226), set when it
was opened, default. The settings that are in force are `cluster.config`, made anew at each change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from broker_embedded.config import BrokerConfig
from broker_embedded.configs.broker_table import BROKER_CONFIGS, WITHOUT_EFFECT, WITHOUT_EFFECT_PREFIXES
from broker_embedded.configs.definitions import ConfigSource, ConfigType, Definition, suggest, to_text
from broker_embedded.configs.topics import BROKER_NAMES, log_config, to_log_config
from broker_embedded.errors import InvalidConfigError, InvalidRequestError

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

# Fields of BrokerConfig are named as the settings, with `_` for `.`, but for these.
_FIELDS: Final = {
    "auto.create.topics.enable": "auto_create_topics",
    "flush.on.commit": "sync_on_commit",
    "transaction.state.log.num.partitions": "transaction_state_num_partitions",
}

# Settings of Kafka's authorizer, which it reads itself: no definition of the broker's knows them.
_OF_AUTHORIZER: Final = frozenset({"allow.everyone.if.no.acl.found", "super.users"})

# Can be set while the broker runs. Kafka has more (listeners, TLS): those are read when the broker is opened.
DYNAMIC: Final = frozenset(names[0] for names in BROKER_NAMES.values()) | {
    "background.threads",
    "group.consumer.assignment.interval.ms",
    "group.share.assignment.interval.ms",
    "group.streams.assignment.interval.ms",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
    "max.connection.creation.rate",
    "max.connections",
    "max.connections.per.ip",
    "max.connections.per.ip.overrides",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "producer.id.expiration.ms",
    "transaction.partition.verification.enable",
}
# Settings of the same meaning, of which the first counts that is set (Kafka: DynamicBrokerConfig.brokerConfigSynonyms).
_SYNONYMS: Final = {name: names for names in BROKER_NAMES.values() if len(names) > 1 for name in names}
_UNITS_MS: Final = {"hours": 3_600_000, "minutes": 60_000}


class Synonym(NamedTuple):
    name: str
    text: str | None
    source: ConfigSource


def definition(name: str) -> Definition:
    """Of a setting, or of the one that `listener.name.NAME.` comes before; a custom name is of unknown type."""
    if name.startswith("listener.name."):
        name = name.split(".", 3)[-1]
    return BROKER_CONFIGS.get(name) or Definition(name, ConfigType.UNKNOWN, None, None, "")


def is_known(name: str) -> bool:
    return (
        definition(name).type is not ConfigType.UNKNOWN
        or name in WITHOUT_EFFECT
        or name in _OF_AUTHORIZER
        or name.startswith(("listener.name.", *WITHOUT_EFFECT_PREFIXES))
    )


def read_properties(properties: Mapping[str, str]) -> BrokerConfig:
    """Settings by Kafka's names as a BrokerConfig. Raises InvalidConfigError.

    >>> read_properties({"num.partitions": "3", "log.retention.hours": "1"}).topic_defaults["retention.ms"]
    '3600000'
    """
    for name in properties:
        if not is_known(name):
            raise InvalidConfigError(f"{name} is not a setting of the broker{suggest(name, BROKER_CONFIGS)}")
    return replace(changed(BrokerConfig(), properties), properties=dict(properties))


def changed(config: BrokerConfig, properties: Mapping[str, str]) -> BrokerConfig:
    """`config` with some settings changed. Raises InvalidConfigError."""
    known = {field.name for field in fields(config)}
    values: dict[str, Any] = {}
    for name, text in properties.items():
        value = definition(name).parse(text)
        field = _FIELDS.get(name, name.replace(".", "_"))
        if field in known:
            values[field] = tuple(value) if isinstance(value, list) else value
    defaults = {**config.topic_defaults, **_topic_defaults(properties)}
    to_log_config(defaults)
    return replace(config, **values, topic_defaults=defaults)


def _topic_defaults(properties: Mapping[str, str]) -> dict[str, str]:
    """What settings of the broker mean for topics: `log.retention.hours` is `retention.ms`."""
    found = {}
    for topic_name, names in BROKER_NAMES.items():
        name = next((name for name in names if name in properties), None)
        if name is not None:
            text = properties[name]
            unit_ms = _UNITS_MS.get(name.rpartition(".")[-1])
            found[topic_name] = text if unit_ms is None else str(max(int(text) * unit_ms, -1))
    return found


def static_properties(cluster: Cluster) -> dict[str, str]:
    """What the broker was opened with, by Kafka's names, as far as it is not Kafka's default."""
    config = cluster.static_config
    found = dict(config.properties)
    for name in BROKER_CONFIGS:
        value = getattr(config, _FIELDS.get(name, name.replace(".", "_")), None)
        if value is not None and name not in found:
            text = to_text(list(value) if isinstance(value, tuple) else value)
            if text != BROKER_CONFIGS[name].default:
                found[name] = text
    for topic_name, text in config.topic_defaults.items():
        names = BROKER_NAMES.get(topic_name, ())
        is_given = any(name in config.properties for name in names)
        if names and not is_given and text != BROKER_CONFIGS[names[0]].default:
            found[names[0]] = text
    return found | _facts(cluster)


def _facts(cluster: Cluster) -> dict[str, str]:
    """What is so, whatever was said: the folder, this node, where it listens."""
    node = str(cluster.config.node_id)
    facts = {"node.id": node, "broker.id": node, "log.dirs": str(cluster.folder.path)}
    facts |= {"process.roles": "broker,controller"}
    if cluster.listeners:
        addresses = ",".join(f"{name}://{host}:{port}" for name, (host, port) in cluster.listeners.items())
        facts |= {"advertised.listeners": addresses, "listeners": cluster.config.properties.get("listeners", addresses)}
    return facts


class Layers:
    """The settings of a broker, each with where it comes from."""

    def __init__(self, cluster: Cluster) -> None:
        node, metadata = cluster.config.node_id, cluster.metadata
        self._layers: tuple[tuple[ConfigSource, Mapping[str, str]], ...] = (
            (ConfigSource.DYNAMIC_BROKER, metadata.broker_configs(node)),
            (ConfigSource.DYNAMIC_DEFAULT_BROKER, metadata.broker_configs("")),
            (ConfigSource.STATIC_BROKER, static_properties(cluster)),
            (ConfigSource.DEFAULT, {n: d.default for n, d in BROKER_CONFIGS.items() if d.default is not None}),
        )

    def names(self) -> list[str]:
        """Of all settings: those of the table, and the ones that only somebody here knows."""
        return sorted({*BROKER_CONFIGS, *(name for _, layer in self._layers for name in layer)})

    def synonyms(self, name: str) -> list[Synonym]:
        """What is set under a name and those of the same meaning, what is in force first; as Kafka, nothing if that is
        not set under `name` itself."""
        names = _SYNONYMS.get(name, (name,))
        found = [Synonym(n, layer[n], source) for source, layer in self._layers for n in names if n in layer]
        while found and found[0].name != name:
            del found[0]
        is_secret = is_sensitive(name)
        return [synonym._replace(text=None) for synonym in found] if is_secret else found


def is_sensitive(name: str) -> bool:
    """Whether a value is told to nobody: passwords, and what this broker does not know."""
    return definition(name).type in (ConfigType.PASSWORD, ConfigType.UNKNOWN)


def check_dynamic(cluster: Cluster, configs: Mapping[str, str]) -> None:
    """Raise InvalidRequestError for what can't be set while the broker runs (so does Kafka: KAFKA-13609)."""
    fixed = sorted(name for name in configs if is_known(name) and name not in DYNAMIC)
    if fixed:
        raise InvalidRequestError(f"Cannot update these configs dynamically: [{', '.join(fixed)}]")
    try:
        changed(cluster.static_config, {name: text for name, text in configs.items() if is_known(name)})
    except InvalidConfigError as error:
        raise InvalidRequestError(str(error)) from error


def apply_dynamic(cluster: Cluster) -> None:
    """Let `cluster.config`, and every log, follow what is set while the broker runs."""
    node = cluster.static_config.node_id
    dynamic = {**cluster.metadata.broker_configs(""), **cluster.metadata.broker_configs(node)}
    cluster.config = changed(cluster.static_config, {name: text for name, text in dynamic.items() if name in DYNAMIC})
    for topic in cluster.topics.values():
        settings = log_config(topic.configs, cluster.config)
        for partition in topic.partitions:
            partition.configure(settings)
