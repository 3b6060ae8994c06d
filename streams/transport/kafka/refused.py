"""Why a cluster does not make a topic, and what to do."""

from __future__ import annotations

from broker_embedded import errors
from streams.transport.contract import TopicSpec, TransportError

_MAY_NOT = (errors.TopicAuthorizationFailedError.info.code, errors.ClusterAuthorizationFailedError.info.code)


def refused(spec: TopicSpec, code: int, error: TransportError) -> TransportError:
    """The error of a broker that refused to make `spec`, with what to do about it.

    >>> spec = TopicSpec("orders", 4, {"retention.ms": "-1"}, 3)
    >>> print(refused(spec, 44, TransportError("topic 'orders': at most 2 (POLICY_VIOLATION)")))
    topic 'orders': at most 2 (POLICY_VIOLATION). The cluster has a policy for new topics \
(create.topic.policy.class.name) that this one goes against: 4 partitions, replication.factor=3, retention.ms=-1. \
Change it by topic_configs= or replication_factor=, or have it made by whoever runs the cluster.
    """
    return TransportError(f"{error}. {_advice(spec, code)}")


def _advice(spec: TopicSpec, code: int) -> str:
    replicas = "" if spec.replication_factor < 0 else f", replication.factor={spec.replication_factor}"
    configs = "".join(f", {name}={value}" for name, value in spec.configs.items())
    if code == errors.InvalidReplicationFactorError.info.code:
        return (
            "The cluster has fewer brokers than the topic is to have replicas: start more, or say replication_factor= "
            "(-1 is the cluster's default, the brokers' default.replication.factor)."
        )
    if code == errors.PolicyViolationError.info.code:
        return (
            "The cluster has a policy for new topics (create.topic.policy.class.name) that this one goes against: "
            f"{spec.partitions} partitions{replicas}{configs}. Change it by topic_configs= or replication_factor=, or "
            "have it made by whoever runs the cluster."
        )
    if code in _MAY_NOT:
        return (
            f"This user may not make topics: allow it CREATE on topic {spec.name!r} (kafka-acls), or have it made with "
            f"{spec.partitions} partitions{replicas}{configs}."
        )
    return f"It was to have {spec.partitions} partitions{replicas}{configs}."
