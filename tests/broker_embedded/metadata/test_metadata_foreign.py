"""Folders that one broker must not open: they say whose they are, and stay as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.log.checkpoints import META_PROPERTIES, read_meta_properties
from broker_embedded.metadata import ForeignFolderError
from broker_embedded.metadata import records as r
from broker_embedded.metadata.log import MetadataLog

TOPIC = UUID(int=7)


def broker(node: int) -> r.RegisterBrokerRecord:
    return r.RegisterBrokerRecord(
        broker_id=node, incarnation_id=UUID(int=node), broker_epoch=1, end_points=[], features=[]
    )


def partition(**fields: Any) -> list[r.Record]:
    row = {"partition_id": 0, "topic_id": TOPIC, "replicas": [1], "isr": [1], "leader": 1, **fields}
    return [r.TopicRecord(name="flights", topic_id=TOPIC), r.PartitionRecord(**row)]


def contents(folder: Path) -> dict[Path, bytes]:
    """But for the lock, and for snapshots of producers, which a metadata log has no use for."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file: file.read_bytes() for file in files if file.name != ".lock" and file.suffix != ".snapshot"}


CASES: list[tuple[list[r.Record], str]] = [
    ([broker(2)], "is part of a cluster: its metadata names nodes 1, 2"),
    (
        [r.RegisterControllerRecord(controller_id=3, incarnation_id=TOPIC, end_points=[], features=[])],
        "names nodes 1, 3",
    ),
    (partition(replicas=[1, 2, 3]), r"names flights-0 with replicas \[1, 2, 3\]"),
    (partition(directories=[UUID(int=1000)]), "flights-0 is in another folder of this node"),
]


@pytest.mark.parametrize(("changes", "match"), CASES)
async def test_a_part_of_a_cluster(tmp_path: Path, changes: list[r.Record], match: str) -> None:
    await Cluster.open(tmp_path).close()
    meta = read_meta_properties(tmp_path / META_PROPERTIES)
    assert meta is not None
    log = MetadataLog.open(tmp_path, meta, lambda: 0, was_clean=True)
    log.append([r.encode(change) for change in changes])
    log.close()
    before = contents(tmp_path)
    for _ in range(2):
        with pytest.raises(ForeignFolderError, match=match):
            Cluster.open(tmp_path)
    assert contents(tmp_path) == before


async def test_a_broker_that_was_unregistered_does_not_count(tmp_path: Path) -> None:
    await Cluster.open(tmp_path).close()
    meta = read_meta_properties(tmp_path / META_PROPERTIES)
    assert meta is not None
    log = MetadataLog.open(tmp_path, meta, lambda: 0, was_clean=True)
    log.append([r.encode(broker(2)), r.encode(r.UnregisterBrokerRecord(broker_id=2, broker_epoch=1))])
    log.close()
    await Cluster.open(tmp_path).close()


async def test_another_node(tmp_path: Path) -> None:
    await Cluster.open(tmp_path, config=BrokerConfig(node_id=5)).close()
    with pytest.raises(ForeignFolderError, match=r"is of node 5 .* this broker is node 1: open it with node_id=5"):
        Cluster.open(tmp_path)
    await Cluster.open(tmp_path, config=BrokerConfig(node_id=5)).close()


async def test_a_broker_whose_controllers_are_elsewhere(tmp_path: Path) -> None:
    cluster = Cluster.open(tmp_path)
    await cluster.close()
    (tmp_path / "__cluster_metadata-0").rename(tmp_path.parent / "elsewhere")
    with pytest.raises(ForeignFolderError, match="has partitions and no __cluster_metadata-0"):
        Cluster.open(tmp_path)
