"""Whether an internal topic that is there is what the app needs.

What loses records is an error: a changelog that is not compacted or drops what is old, a repartition topic that drops
records before they are read or keeps only the last of each key. What is only weaker than asked is told: fewer replicas,
fewer of them in sync.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.errors import TopologyError
from streams.transport.contract import TopicInfo, TopicSpec

_FOREVER = "-1"
_LIMITS = ("retention.ms", "retention.bytes")


class InternalTopicError(TopologyError):
    """An internal topic is set so that it loses records that the app needs."""

    def __init__(self, topic: str, faults: dict[str, str], wanted: dict[str, str]) -> None:
        found = " and ".join(f"{name}={value}" for name, value in faults.items())
        changes = ",".join(f"{name}={value}" for name, value in wanted.items())
        super().__init__(
            f"topic {topic!r} has {found}: records that the app still needs would be lost. Set what it needs, "
            f"`streams configs alter topic {topic} --add-config {changes}`, or say in topic_configs= that it is to be "
            "so."
        )


def check_fit(spec: TopicSpec, info: TopicInfo) -> None:
    """Raises InternalTopicError where the topic loses what the app needs, and was not asked for so.

    >>> spec = TopicSpec("shop-totals-changelog", 4, {"cleanup.policy": "compact", "retention.ms": "-1"})
    >>> check_fit(spec, TopicInfo("shop-totals-changelog", "", 4, {"cleanup.policy": "delete"}))
    Traceback (most recent call last):
    streams.runtime.topic_fit.InternalTopicError: topic 'shop-totals-changelog' has cleanup.policy=delete: records \
that the app still needs would be lost. Set what it needs, `streams configs alter topic shop-totals-changelog \
--add-config cleanup.policy=compact`, or say in topic_configs= that it is to be so.
    """
    holds = {**info.defaults, **info.configs}
    if "cleanup.policy" not in holds:
        return  # this user may not see configs
    wanted = _policies(spec.configs.get("cleanup.policy", "delete"))
    found = _policies(holds["cleanup.policy"])
    faults = {"cleanup.policy": holds["cleanup.policy"]} if ("compact" in wanted) != ("compact" in found) else {}
    if "delete" in found:
        faults |= {
            name: holds[name]
            for name in _LIMITS
            if spec.configs.get(name, _FOREVER) == _FOREVER and holds.get(name, _FOREVER) != _FOREVER
        }
    if faults:
        needs = {name: spec.configs.get(name, _FOREVER) for name in faults}
        raise InternalTopicError(spec.name, faults, needs)


def weaknesses(spec: TopicSpec, info: TopicInfo) -> Iterator[str]:
    """What is less safe than asked.

    >>> list(weaknesses(TopicSpec("orders", 1, replication_factor=3), TopicInfo("orders", "", 1)))
    ["topic 'orders' has a replica in 1 broker and 3 are asked for: move it to more (kafka-reassign-partitions)"]
    """
    if info.replication_factor < spec.replication_factor:
        brokers = "1 broker" if info.replication_factor == 1 else f"{info.replication_factor} brokers"
        yield (
            f"topic {spec.name!r} has a replica in {brokers} and {spec.replication_factor} are asked for: move it to "
            "more (kafka-reassign-partitions)"
        )
    asked = spec.configs.get("min.insync.replicas")
    found = {**info.defaults, **info.configs}.get("min.insync.replicas")
    if asked is not None and found is not None and int(found) < int(asked):
        yield (
            f"topic {spec.name!r} has min.insync.replicas={found} and {asked} are asked for: `streams configs alter "
            f"topic {spec.name} --add-config min.insync.replicas={asked}`"
        )


def _policies(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}
