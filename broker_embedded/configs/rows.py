"""The configs of a topic, a broker or a group as they are described: value, source, and the values behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from broker_embedded.configs import groups, topics
from broker_embedded.configs.broker import DYNAMIC, Layers, Synonym, definition, is_sensitive
from broker_embedded.configs.definitions import ConfigSource, Definition

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


class Row(NamedTuple):
    """A config as described; the first of `synonyms` is what is in force, unless that has another unit or name."""

    definition: Definition
    value: str | None
    synonyms: list[Synonym]
    read_only: bool = False
    is_sensitive: bool = False

    @property
    def source(self) -> ConfigSource:
        return self.synonyms[0].source if self.synonyms else ConfigSource.DEFAULT


def topic_rows(cluster: Cluster, configs: Mapping[str, str]) -> list[Row]:
    """Of a topic with these configs of its own: they, else the broker's defaults for topics, else Kafka's."""
    layers = Layers(cluster)
    rows = []
    for name, known in topics.TOPIC_CONFIGS.items():
        broker_names = topics.BROKER_NAMES.get(name, ())
        synonyms = layers.synonyms(broker_names[0]) if broker_names else []
        text = configs.get(name, cluster.config.topic_defaults.get(name, known.default))
        value = known.canonical(text or "")
        if name in configs:
            synonyms.insert(0, Synonym(name, value, ConfigSource.TOPIC))
        rows.append(Row(known, value, synonyms))
    return rows


def broker_rows(cluster: Cluster) -> list[Row]:
    """Of this broker: everything, in every layer."""
    layers = Layers(cluster)
    rows = []
    for name in layers.names():
        synonyms = layers.synonyms(name)
        value = next((synonym.text for synonym in synonyms if synonym.name == name), None)
        rows.append(Row(definition(name)._replace(name=name), value, synonyms, name not in DYNAMIC, is_sensitive(name)))
    return rows


def default_broker_rows(cluster: Cluster) -> list[Row]:
    """What is set, while they run, for all brokers."""
    rows = []
    for name, text in cluster.metadata.broker_configs("").items():
        secret = is_sensitive(name)
        synonym = Synonym(name, None if secret else text, ConfigSource.DYNAMIC_DEFAULT_BROKER)
        rows.append(Row(definition(name)._replace(name=name), synonym.text, [synonym], name not in DYNAMIC, secret))
    return rows


def group_rows(cluster: Cluster, group: str) -> list[Row]:
    """Of a group, whether there is one or not: its own configs, else the broker's settings."""
    layers, configs = Layers(cluster), cluster.metadata.group_configs(group)
    rows = []
    for name, known in groups.GROUP_CONFIGS.items():
        broker_name = groups.BROKER_NAMES.get(name)
        synonyms = [Synonym(name, known.default, ConfigSource.DEFAULT)]
        if broker_name is not None:
            synonyms = layers.synonyms(broker_name)
        value = known.canonical(configs.get(name, groups.broker_text(cluster, name)))
        if name in configs:
            synonyms.insert(0, Synonym(name, value, ConfigSource.GROUP))
        rows.append(Row(known, value, synonyms))
    return rows
