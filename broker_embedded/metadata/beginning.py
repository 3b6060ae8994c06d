"""What the metadata log of a new folder begins with: features, and this node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final
from uuid import uuid4

from broker_embedded.log.checkpoints import MetaProperties
from broker_embedded.metadata import records as r
from broker_embedded.metadata.image import METADATA_VERSION

KRAFT_VERSION: Final = "kraft.version"
SUPPORTED_FEATURES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {METADATA_VERSION: (7, 30), KRAFT_VERSION: (0, 1), "group.version": (0, 1), "transaction.version": (0, 2)}
)
"""Lowest and highest level by name, as in Kafka 4.3."""

_FIRST_LEVELS: Final = {METADATA_VERSION: 30, "group.version": 1, "transaction.version": 2}


def first_records(meta: MetaProperties, prepared: list[bytes], broker_epoch: int) -> Iterator[r.Record]:
    """What `kafka-storage format` has prepared (features, users), or else the features of Kafka 4.3; this node."""
    yield from (r.decode(value) for value in prepared)
    if not prepared:
        for name, level in _FIRST_LEVELS.items():
            yield r.FeatureLevelRecord(name=name, feature_level=level)
    ranges = [
        r.SupportedFeature(name=name, min_supported_version=lowest, max_supported_version=highest)
        for name, (lowest, highest) in SUPPORTED_FEATURES.items()
    ]
    yield r.RegisterBrokerRecord(
        broker_id=meta.node_id,
        incarnation_id=uuid4(),
        broker_epoch=broker_epoch,
        end_points=[],
        features=ranges,
        fenced=True,  # Kafka lets an unfenced broker register again once its session has ended: 9 s
        log_dirs=[meta.directory_id],
    )
