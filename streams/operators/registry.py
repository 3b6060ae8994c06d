"""Which operator runs which step: `FooOperator` in `streams.operators.<family>.foo` runs `FooNode`, whose family is the
module of `streams.graph.nodes` that defines it.

The module is imported when a plan first needs it, so an app pays for the operators it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from streams.graph.nodes import Node
from streams.operators.base import Operator, TaskContext


def operator_for(node: Node, context: TaskContext) -> Operator[Any]:
    """The operator that runs a step in one task."""
    family = type(node).__module__.rpartition(".")[2]
    module = import_module(f"streams.operators.{family}.{node.kind}")
    operator: type[Operator[Any]] = getattr(module, type(node).__name__.removesuffix("Node") + "Operator")
    return operator(node, context)
