"""How topics are made that are not there: replicas, and configs over those that the app says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.config import Settings
from streams.errors import ConfigError
from streams.transport.contract import TopicSpec

_REPLICAS = "replication.factor"
_IN_SYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Making:
    """What the settings say of new topics.

    >>> making = Making(3, 2, {"orders": {"replication.factor": "1", "segment.bytes": "1048576"}})
    >>> making.spec("totals", 4, {"retention.ms": "-1"})
    TopicSpec(name='totals', partitions=4, configs={'min.insync.replicas': '2', 'retention.ms': '-1'}, \
replication_factor=3)
    >>> making.spec("orders", 4, {}).replication_factor
    1
    """

    replication_factor: int = -1
    min_insync_replicas: int | None = None
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Making:
        """On the embedded broker there is one replica of everything, whatever is said for a cluster."""
        if settings.broker == "embedded":
            return cls(configs=settings.topic_configs)
        factor, in_sync = settings.replication_factor, settings.min_insync_replicas
        if factor == 0 or (in_sync is not None and not 1 <= in_sync <= (factor if factor > 0 else in_sync)):
            raise ConfigError(
                f"replication_factor={factor} and min_insync_replicas={in_sync} do not go together: nothing could be "
                "written. With three replicas say 2, so that one broker may be away."
            )
        return cls(factor, in_sync, settings.topic_configs)

    def spec(self, name: str, partitions: int, configs: Mapping[str, str]) -> TopicSpec:
        """A topic as it is to be made."""
        in_sync = {} if self.min_insync_replicas is None else {_IN_SYNC: str(self.min_insync_replicas)}
        over = dict(self.configs.get(name, {}))
        factor = int(over.pop(_REPLICAS, self.replication_factor))
        return TopicSpec(name, partitions, {**in_sync, **configs, **over}, factor)
