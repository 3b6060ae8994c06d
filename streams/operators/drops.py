"""Records that a rule leaves out before a step looks at them, and counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

from streams.batch import Batch
from streams.graph.nodes import Node
from streams.operators.calls import holds, present
from streams.operators.failures import Failures
from streams.spans import Spans


def present_only(batch: Batch, node: Node, failures: Failures, column: Sequence[Any], reason: str) -> Batch:
    """The records for which `column` has something; those for which it has None are counted under `reason`."""
    if not holds(column, NoneType):
        return batch
    there = present(column)
    failures.dropped(node, reason, len(column) - int(there.sum()))
    return batch.take(there)


def with_key(batch: Batch, node: Node, failures: Failures) -> Batch:
    """The records that have a key; the others are counted."""
    return _with(batch, batch.key_spans, lambda: batch.key_bytes or batch.keys, node, failures, "null_key")


def with_value(batch: Batch, node: Node, failures: Failures) -> Batch:
    """The records that have a value; the others are counted."""
    if batch.rowless:
        there = batch.present
        if there is None:
            return batch
        failures.dropped(node, "null_value", len(batch) - int(there.sum()))
        return batch.take(there)
    return _with(batch, batch.value_spans, lambda: batch.values, node, failures, "null_value")


def with_key_and_value(batch: Batch, node: Node, failures: Failures) -> Batch:
    """Records without key or value say nothing about a group, and are counted (Kafka Streams lets some null values
    through: its defect).
    """
    return with_value(with_key(batch, node, failures), node, failures)


def _with(
    batch: Batch, spans: Spans | None, rows: Callable[[], Sequence[Any]], node: Node, failures: Failures, reason: str
) -> Batch:
    """As `present_only`, of bytes that were not cut out yet where there are such."""
    if spans is None:
        return present_only(batch, node, failures, rows(), reason)
    there = spans.present()
    if not there.all():
        failures.dropped(node, reason, len(batch) - int(there.sum()))
    return batch.take(there)


def latest_only(batch: Batch, node: Node, failures: Failures) -> Batch:
    """The changes of a versioned table that are the latest of their keys; the others are counted as "out_of_order".
    Kafka Streams' table-table joins and grouped tables leave them out (KIP-914).
    """
    if batch.latest is None:
        return batch
    failures.dropped(node, "out_of_order", len(batch) - int(batch.latest.sum()))
    return batch.take(batch.latest).with_latest(None)
