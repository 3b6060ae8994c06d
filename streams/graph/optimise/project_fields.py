"""Fields that nobody behind a repartition reads need not travel through it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from operator import attrgetter
from typing import Any

import msgspec

from streams.graph.fields_read import fields_read_behind
from streams.graph.functions import UserFunction
from streams.graph.nodes import MapValuesNode, RepartitionNode, SourceNode
from streams.graph.plan import Graph
from streams.models import define_record


def project_fields(graph: Graph) -> None:
    """Write to a repartition topic only the fields of a Record that expressions behind it read.

    One function of the user's behind it, which may look at anything, keeps all of them. No name changes. Records
    already in the topic are read as well; but with the rule off again, or a function put behind, those that were
    written short do not decode: drain the topic first.
    """
    for node in [node for node in graph.nodes if isinstance(node, RepartitionNode)]:
        source = graph.reader(node.topic)
        record = node.topic.value_type
        if not getattr(record, "__struct_fields__", ()) or len(graph.writers(node.topic)) > 1:
            continue
        read = fields_read_behind(source, graph.behind)
        if read is not None and read < set(record.__struct_fields__):
            _shorten(graph, node, source, _projected(record, read))


def _projected(record: type, read: set[str]) -> type:
    types = {field.name: field.type for field in msgspec.structs.fields(record) if field.name in read}
    return define_record(record.__name__, types)


def _shorten(graph: Graph, node: RepartitionNode, source: SourceNode, short: type) -> None:
    topic = copy(node.topic)
    topic.value_type = short
    graph.topics[topic.name] = node.topic = source.topic = topic
    function = UserFunction(_shortening(short), step="map_values", takes=2)
    first = MapValuesNode(
        name=f"{node.name}-fields", parents=node.parents, where=node.where, function=function, value_type=short
    )
    node.parents = (first,)
    graph.nodes.insert(graph.nodes.index(node), first)


def _shortening(short: Any) -> Callable[[Any], Any]:
    names = short.__struct_fields__
    if not names:
        return lambda value: None if value is None else short()
    read = attrgetter(*names)
    if len(names) == 1:
        return lambda value: None if value is None else short(read(value))
    return lambda value: None if value is None else short(*read(value))
