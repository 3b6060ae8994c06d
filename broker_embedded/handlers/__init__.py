"""One numbered file per API key; a key's file is imported when its first request comes.

A file registers its function with `@handler(key, versions=(first, last))`. There is no list to keep: the file's number
is its key, and what ApiVersions tells clients comes from here.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from broker_embedded.errors import InvalidRequestError
from broker_embedded.session import LOCAL, RequestContext

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

__all__ = ["LOCAL", "Handler", "RequestContext", "find", "handler", "served", "versions"]

Handler = Callable[["Cluster", Any, RequestContext], Awaitable[Any]]

_handlers: dict[int, Handler] = {}
_versions: dict[int, tuple[int, int]] = {}


def handler(api_key: int, *, versions: tuple[int, int]) -> Callable[[Handler], Handler]:
    """Register the decorated `async def handle(cluster, request, context)` for a key and its first to last version."""

    def register(function: Handler) -> Handler:
        _handlers[api_key] = function
        _versions[api_key] = versions
        return function

    return register


@cache
def _modules() -> dict[int, str]:
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return {int(name[1:].partition("_")[0]): name for name in names if name[0] == "k" and name[1].isdigit()}


def find(api_key: int) -> Handler:
    """The handler of a key. Raises InvalidRequestError for a key without one."""
    found = _handlers.get(api_key)
    if found is None:
        if api_key not in _modules():
            raise InvalidRequestError(f"API key {api_key} is not served; these are: {sorted(_modules())}")
        import_module(f"{__name__}.{_modules()[api_key]}")
        found = _handlers[api_key]
    return found


def versions(api_key: int) -> tuple[int, int] | None:
    """First and last version served of a key; None for a key without a handler."""
    if api_key not in _modules():
        return None
    find(api_key)
    return _versions[api_key]


def served() -> dict[int, tuple[int, int]]:
    """First and last version of every key that is served. Imports every handler."""
    found = {}
    for api_key in sorted(_modules()):
        find(api_key)
        found[api_key] = _versions[api_key]
    return found
