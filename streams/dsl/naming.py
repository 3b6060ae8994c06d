"""Names of steps, stores and topics: the user's, or from topic, operator and function; never from a counter.

Stores and internal topics are a contract with what is on disk, so two that derive the same name are an error. A step
without state has a name for drawings and messages only: there an equal one gets its line added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

from streams.expressions import Expression, Making
from streams.graph.definitions import check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.plan import Graph
from streams.serde.types import without_none

if TYPE_CHECKING:
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table
    from streams.policies import Policy


def suffix(function: UserFunction | Expression | None) -> str:
    """What a function or expression adds to a name.

    >>> suffix(UserFunction(lambda value: value, step="group_by", takes=2))
    ''
    """
    if isinstance(function, UserFunction):
        return f"-{function.name.strip('_')}" if function.name else ""
    if isinstance(function, Making):
        return f"-{function.kind.__name__}"
    if isinstance(function, Expression):
        return "-" + "-".join(sorted(name.replace(".", "-") for name in function.fields))
    return ""


def step_name(graph: Graph, label: str, step: str, function: UserFunction | Expression | None, where: str) -> str:
    """A name for a step without state."""
    name = f"{label}-{step}{suffix(function)}"
    taken = {node.name for node in graph.nodes}
    if name not in taken:
        return name
    line = where.rpartition(":")[2]
    candidates = [f"{name}-line-{line}", *(f"{name}-line-{line}-{n}" for n in range(2, 10_000))]
    return next(candidate for candidate in candidates if candidate not in taken)


def step_fields(
    above: Stream | Table,
    step: str,
    function: UserFunction | Expression | None,
    name: str | None,
    on_error: Policy | None,
) -> dict[str, Any]:
    """What every step behind a stream or table has: its name, its parent, the user's line and error policy."""
    where = caller()
    made = name or step_name(above._builder.graph, above.label, step, function, where)
    return {"name": check_name(made, step), "parents": (above.node,), "where": where, "on_error": on_error}


def type_of(function: UserFunction | Expression | None) -> Any:
    """The type that a function or expression declares for its result; None if it says nothing."""
    if isinstance(function, UserFunction):
        return function.returns
    if isinstance(function, Making):
        return function.kind
    owner, path = getattr(function, "owner", None), getattr(function, "path", None)
    if owner is None or path is None or "." in path:
        return None
    return next((field.type for field in msgspec.structs.fields(owner) if field.name == path), None)


def pair_types(returns: Any) -> tuple[Any, Any]:
    """The types of a pair that a function is declared to give; None for what it does not say.

    >>> pair_types(tuple[str, int] | None), pair_types(tuple), pair_types(None)
    ((<class 'str'>, <class 'int'>), (None, None), (None, None))
    """
    kind = without_none(returns)
    arms = get_args(kind) if get_origin(kind) is tuple else ()
    return (arms[0], arms[1]) if len(arms) == 2 and arms[1] is not ... else (None, None)
