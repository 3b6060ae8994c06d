"""process and process_values: what a processor is, and which stores it is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.dsl.naming import step_fields
from streams.errors import TopologyError, did_you_mean
from streams.graph.definitions import StoreDef
from streams.graph.functions import name_of, where
from streams.graph.nodes import ProcessNode, ProcessValuesNode
from streams.policies import Policy
from streams.store import Store

if TYPE_CHECKING:
    from streams.dsl.builder import Builder
    from streams.dsl.stream import Stream


class Processing(NamedTuple):
    """What `process` and `process_values` are told."""

    step: str
    processor: Callable[[], Any]
    stores: Iterable[Any]
    name: str | None
    on_error: Policy | None


def process(stream: Stream, told: Processing, key_type: Any, value_type: Any) -> Stream:
    """The stream behind a processor that may change keys."""
    node = ProcessNode(**_common(stream, told), value_type=value_type)
    return stream._behind(node, key_type=key_type, value_type=value_type, key_changed=True)


def process_values(stream: Stream, told: Processing, value_type: Any) -> Stream:
    """The stream behind a processor that keeps keys."""
    node = ProcessValuesNode(**_common(stream, told), value_type=value_type)
    return stream._behind(node, value_type=value_type)


def _common(stream: Stream, told: Processing) -> dict[str, Any]:
    make = _maker(told.processor)
    # What it schedules is kept by the step's name, so that never has a line in it: two alike are an error.
    own = name_of(told.processor) if callable(told.processor) else ""
    name = told.name or f"{stream.label}-{told.step}" + (f"-{own}" if own else "")
    common = step_fields(stream, told.step, None, name, told.on_error)
    _check(told.step, make, common["where"])
    return common | {"make": make, **stores_given(stream._builder, told.stores, make, common)}


def stores_given(builder: Builder, stores: Iterable[Any], make: Any, common: dict[str, Any]) -> dict[str, Any]:
    """What is named at the step, and what the processor brings: `used`, and `written` of those."""
    asked = (_store(builder, one, common) for one in [*stores, *_own_stores(make)])
    found = {store.name: (store, mine) for store, mine in asked}
    return {
        "used": tuple(store for store, _ in found.values()),
        "written": tuple(store for store, mine in found.values() if mine),
    }


class _Calling:
    """A processor that is one function of (record, ctx)."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def init(self, ctx: Any) -> None:
        self._ctx = ctx

    def process(self, record: Any) -> None:
        self._function(record, ctx=self._ctx)


def _maker(processor: Any) -> Any:
    """What makes processors: the class or function itself, or for a function of (record, ctx) one that calls it."""
    if isinstance(processor, type) or not callable(processor):
        return processor
    try:
        parameters = inspect.signature(processor).parameters
    except (TypeError, ValueError):  # a builtin: it takes no ctx
        return processor
    return partial(_Calling, processor) if "ctx" in parameters else processor


def _check(step: str, make: Any, line: str) -> None:
    """Raises TopologyError for what makes no processors."""
    if not callable(make):
        has = "one object for all tasks" if hasattr(make, "process") else "no processor"
        raise TopologyError(f"{step} at {line}: {make!r} is {has}; give the class, or a function that makes one")
    if not _makes_without_arguments(make):
        name = getattr(make, "__name__", make)
        raise TopologyError(
            f"{step} at {line}: {name} ({_place(make)}) takes arguments, and a class or function that makes a "
            "processor is called without: lambda: P(...). A function of each record takes (record, ctx)"
        )
    if not isinstance(make, type):
        return
    process = getattr(make, "process", None)
    if process is None:
        raise TopologyError(f"{step} at {line}: {make.__name__} ({_place(make)}) has no method process(record)")
    if inspect.iscoroutinefunction(process):
        raise TopologyError(
            f"{step} at {line}: {make.__name__}.process ({where(process)}) is a coroutine function, and a processor "
            "does not wait; an agent does: @app.agent(topic)"
        )
    _check_arguments(step, make, line)


def _makes_without_arguments(make: Callable[..., Any]) -> bool:
    try:
        inspect.signature(make).bind()
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def _check_arguments(step: str, make: type, line: str) -> None:
    for name, taken in (("process", 1), ("init", 1), ("close", 0)):
        method = inspect.getattr_static(make, name, None)
        if not inspect.isfunction(method):
            continue
        try:
            inspect.signature(method).bind(*range(taken + 1))
        except TypeError:
            given = {"process": "(record)", "init": "(ctx)", "close": "()"}[name]
            raise TopologyError(
                f"{step} at {line}: {make.__name__}.{name} ({where(method)}) is called as {name}{given}"
            ) from None


def _place(make: Any) -> str:
    try:
        return f"{inspect.getsourcefile(make)}:{inspect.getsourcelines(make)[1]}"
    except (OSError, TypeError):  # made where there is no source
        return str(getattr(make, "__module__", make))


def _own_stores(make: Any) -> list[Any]:
    """Those that the processor brings itself: `stores`, a list or a function without arguments
    (`ConnectedStoreProvider` in Kafka Streams).
    """
    own = getattr(make, "stores", ())
    return list(own() if callable(own) else own)


def _store(builder: Builder, asked: Any, common: dict[str, Any]) -> tuple[StoreDef, bool]:
    """A store of the app, and whether processors may write it."""
    if isinstance(asked, Store):
        return asked.declared_in(builder), True
    if isinstance(asked, str):
        found = builder.graph.stores.get(asked)
        if found is None:
            known = sorted(builder.graph.stores)
            raise TopologyError(
                f"{common['name']} at {common['where']}: the app has no store {asked!r}.{did_you_mean(asked, known)} "
                f"It has {', '.join(known) or 'none'}; app.store({asked!r}, ...) makes it."
            )
        return found, found in builder.user_stores.values()
    # A table of a pipeline, or one of agents.
    found = getattr(asked, "store", None) or getattr(asked, "definition", None)
    if not isinstance(found, StoreDef):
        raise TopologyError(
            f"{common['name']} at {common['where']}: stores= takes what app.store(...) gave, names and tables; not "
            f"{asked!r}"
        )
    return found, False
