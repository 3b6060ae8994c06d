"""What the user's functions are: how many arguments they take, whether they ask for the context, and where they stand.

One argument is the value; two are key and value. A parameter called `ctx` asks for the context. All of this is read
once, when the app is built, so that a wrong signature is an error at the user's line and not in the middle of a stream.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from functools import partial
from typing import Any, get_type_hints

from streams.errors import TopologyError


def _not_a_function(given: object) -> str:
    from streams.expressions import Expression

    if isinstance(given, Expression):
        return f"give a function; this step takes no expression, as {given!r}"
    return f"give a function or an expression, not {given!r}"


class UserFunction:
    """A function of the user's: the callable, its number of data arguments, and its place.

    `takes` is how many arguments the step's natural form has (2: key and value); a function with one argument fewer
    gets the tail of them (the value alone).

    >>> UserFunction(lambda value: value, step="map_values", takes=2).arity
    1
    """

    __slots__ = ("arity", "call", "name", "returns", "wants_ctx", "where")

    def __init__(self, function: Callable[..., Any], *, step: str, takes: int) -> None:
        if not callable(function):
            raise TopologyError(f"{step} at {caller()}: {_not_a_function(function)}")
        self.call = function
        self.where = where(function)
        self.name = name_of(function)
        self.arity, self.wants_ctx = _read_signature(function, step, takes, self.where)
        self.returns = _returns(function)

    def calling(self, call: Callable[..., Any]) -> UserFunction:
        """The same function, called through `call`."""
        made = copy(self)
        made.call = call
        return made

    def __repr__(self) -> str:
        return f"{self.name} ({self.where})"


def where(function: Callable[..., Any]) -> str:
    """`file:line` of a function, or its name where it has no source.

    >>> where(len)
    'builtin len'
    """
    function = _inner(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # an object with a method that makes it callable
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004 - the method, not whether
    if code is None:
        return f"builtin {getattr(function, '__name__', type(function).__name__)}"
    return f"{code.co_filename}:{code.co_firstlineno}"


def name_of(function: Callable[..., Any]) -> str:
    """The function's own name; empty for a lambda, which adds nothing to the name of a step."""
    function = _inner(function)
    name = getattr(function, "__name__", type(function).__name__)
    return "" if name == "<lambda>" else name


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, partial):
        function = function.func
    return function


_spoken_for: ContextVar[str | None] = ContextVar("spoken_for", default=None)


@contextmanager
def speaking_for(place: str) -> Iterator[None]:
    """Steps added meanwhile are those of the user's line `place`, whoever adds them."""
    token = _spoken_for.set(place)
    try:
        yield
    finally:
        _spoken_for.reset(token)


def caller() -> str:
    """`file:line` of the nearest frame outside this package: the user's line that called the DSL."""
    spoken_for = _spoken_for.get()
    if spoken_for is not None:
        return spoken_for
    frame = inspect.currentframe()
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith("streams."):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "unknown"


def _read_signature(function: Callable[..., Any], step: str, takes: int, place: str) -> tuple[int, bool]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # builtins such as `int` and `max` have no signature: they take no key
        return max(1, takes - 1), False
    wants_ctx = any(p.name == "ctx" for p in parameters)
    arity = _arity(parameters, step, takes, place)
    # Data goes in by position and the context by name: nothing else can be given.
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if "ctx" in names[:arity]:
        raise TopologyError(f"{step}: the function at {place} takes ctx before its other arguments; put ctx last")
    by_name = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "ctx" and p.default is p.empty]
    if by_name:
        raise TopologyError(
            f"{step}: the function at {place} wants {by_name[0].name!r} by name, and {step} has nothing to give; "
            "give it a default, or use functools.partial"
        )
    return arity, wants_ctx


_FORMS: dict[str | int, str] = {
    1: "(value)",
    2: "(value) or (key, value)",
    3: "(left, right) or (key, left, right)",
    "partitioner": "(value, partitions) or (key, value, partitions)",
}


def _arity(parameters: list[inspect.Parameter], step: str, takes: int, place: str) -> int:
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return takes
    positional = [p for p in parameters if p.name != "ctx" and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(1 for p in positional if p.default is p.empty)
    arity = min(max(required, takes - 1), len(positional))
    if not takes - 1 <= arity <= takes or required > takes:
        forms = (
            _FORMS.get(step)
            or {1: "(value)", 2: "(value) or (key, value)", 3: "(left, right) or (key, left, right)"}[takes]
        )
        raise TopologyError(
            f"{step}: the function at {place} takes {required} arguments; {step} calls it as {forms}, "
            "and with ctx= if it asks"
        )
    return arity


def _returns(function: Callable[..., Any]) -> Any:
    """The declared return type, or None where there is none to be had."""
    if isinstance(function, type):
        return function
    try:
        return get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):  # a forward reference that cannot be resolved yet says nothing
        return None
