"""Twins of hot loops, compiled by numba (extra `fast`): the same answers from bytes, without a Python object a record.

A module here has functions that `native` is told of; their machine code is made in a process of its own, kept on disk,
and loaded from there (`streams.compiling`). Whoever has a twin asks `ready` each time, and goes its other way until the
code is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.kernels.compiled.native import Native

_NAMES = (
    "folds",
    "group_slots",
    "json_parser",
    "json_writer",
    "key_table",
    "msgpack",
    "partitioner",
    "record_reader",
    "record_writer",
    "texts",
    "window_pairs",
)
MODULES = tuple(f"{__name__}.{name}" for name in _NAMES)
"""The modules that have twins of what a worker does."""

MANY_ROWS = 50
"""Measured: for fewer rows the calls of compiled functions cost more than they save."""

_linked: set[str] = set()
_off: list[bool] = []


def installed() -> bool:
    """Whether the extra `fast` is there."""
    return find_spec("numba") is not None


def loaded() -> bool:
    """Whether the twins are in this process."""
    return _linked.issuperset(MODULES)


def ready(rows: int | None = None) -> bool:
    """Whether the twins are loaded, and not switched off; with `rows`, also whether so many are worth a call."""
    return loaded() and not _off and (rows is None or rows >= MANY_ROWS)


def switch(*, on: bool) -> None:
    """Has `ready` say that twins are not there, though they are loaded; and back. For tests that compare the ways."""
    _off[:] = [] if on else [True]


def natives(module: str) -> list[Native]:
    """The compiled functions that a module has of its own."""
    from streams.kernels.compiled.native import Native

    return [one for one in vars(import_module(module)).values() if isinstance(one, Native) and one.__module__ == module]


def linked(modules: Iterable[str]) -> None:
    """The functions of these modules have their code (`streams.compiling.linking`)."""
    _linked.update(modules)
