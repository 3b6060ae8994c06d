"""Assignments of partitions to brokers, as clients give them by hand: here there is one broker to give them to."""

from __future__ import annotations

from collections.abc import Sequence

from broker_embedded.errors import InvalidReplicaAssignmentError

_WHAT = "The manual partition assignment includes"


def check_assignment(replicas: Sequence[int], node_id: int) -> None:
    """Raise InvalidReplicaAssignmentError, with Kafka's words, for replicas that are not this broker, once.

    >>> check_assignment([1], node_id=1)
    """
    if not replicas:
        raise InvalidReplicaAssignmentError(f"{_WHAT} an empty replica list.")
    for broker in sorted(replicas):
        if broker != node_id:
            raise InvalidReplicaAssignmentError(f"{_WHAT} broker {broker}, but no such broker is registered.")
    if len(replicas) > 1:
        raise InvalidReplicaAssignmentError(f"{_WHAT} the broker {node_id} more than once.")
