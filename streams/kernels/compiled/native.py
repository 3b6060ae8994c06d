"""Compiled functions over pointers, called with arrays.

numba checks an index of an array for being negative, and hands an array to a function as seven words; over pointers the
parser of `json_values` runs four times as fast. What is called here is trusted to stay within its arrays: there are no
bounds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

inner: Any = numba.njit(nogil=True, error_model="numpy")
"""For functions that compiled functions call."""

_pointer: Any = types.CPointer
_TYPES = {
    "bytes": _pointer(types.uint8),
    "int64s": _pointer(types.int64),
    "float64s": _pointer(types.float64),
    "count": types.int64,
}


def native(**arguments: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A function of these arguments, compiled or taken from numba's cache on disk when it is defined.

    An argument is "bytes" (an array of uint8 or bool), "int64s", "float64s", or "count", an integer. Arrays are
    contiguous. The answer is an integer. The interpreter's lock is free while it runs.

    >>> from streams.kernels.compiled.texts import is_ascii
    >>> is_ascii(np.frombuffer(b"abc", np.uint8), np.array([0]), np.array([3]), 1)
    1
    """

    def compiled(function: Callable[..., int]) -> Callable[..., int]:
        kinds = [_TYPES[kind] for kind in arguments.values()]
        made: Any = numba.cfunc(types.int64(*kinds), cache=True, error_model="numpy")(function)
        plain = [ctypes.c_int64 if kind == "count" else ctypes.c_void_p for kind in arguments.values()]
        call = ctypes.CFUNCTYPE(ctypes.c_int64, *plain)(made.address)

        def run(*given: Any) -> int:
            done: int = call(*[part.ctypes.data if isinstance(part, np.ndarray) else part for part in given])
            return done

        run.compiled = made  # type: ignore[attr-defined]  # its address is good as long as it lives
        return run

    return compiled
