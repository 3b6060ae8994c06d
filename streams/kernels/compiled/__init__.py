"""Twins of hot loops, compiled by numba (extra `fast`): the same answers from bytes, without a Python object a record.

Nothing of this is imported before `load`, which takes long where nothing was compiled yet (`compile_all` does that in a
process of its own). Whoever has a twin asks `ready` each time, and goes its other way until then.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

_MODULES = ("json_values", "key_table", "record_batches", "texts")
_loaded: list[bool] = []


def installed() -> bool:
    """Whether numba is there."""
    return find_spec("numba") is not None


def ready() -> bool:
    """Whether the twins are loaded."""
    return bool(_loaded)


def load() -> None:
    """Have the twins ready: compiles what is not in numba's cache on the disk."""
    for name in _MODULES:
        import_module(f"{__name__}.{name}")
    _loaded[:] = [True]
