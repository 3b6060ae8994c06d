"""Where records go out: a topic of the user, or one of the app itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.graph.definitions import TopicDef
from streams.graph.functions import UserFunction
from streams.graph.nodes.base import Node


@dataclass(eq=False, slots=True, kw_only=True)
class SinkNode(Node):
    """Writes records to a topic, or to the topic whose name `choose` gives for each; into the partitions that a
    `partitioner` chooses.
    """

    topic: TopicDef | None = None
    choose: UserFunction | None = None
    topics: dict[str, TopicDef] | None = None
    partitioner: UserFunction | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class RepartitionNode(Node):
    """Writes records to an internal topic by their key; a `SourceNode` on that topic reads them in the tasks behind
    it. Records without a key go too if `keyless`, which the plan says (`streams.graph.keyless`).
    """

    topic: TopicDef
    partitioner: UserFunction | None = None
    keyless: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class PrintNode(Node):
    """Prints records to `to`: a path, something with `write`, or standard output (None)."""

    label: str
    to: Any = None
    function: UserFunction | None = None
