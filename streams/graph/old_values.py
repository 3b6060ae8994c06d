"""Who needs to know what a change of a table replaces.

Old values cost a lookup for each change, so a table hands them on (`Node.sends_old`) only when a step behind it asks:
one that takes values back, as a grouped table does. Who asks, and what a table does that was not asked, is visible in
its deletions, so the rules are Kafka's (`KTableImpl.enableSendingOldValues`).
"""

from __future__ import annotations

from streams.graph.nodes import Node, TableNode, TableSourceNode


def request_old(table: Node, *, needed: bool = True, shown: bool = True) -> bool:
    """Have a table hand on old values. One that keeps no store computes them from its parents', which hand on theirs.

    Not `needed`: only if that costs nothing, which is when the table at the bottom is kept anyway. Gives whether the
    table hands them on. Not `shown`: Kafka Streams would not ask, so what tables say of their rows stays as it is.

    >>> above = TableNode(name="above")
    >>> below = TableNode(name="below", parents=(above,))
    >>> request_old(below)
    True
    >>> above.sends_old, below.sends_old
    (True, True)
    """
    if table.asked_old or (table.sends_old and not shown):
        return True
    if isinstance(table, TableSourceNode):
        if not (needed or table.materialized):
            return False
        table.materialized = True
    elif not (isinstance(table, TableNode) and table.keeps_old) and not all(
        request_old(parent, needed=needed, shown=shown) for parent in table.parents
    ):
        return False
    table.sends_old, table.asked_old = True, shown
    return True
