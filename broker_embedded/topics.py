"""Topics: their names, their partitions, and the file that remembers them (`<data>/topics.json`, ours).

Kafka keeps this in its metadata log. The file is replaced in one step, so a topic exists from one moment on with all
its partitions. A deletion is written down before files go, and finished by the next open if it was cut short.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from broker_embedded.errors import InvalidTopicError, KafkaStorageError
from broker_embedded.log.disk import sync_replace

if TYPE_CHECKING:
    from broker_embedded.log.partition import PartitionLog

OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
INTERNAL_TOPICS = frozenset({OFFSETS_TOPIC, TRANSACTIONS_TOPIC})

_FILE_NAME = "topics.json"
_FORMAT = 1
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_PRODUCER_IDS_BLOCK = 1000  # as in Kafka: ids are written down a block at a time


@dataclass(slots=True)
class Topic:
    """A topic and, once opened, the logs of its partitions."""

    name: str
    id: UUID
    partition_count: int
    configs: dict[str, str] = field(default_factory=dict)
    deleted: bool = False
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


class TopicsFile:
    """What of a broker is neither in a log nor in one of Kafka's files: topics, and the producer ids given out."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / _FILE_NAME
        self.topics: dict[str, Topic] = {}
        self._next_producer_id = 0
        self._reserved_producer_ids = 0
        self.is_new = not self.path.exists()
        if not self.is_new:
            self._load(json.loads(self.path.read_text()))

    def _load(self, content: dict[str, Any]) -> None:
        if content["format"] != _FORMAT:
            raise ValueError(
                f"{self.path} has format {content['format']}, this version reads {_FORMAT}: "
                "open the folder with the version of streams-engine that wrote it"
            )
        self._next_producer_id = self._reserved_producer_ids = content["producer_ids_below"]
        for name, row in content["topics"].items():
            self.topics[name] = Topic(name, UUID(row["id"]), row["partitions"], row["configs"], row["deleted"])

    def save(self) -> None:
        """Replace the file in one step, and see it to the disk. Raises KafkaStorageError."""
        content = {
            "format": _FORMAT,
            "producer_ids_below": self._reserved_producer_ids,
            "topics": {
                topic.name: {
                    "id": str(topic.id),
                    "partitions": topic.partition_count,
                    "configs": topic.configs,
                    "deleted": topic.deleted,
                }
                for topic in self.topics.values()
            },
        }
        sync_replace(self.path, json.dumps(content, indent=1).encode())

    def next_producer_id(self) -> int:
        """A producer id never given out before, also not by a process that died."""
        if self._next_producer_id == self._reserved_producer_ids:
            self._reserved_producer_ids += _PRODUCER_IDS_BLOCK
            try:
                self.save()
            except KafkaStorageError:
                self._reserved_producer_ids -= _PRODUCER_IDS_BLOCK
                raise
        self._next_producer_id += 1
        return self._next_producer_id - 1
