"""Machine code into this process: images as they are, object files by llvmlite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streams.compiling.images import is_image, placed
from streams.kernels import compiled

_OBJECTS = (b"\x7fELF", b"\xcf\xfa\xed\xfe")
"""What files of ELF and of Mach-O begin with."""

_kept: list[Any] = []
"""The code is there as long as its engine is."""


def is_code(code: bytes) -> bool:
    """Whether this looks like what can be loaded: LLVM ends the process over anything else.

    >>> is_code(b"something else")
    False
    """
    return is_image(code) or code.startswith(_OBJECTS)


def link(objects: Mapping[str, bytes]) -> None:
    """Gives the functions of modules, by name, their machine code."""
    found = [one for module in objects for one in compiled.natives(module)]
    for one, address in zip(found, addresses(objects.values(), [one.symbol for one in found]), strict=True):
        one.link(address)
    compiled.linked(objects)


def addresses(codes: Iterable[bytes], symbols: list[str]) -> list[int]:
    """Where the code of these symbols is, once it is all loaded."""
    found: dict[str, int] = {}
    objects: list[bytes] = []
    for code in codes:
        if is_image(code):
            found |= placed(code)
        else:
            objects.append(code)
    if objects:
        engine = _engine(objects)
        found |= {symbol: engine.get_function_address(symbol) for symbol in symbols if symbol not in found}
    return [found[symbol] for symbol in symbols]


def _engine(objects: list[bytes]) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    for one in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(one))
    engine.finalize_object()
    _kept.append(engine)
    return engine
