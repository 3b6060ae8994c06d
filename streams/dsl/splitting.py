"""split: each record into the first branch whose predicate holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.dsl.naming import step_fields
from streams.dsl.reading import Function, read_function
from streams.errors import TopologyError
from streams.expressions import Expression
from streams.graph.definitions import check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import BranchNode, SplitNode
from streams.policies import Policy

if TYPE_CHECKING:
    from streams.dsl.stream import Stream

Then = Callable[["Stream"], Any]


class _Branch(NamedTuple):
    name: str
    predicate: UserFunction | Expression | None
    then: Then | None


class Split:
    """Branches in the order in which they are asked; `default` or `no_default` ends them (`BranchedKStream` in Kafka
    Streams).

    A record goes into the first branch whose predicate holds for it, and into no other.
    """

    def __init__(self, stream: Stream, name: str, on_error: Policy | None) -> None:
        self._stream = stream
        self._name = name
        self._where = caller()
        self._on_error = on_error
        self._branches: list[_Branch] = []
        self._ended = False
        # One that is never ended would lose its records unseen: the plan asks.
        stream._builder.unfinished[id(self)] = f"split {name!r} at {self._where}"

    def branch(
        self,
        predicate: Function,
        name: str | None = None,
        *,
        then: Then | None = None,
    ) -> Split:
        """The records for which the predicate, a function or an expression, holds; called `<split>-<name>`, after the
        predicate if it has a name of its own.

        `then(stream)` is called with the branch; what it gives stands in its place, and None leaves it out.
        """
        read = read_function(predicate, "branch", self._stream.value_type)
        own = read.name.strip("_") if isinstance(read, UserFunction) else ""
        if not (name or own):
            raise TopologyError(
                f"branch at {caller()}: give it name=; a lambda or an expression has none, and one by number would "
                "change with the branches before it"
            )
        self._add(name or own, read, then)
        return self

    def default(self, name: str = "default", *, then: Then | None = None) -> dict[str, Any]:
        """The records that no branch took, as a branch of their own; gives all branches by name."""
        self._add(name, None, then)
        return self._made()

    def no_default(self) -> dict[str, Any]:
        """Records that no branch takes are left out, and counted; gives all branches by name."""
        return self._made()

    def _add(self, name: str, predicate: UserFunction | Expression | None, then: Then | None) -> None:
        made = f"{self._name}-{check_name(name, 'branch')}"
        if any(branch.name == made for branch in self._branches):
            raise TopologyError(f"two branches of split {self._name!r} are called {name!r}: the second at {caller()}")
        self._branches.append(_Branch(made, predicate, then))

    def _made(self) -> dict[str, Any]:
        if not any(branch.predicate is not None for branch in self._branches):
            raise TopologyError(f"split {self._name!r} at {self._where} has no branch: add .branch(predicate, name)")
        if self._ended:
            raise TopologyError(f"split {self._name!r} at {self._where} is ended a second time at {caller()}")
        self._ended = True
        self._stream._builder.unfinished.pop(id(self), None)
        return self._streams()

    def _streams(self) -> dict[str, Any]:
        stream = self._stream
        node = SplitNode(
            **step_fields(stream, "split", None, self._name, self._on_error),
            predicates=tuple(branch.predicate for branch in self._branches if branch.predicate is not None),
            branches=tuple(branch.name for branch in self._branches),
        )
        split = stream._behind(node)
        found: dict[str, Any] = {}
        for branch in self._branches:
            made = BranchNode(name=branch.name, parents=(node,), where=node.where)
            behind = split._behind(made, label=branch.name)
            found[branch.name] = behind if branch.then is None else branch.then(behind)
        return {name: made for name, made in found.items() if made is not None}
