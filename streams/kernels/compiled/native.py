"""Compiled functions over pointers, called with arrays.

numba checks an index of an array for being negative, and hands an array to a function as seven words; over pointers the
`json_parser` runs four times as fast. What is called here is trusted to stay within its arrays: there are no
bounds.

The functions are written down here and compiled elsewhere (`streams.compiling`, in a process of its own): whoever only
calls them does not import numba.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., int]
NUMBERS = ("count", "number")
"""The arguments that are no arrays: an integer, and a float."""


def inner(function: Any) -> Any:
    """For functions that compiled functions call."""
    function.is_inner = True
    return function


_from_address = ctypes.c_void_p.from_address
_DATA = 2 * ctypes.sizeof(ctypes.c_void_p)
"""Where an array object has the address of its elements: behind the count of references and the type."""


def _address(array: Any) -> int | None:
    """Where the elements are: `array.ctypes.data` in a seventh of its time (1.5 µs, and a call has ten arrays)."""
    return _from_address(id(array) + _DATA).value if _IS_THERE else int(array.ctypes.data)


def _is_there(probe: Any) -> bool:
    return bool(_from_address(id(probe) + _DATA).value == probe.ctypes.data)


_IS_THERE = _is_there(np.empty(1))


class Native:
    """A function that is compiled, once `link` has said where its code is. Its answer is an integer.

    `arguments` are the kinds of what it takes, by name.
    """

    on_demand: Callable[[str], None] | None = None
    """What has a module loaded whose function is called before: for tests. A worker asks `compiled.ready()`."""

    def __init__(self, function: Function, arguments: dict[str, str]) -> None:
        self.function = function
        self.arguments = arguments
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self._call: Any = None

    @property
    def symbol(self) -> str:
        """What it is called among all that are loaded."""
        return f"{self.__module__}.{self.__name__}"

    def link(self, address: int) -> None:
        """The code is there."""
        plain: dict[str, Any] = {"count": ctypes.c_int64, "number": ctypes.c_double}
        kinds: list[Any] = [plain.get(kind, ctypes.c_void_p) for kind in self.arguments.values()]
        self._call = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(address)

    def __call__(self, *given: Any) -> int:
        if self._call is None:
            self._load()
        done: int = self._call(*[_address(part) if type(part) is np.ndarray else part for part in given])
        return done

    def _load(self) -> None:
        if Native.on_demand is None:
            raise RuntimeError(f"{self.symbol} is not loaded: ask compiled.ready() before it is called")
        Native.on_demand(self.__module__)


def native(**arguments: str) -> Callable[[Function], Native]:
    """Has a function compiled for these arguments. The interpreter's lock is free while it runs, and it raises nothing.

    An argument is an array ("bytes": of uint8 or bool, "int32s", "int64s", "uint32s", "uint64s", "float64s"), an
    integer ("count") or a float ("number"). Arrays are contiguous.

    >>> from streams.kernels.compiled.texts import is_ascii
    >>> is_ascii(np.frombuffer(b"abc", np.uint8), np.array([0]), np.array([3]), 1)
    1
    """
    return lambda function: Native(function, arguments)
