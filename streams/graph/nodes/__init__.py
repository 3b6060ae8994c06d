"""The steps of a topology as plain data: what to do, from whom, and the user's line that said so.

A node holds no run state and does no work; `streams.operators` has one operator for each class here, in the folder of
the same family. `streams.graph.plan` arranges them. Nodes compare by identity.
"""

from __future__ import annotations

from streams.graph.nodes.agents import AgentNode
from streams.graph.nodes.aggregations import (
    AggregateNode,
    CogroupNode,
    Emit,
    Fold,
    FunctionFold,
    KeyedAggregateNode,
    NamedAggregates,
    ReduceFold,
    SessionAggregateNode,
    SlidingAggregateNode,
)
from streams.graph.nodes.base import Node, TableNode
from streams.graph.nodes.foreign_key_joins import (
    ForeignKeyJoinNode,
    NotifyNode,
    RoutedNode,
    SubscribeNode,
    SubscriptionNode,
)
from streams.graph.nodes.joins import (
    BufferedTableJoinNode,
    GlobalTableJoinNode,
    StreamJoinNode,
    TableJoiner,
    TableJoinNode,
    TableMergeNode,
    TableTableJoinNode,
)
from streams.graph.nodes.processors import (
    DeduplicateNode,
    ProcessNode,
    ProcessValuesNode,
)
from streams.graph.nodes.sinks import (
    PrintNode,
    RepartitionNode,
    SinkNode,
)
from streams.graph.nodes.sources import (
    SourceNode,
    TableSourceNode,
)
from streams.graph.nodes.stateless import (
    BranchNode,
    FilterNode,
    FlatMapNode,
    FlatMapValuesNode,
    ForEachNode,
    MapNode,
    MapValuesNode,
    MergeNode,
    PatternNode,
    PeekNode,
    SelectKeyNode,
    SplitNode,
)
from streams.graph.nodes.tables import (
    SuppressNode,
    TableAggregateNode,
    TableFilterNode,
    TableFold,
    TableGroupNode,
    TableMapValuesNode,
    TableTransformValuesNode,
    ToStreamNode,
    WhenFull,
)

__all__ = [
    "AgentNode",
    "AggregateNode",
    "BranchNode",
    "BufferedTableJoinNode",
    "CogroupNode",
    "DeduplicateNode",
    "Emit",
    "FilterNode",
    "FlatMapNode",
    "FlatMapValuesNode",
    "Fold",
    "ForEachNode",
    "ForeignKeyJoinNode",
    "FunctionFold",
    "GlobalTableJoinNode",
    "KeyedAggregateNode",
    "MapNode",
    "MapValuesNode",
    "MergeNode",
    "NamedAggregates",
    "Node",
    "NotifyNode",
    "PatternNode",
    "PeekNode",
    "PrintNode",
    "ProcessNode",
    "ProcessValuesNode",
    "ReduceFold",
    "RepartitionNode",
    "RoutedNode",
    "SelectKeyNode",
    "SessionAggregateNode",
    "SinkNode",
    "SlidingAggregateNode",
    "SourceNode",
    "SplitNode",
    "StreamJoinNode",
    "SubscribeNode",
    "SubscriptionNode",
    "SuppressNode",
    "TableAggregateNode",
    "TableFilterNode",
    "TableFold",
    "TableGroupNode",
    "TableJoinNode",
    "TableJoiner",
    "TableMapValuesNode",
    "TableMergeNode",
    "TableNode",
    "TableSourceNode",
    "TableTableJoinNode",
    "TableTransformValuesNode",
    "ToStreamNode",
    "WhenFull",
]
