"""What a store's entries are, kept beside them: used in another way it would take them for what they are not.

Windows of an hour look like windows of half an hour, keys with a window like keys without. What is kept lies with the
task's times, which have a changelog, so that it is there also when the local stores are built anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.errors import TopologyError
from streams.graph.definitions import StoreDef
from streams.graph.nodes import Node
from streams.operators.base import TaskContext

_KINDS = {"key_value": "keys", "versioned": "versions of keys", "session": "sessions", "window": "windows"}


def check_shapes(nodes: Iterable[Node], context: TaskContext) -> None:
    """Called when the stores are restored, before anybody reads them. A step whose store is empty, as `streams reset`
    leaves it, begins anew. Raises TopologyError for entries of another shape.
    """
    for node in nodes:
        for store in node.stores:
            if store.source_topic is None and not store.is_global:
                _check(node, store, context)


def _check(node: Node, store: StoreDef, context: TaskContext) -> None:
    name = f"shape of {store.name}"
    known = context.load_clock(name)
    if known is not None and known[0] != store.shape:
        with context.stores.backend.scan(store.name) as entries:
            is_empty = next(entries, None) is None
        if not is_empty:
            if known[0][0] != store.kind:  # restored as what it is not: whoever goes back restores it again
                context.stores.clear(store.name)
            raise TopologyError(
                f"store {store.name!r} of {node.name} ({store.where}) holds {known[1]}; now it is for {_said(store)}. "
                f"Go back, give the new one another name=, or begin it anew with `streams reset APP --store "
                f"{store.name}`."
            )
        context.save_clock(node.name, None)
    context.save_clock(name, [store.shape, _said(store)])


def _said(store: StoreDef) -> str:
    return _KINDS[store.kind] if store.window is None else f"{_KINDS[store.kind]} of {store.window!r}"
