"""Machine code into this process: images as they are, object files by llvmlite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.kernels.compiled.images import is_image, placed

_kept: list[Any] = []
"""The code is there as long as its engine is."""


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
