"""Whether a data folder is one that a single broker may open: all that its metadata says is of this node."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import UUID

from broker_embedded.log.checkpoints import MetaProperties, uuid_text
from broker_embedded.metadata.control import Voters
from broker_embedded.metadata.image import Image
from broker_embedded.metadata.log import MetadataLog

_RESERVED_DIRECTORIES: Final = {UUID(int=number) for number in range(100)}
"""Kafka's DirectoryId: unassigned, lost, migrating and others that name no directory."""


class ForeignFolderError(RuntimeError):
    """A data folder that this broker may not open: it is part of a cluster, or another node's."""


def check_format(data: Path, meta: MetaProperties | None, node_id: int) -> None:
    """Raise ForeignFolderError for the folder of another node, or one without a metadata log of its own."""
    if (data / "topics.json").exists():
        raise ForeignFolderError(
            f"data folder {data} has a topics.json: a version before the first release wrote it. Name a new folder"
        )
    if meta is None and MetadataLog.exists(data):
        raise ForeignFolderError(f"data folder {data} has a metadata log and no meta.properties. Restore that file")
    if meta is None:
        return
    if meta.node_id != node_id:
        raise ForeignFolderError(
            f"data folder {data} is of node {meta.node_id} (meta.properties), this broker is node {node_id}: "
            f"open it with node_id={meta.node_id}, or name another folder"
        )
    if not MetadataLog.exists(data) and any(data.glob("*-*/partition.metadata")):
        raise ForeignFolderError(
            f"data folder {data} has partitions and no __cluster_metadata-0: it is of a broker whose controllers are "
            "elsewhere. Only the folder of a single node (process.roles=broker,controller) can be opened"
        )


def check_single_node(data: Path, meta: MetaProperties, image: Image, voters: Voters | None) -> None:
    """Raise ForeignFolderError where the metadata knows of other nodes, or of other data folders of this one."""
    others = {*image.brokers, *image.controllers, *(voter.voter_id for voter in (voters.voters if voters else ()))}
    others -= {meta.node_id}
    if others:
        raise _foreign(data, f"nodes {', '.join(map(str, sorted({*others, meta.node_id})))}")
    for topic in image.topics.values():
        for index, partition in topic.partitions.items():
            if partition.replicas != [meta.node_id]:
                raise _foreign(data, f"{topic.name}-{index} with replicas {partition.replicas}")
            elsewhere = {*partition.directories} - _RESERVED_DIRECTORIES - {meta.directory_id}
            if elsewhere:
                raise ForeignFolderError(
                    f"data folder {data}: {topic.name}-{index} is in another folder of this node (directory.id "
                    f"{uuid_text(elsewhere.pop())}). Only a node with one folder in log.dirs can be opened"
                )


def _foreign(data: Path, what: str) -> ForeignFolderError:
    return ForeignFolderError(
        f"data folder {data} is part of a cluster: its metadata names {what}. "
        "Only the folder of a single node (process.roles=broker,controller, one voter) can be opened; "
        "replicate its topics to this broker instead"
    )
