"""Steps that look at one record at a time and keep nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.graph.functions import UserFunction
from streams.graph.nodes.base import Node

if TYPE_CHECKING:
    from streams.expressions import Expression


@dataclass(eq=False, slots=True, kw_only=True)
class FilterNode(Node):
    """Lets through the records for which the predicate holds (or, negated, does not)."""

    predicate: UserFunction | Expression
    negate: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class MapValuesNode(Node):
    """A new value for each record; the key stays."""

    function: UserFunction | Expression
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class MapNode(Node):
    """A new (key, value) for each record."""

    function: UserFunction
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class FlatMapNode(Node):
    """Any number of (key, value) pairs for each record."""

    function: UserFunction
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class FlatMapValuesNode(Node):
    """Any number of values for each record; the key stays."""

    function: UserFunction
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class SelectKeyNode(Node):
    """A new key for each record; the value stays."""

    function: UserFunction | Expression


@dataclass(eq=False, slots=True, kw_only=True)
class PeekNode(Node):
    """Calls the function with each record and hands the record on."""

    function: UserFunction


@dataclass(eq=False, slots=True, kw_only=True)
class ForEachNode(Node):
    """Calls the function with each record; nothing goes on."""

    function: UserFunction


@dataclass(eq=False, slots=True, kw_only=True)
class MergeNode(Node):
    """The records of several streams as one."""


@dataclass(eq=False, slots=True, kw_only=True)
class SplitNode(Node):
    """Each record to the one of `branches` (names of the steps behind, the same order) whose predicate holds first, or
    to the last if that has no predicate.
    """

    predicates: tuple[UserFunction | Expression, ...]
    branches: tuple[str, ...]


@dataclass(eq=False, slots=True, kw_only=True)
class BranchNode(Node):
    """The records of one branch of a split."""


@dataclass(eq=False, slots=True, kw_only=True)
class PatternNode(MergeNode):
    """The records of all topics whose names match; its parents are their sources, once it is known which are there."""

    pattern: str
    key_type: Any = None
    value_type: Any = None
