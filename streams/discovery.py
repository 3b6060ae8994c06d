"""Which tables an agent's function uses, and whether it groups its stream: read off its code before it runs.

Found are objects in the globals and closure that the function's code names, with one attribute further
(`tables.late`), in lists, tuples and dicts of the like, in default arguments, in what a `functools.partial` or a bound
object holds, and the same of functions that it calls in the user's own module, one level deep.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from itertools import pairwise
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from streams.table import Table

if TYPE_CHECKING:
    from streams.agent import Agent

_YIELDING = (AsyncIterator, AsyncGenerator, AsyncIterable)
_LOADING = ("LOAD_FAST", "LOAD_DEREF")
_ASKING = ("LOAD_ATTR", "LOAD_METHOD")


def find_tables(function: Callable[..., Any]) -> list[Table[Any, Any]]:
    """The tables that a function uses, each once, in the order in which its code names them."""
    found: dict[int, Table[Any, Any]] = {}
    plain = plain_function(function)
    for value in (*_used(function), *_used_by_helpers(plain)):
        for table in _tables_in(value):
            found.setdefault(id(table), table)
    return list(found.values())


def agents_used(function: Callable[..., Any]) -> list[Agent[Any, Any]]:
    """The agents that a function uses, each once."""
    from streams.agent import Agent

    plain = plain_function(function)
    found = {id(value): value for value in (*_used(function), *_used_by_helpers(plain)) if isinstance(value, Agent)}
    return list(found.values())


def names_used(function: Callable[..., Any]) -> set[str]:
    """Every global and attribute that a function's code names, with those of functions within it."""
    plain = plain_function(function)
    return set() if plain is None else {name for code in _codes(plain.__code__) for name in code.co_names}


def asked_of_parameters(function: Callable[..., Any]) -> set[str]:
    """The attributes that a function's code takes of its parameters themselves, with those of functions within it.

    >>> sorted(asked_of_parameters(lambda stream, other: (stream.batches(), other.columns.items())))
    ['batches', 'columns']
    """
    plain = plain_function(function)
    if plain is None:
        return set()
    outer = plain.__code__
    parameters = set(outer.co_varnames[: outer.co_argcount + outer.co_kwonlyargcount])
    found: set[str] = set()
    for code in _codes(outer):
        instructions = [one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]
        for loaded, asked in pairwise(instructions):
            # From Python 3.13 on one instruction may load two, of which the last is asked.
            name = loaded.argval[-1] if isinstance(loaded.argval, tuple) else loaded.argval
            if asked.opname in _ASKING and loaded.opname.startswith(_LOADING) and name in parameters:
                found.add(asked.argval)
    return found


def yielded_type(function: Callable[..., Any]) -> Any:
    """What an agent's function is annotated to yield, as in `-> AsyncIterator[Price]`; None if that is not to be had.

    >>> async def double(stream) -> AsyncIterator[int]: yield 2
    >>> yielded_type(double)
    <class 'int'>
    """
    plain = plain_function(function)
    try:
        returned = get_type_hints(plain).get("return")
    except (NameError, TypeError, AttributeError):  # it names what is known to type checkers only
        return None
    arguments = get_args(returned)
    found = arguments[0] if arguments and get_origin(returned) in _YIELDING else None
    return None if found is Any or isinstance(found, TypeVar) else found


def plain_function(function: Callable[..., Any]) -> FunctionType | None:
    """The function underneath partials, decorators, bound methods and callable objects; None if there is none."""
    while not isinstance(function, FunctionType):
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            call = next((vars(kind)["__call__"] for kind in type(function).__mro__ if "__call__" in vars(kind)), None)
            if not isinstance(call, FunctionType):
                return None
            function = call
    unwrapped = inspect.unwrap(function)
    return unwrapped if isinstance(unwrapped, FunctionType) else None


def _used(function: Callable[..., Any]) -> Iterator[Any]:
    """The objects that a callable can reach by name, default, closure or as its own."""
    if isinstance(function, functools.partial):
        yield from (*function.args, *function.keywords.values())
        yield from _used(function.func)
        return
    holder = getattr(function, "__self__", None if isinstance(function, FunctionType) else function)
    if holder is not None and not isinstance(holder, ModuleType):
        yield from getattr(holder, "__dict__", {}).values()
    plain = plain_function(function)
    if plain is not None:
        yield from _named(plain)


def _named(function: FunctionType) -> Iterator[Any]:
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a name that is assigned further down, and so no table yet
            continue
    codes = list(_codes(function.__code__))
    for code in codes:
        for name in code.co_names:
            value = function.__globals__.get(name)
            if value is not None:
                yield value
                yield from _attributes(value, code)


def _attributes(holder: Any, code: CodeType) -> Iterator[Any]:
    """What `holder.name` would be for names in the code, where that is stored and not computed."""
    stored = getattr(holder, "__dict__", None)
    if isinstance(stored, dict) or isinstance(holder, type):
        yield from (vars(holder)[name] for name in code.co_names if name in vars(holder))


def _used_by_helpers(function: FunctionType | None) -> Iterator[Any]:
    if function is None:
        return
    for value in _named(function):
        helper = plain_function(value) if callable(value) and not isinstance(value, type) else None
        if helper is not None and helper.__module__ == function.__module__:
            yield from _named(helper)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _tables_in(value: Any) -> Iterator[Table[Any, Any]]:
    if isinstance(value, Table):
        yield value
    elif type(value) in (list, tuple, dict):
        entries = value.values() if isinstance(value, dict) else value
        yield from (entry for entry in entries if isinstance(entry, Table))
