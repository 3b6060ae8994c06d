"""Who looks into a table: a joining step asks for the value of a key as the table stands.

A table with a store answers from it; one without computes its answer from its parents' (Kafka's value getters,
`KTableValueGetterSupplier`). So a step that looks lists the stores at the bottom of that as its own: they run in its
task, and each change of them shows at once.
"""

from __future__ import annotations

from streams.graph.definitions import StoreDef
from streams.graph.nodes import Node, TableNode, TableSourceNode


def looking_into(table: Node) -> tuple[StoreDef, ...]:
    """The stores that answer a lookup into the table, for the `stores` of the step that will look. A table of a topic
    is kept for good from here on.

    >>> kept = TableNode(name="kept", store=StoreDef(name="kept", changelog="kept"))
    >>> [store.name for store in looking_into(TableNode(name="filtered", parents=(kept,)))]
    ['kept']
    """
    if isinstance(table, TableSourceNode):
        table.materialized = True
    if isinstance(table, TableNode) and table.store is not None:
        return (table.store,)
    below = (store for parent in table.parents for store in looking_into(parent))
    return tuple({id(store): store for store in (*table.stores, *below)}.values())
