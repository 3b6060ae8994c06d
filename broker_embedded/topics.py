"""Topics: their names and their partitions. What lasts of them is in the metadata log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from broker_embedded.errors import InvalidTopicError

if TYPE_CHECKING:
    from broker_embedded.log.partition import PartitionLog

OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
INTERNAL_TOPICS = frozenset({OFFSETS_TOPIC, TRANSACTIONS_TOPIC})

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


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
    """Raise InvalidTopicError for a name that Kafka refuses (Kafka: Topic.validate).

    >>> check_name("flights.2013")
    """
    if name in (".", "..") or not _NAME.fullmatch(name):
        raise InvalidTopicError(
            f"topic name {name!r} is not valid: 1 to 249 of the characters a-z A-Z 0-9 . _ -, and not '.' or '..'"
        )
