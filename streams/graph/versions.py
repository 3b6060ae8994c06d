"""Which tables know what they held at an earlier time.

A table kept in a versioned store does (`topic.table(history=...)`), and so does one without a store that is computed
from one such; a join of tables does not, even of versioned ones. Kafka Streams: `InternalStreamsBuilder`, KIP-914.

What such a table hands on may be out of order, `Batch.latest` says: steps that want the latest of each key leave the
rest out (`streams.operators.versions`).
"""

from __future__ import annotations

from streams.graph.nodes import Node, TableNode


def is_versioned(table: Node) -> bool:
    """Whether `Operator.lookup_at` of the table answers.

    >>> from streams.graph.definitions import StoreDef
    >>> kept = TableNode(name="kept", store=StoreDef(name="kept", changelog="kept", history_ms=1000))
    >>> is_versioned(kept), is_versioned(TableNode(name="filtered", parents=(kept,)))
    (True, True)
    >>> is_versioned(TableNode(name="joined", parents=(kept, kept)))
    False
    """
    if not isinstance(table, TableNode):
        return False
    if table.store is not None:
        return table.store.versioned
    return len(table.parents) == 1 and is_versioned(table.parents[0])
