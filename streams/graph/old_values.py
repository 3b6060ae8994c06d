"""Who needs to know what a change of a table replaces.

Old values cost a lookup for each change, so a table hands them on (`Node.sends_old`) only when a step behind it asks:
one that takes values back, as a grouped table does. Who asks, and what a table does that was not asked, is visible in
its deletions, so the rules are Kafka's (`KTableImpl.enableSendingOldValues`).
"""

from __future__ import annotations

from streams.graph.nodes import AggregateNode, Node, TableSourceNode


def request_old(table: Node) -> None:
    """Have a table hand on old values. One that keeps no store computes them from its parents', which hand on theirs.

    >>> above = Node(name="above")
    >>> below = Node(name="below", parents=(above,))
    >>> request_old(below)
    >>> above.sends_old, below.sends_old
    (True, True)
    """
    table.sends_old = True
    if not isinstance(table, TableSourceNode | AggregateNode):
        for parent in table.parents:
            request_old(parent)
