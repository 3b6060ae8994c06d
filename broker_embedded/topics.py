"""Topics: their names, their partitions, and who may have those. What lasts of them is in the metadata log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from broker_embedded.errors import InvalidReplicaAssignmentError, InvalidTopicError

if TYPE_CHECKING:
    from broker_embedded.log.partition import PartitionLog

Partition = tuple[str, int]

OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
INTERNAL_TOPICS = frozenset({OFFSETS_TOPIC, TRANSACTIONS_TOPIC})

MOST_PARTITIONS = 10_000
"""That one request may make."""

_LONGEST_NAME = 249
_NAME = re.compile(rf"[a-zA-Z0-9._-]{{1,{_LONGEST_NAME}}}")


@dataclass(slots=True)
class Topic:
    """A topic and, once opened, the logs of its partitions."""

    name: str
    id: UUID
    partition_count: int
    configs: Mapping[str, str] = field(default_factory=dict)
    partitions: list[PartitionLog] = field(default_factory=list)

    @property
    def is_internal(self) -> bool:
        return self.name in INTERNAL_TOPICS


def check_name(name: str) -> None:
    """Raise InvalidTopicError, with Kafka's words, for a name that Kafka refuses (Kafka: Topic.validate).

    >>> check_name("flights.2013")
    """
    if _NAME.fullmatch(name) and name not in (".", ".."):
        return
    if not name:
        why = "the empty string is not allowed"
    elif name in (".", ".."):
        why = f"'{name}' is not allowed"
    elif len(name) > _LONGEST_NAME:
        why = f"the length of '{name}' is longer than the max allowed length {_LONGEST_NAME}"
    else:
        why = f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    raise InvalidTopicError(f"Topic name is invalid: {why}")


def check_collision(name: str, others: Iterable[str]) -> None:
    """Raise InvalidTopicError for a name that differs from another only in . and _: their metrics would be the same.

    >>> check_collision("flights.2013", ["flights.2014"])
    """
    same = name.replace(".", "_")
    for other in others:
        if other.replace(".", "_") == same:
            raise InvalidTopicError(f"Topic '{name}' collides with existing topic: {other}")


def check_assignment(replicas: Sequence[int], node_id: int) -> None:
    """Raise InvalidReplicaAssignmentError, with Kafka's words, for replicas that are not this broker, once.

    >>> check_assignment([1], node_id=1)
    """
    includes = "The manual partition assignment includes"
    if not replicas:
        raise InvalidReplicaAssignmentError(f"{includes} an empty replica list.")
    for broker in sorted(replicas):
        if broker != node_id:
            raise InvalidReplicaAssignmentError(f"{includes} broker {broker}, but no such broker is registered.")
    if len(replicas) > 1:
        raise InvalidReplicaAssignmentError(f"{includes} the broker {node_id} more than once.")
