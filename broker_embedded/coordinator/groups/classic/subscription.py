"""The topics that consumers name in the metadata of their protocol (Kafka: ConsumerProtocolSubscription)."""

from __future__ import annotations

from collections.abc import Iterable

from broker_embedded.coordinator.fields import FAULTS, INT16, Reader


def subscribed_topics(metadata: Iterable[bytes]) -> frozenset[str] | None:
    """All topics in the metadata of a group's members; None if one of them is not what consumers write.

    Every version begins with what version 0 has, so that is all that is read.

    >>> sorted(subscribed_topics([bytes.fromhex("0003 00000001 0001 61 ffffffff"), bytes(6)]))
    ['a']
    """
    topics: set[str] = set()
    try:
        for data in metadata:
            reader = Reader(data, INT16.size)
            topics.update([reader.string() for _ in range(reader.count())])
    except FAULTS:
        return None
    return frozenset(topics)
