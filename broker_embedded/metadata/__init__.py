"""Metadata as Kafka keeps it (KRaft): what stands in `__cluster_metadata-0`, and the state it makes.

`Metadata` is the door: `cluster.metadata`. `records` has the records and their bytes, `image` the state, `journal` how
they go together, `log` and `snapshots` the files.

    cluster.metadata.topic_configs("flights")["retention.ms"]
    cluster.metadata.set_configs(GROUP_RESOURCE, "readers", {"consumer.session.timeout.ms": "50000"})
"""

from __future__ import annotations

from broker_embedded.metadata.beginning import KRAFT_VERSION, SUPPORTED_FEATURES
from broker_embedded.metadata.image import METADATA_VERSION, TOPIC_RESOURCE, ClientQuotaEntity
from broker_embedded.metadata.records import AccessControlEntryRecord, UserScramCredentialRecord
from broker_embedded.metadata.single_node import ForeignFolderError
from broker_embedded.metadata.store import (
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    NO_ID,
    Metadata,
    NewTopic,
)

__all__ = [
    "BROKER_RESOURCE",
    "CLIENT_METRICS_RESOURCE",
    "GROUP_RESOURCE",
    "KRAFT_VERSION",
    "METADATA_VERSION",
    "NO_ID",
    "SUPPORTED_FEATURES",
    "TOPIC_RESOURCE",
    "AccessControlEntryRecord",
    "ClientQuotaEntity",
    "ForeignFolderError",
    "Metadata",
    "NewTopic",
    "UserScramCredentialRecord",
]
