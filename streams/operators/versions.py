"""Steps that want the latest of each key of a versioned table, whatever comes in late."""

from __future__ import annotations

from streams.batch import Batch
from streams.graph.nodes import Node
from streams.operators.failures import Failures


def latest_only(batch: Batch, node: Node, failures: Failures) -> Batch:
    """The changes that are the latest of their keys; the others are counted as "out_of_order". Kafka Streams'
    table-table joins and grouped tables leave them out (KIP-914).
    """
    if batch.latest is None:
        return batch
    failures.dropped(node, "out_of_order", len(batch) - int(batch.latest.sum()))
    return batch.take(batch.latest).with_latest(None)
