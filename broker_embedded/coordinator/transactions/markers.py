"""Markers: what ends a producer's transaction in one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded import records
from broker_embedded.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, Partition

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog


def open_transactions(cluster: Cluster) -> list[tuple[Partition, int, int]]:
    """Partition, producer id and epoch of every transaction without a marker."""
    found = []
    for source in cluster.logs():
        for producer_id in source.open_transactions():
            producer = source.producers.get(producer_id)
            epoch = records.NO_PRODUCER_EPOCH if producer is None else producer.epoch
            found.append(((source.topic, source.partition), producer_id, epoch))
    return found


def write_marker(
    cluster: Cluster,
    partition: Partition,
    producer_id: int,
    producer_epoch: int,
    *,
    commit: bool,
    first: int | None = None,
) -> None:
    """End the producer's transaction in one partition: the one that begins at `first`, if that is given.

    Nothing is to do where it has ended already, or where the topic is gone.
    """
    found = cluster.find_log(*partition)
    since = None if found is None else found.open_transactions().get(producer_id)
    if found is None or since is None or (first is not None and since != first):
        return
    # Markers of an older coordinator are refused; Kafka's is as old as the leaders of its partitions. There is no
    # other coordinator than this one, whatever epoch WriteTxnMarkers has named in this partition.
    epochs = [source.leader_epoch for source in cluster.topics[TRANSACTIONS_TOPIC].partitions]
    producer = found.producers.get(producer_id)
    coordinator_epoch = max(epochs if producer is None else [*epochs, producer.coordinator_epoch])
    append_marker(cluster, found, producer_id, producer_epoch, commit=commit, coordinator_epoch=coordinator_epoch)


def append_marker(
    cluster: Cluster,
    target: PartitionLog,
    producer_id: int,
    producer_epoch: int,
    *,
    commit: bool,
    coordinator_epoch: int,
) -> None:
    """Write a marker, whether a transaction is open or not; what follows from it follows."""
    target.append_marker(producer_id, producer_epoch, commit=commit, coordinator_epoch=coordinator_epoch)
    if target.topic == OFFSETS_TOPIC:
        cluster.offsets.end_transaction(target.partition, producer_id, commit=commit)
    cluster.housekeeping.marker_written()
    cluster.progress.made(target.topic, target.partition)
