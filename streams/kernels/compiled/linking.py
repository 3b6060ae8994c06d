"""Object files into this process. Imports llvmlite (25 ms), not numba."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import llvmlite.binding as llvm

_kept: list[Any] = []
"""The code is there as long as its engine is."""


def addresses(objects: Iterable[bytes], symbols: list[str]) -> list[int]:
    """Where the code of these symbols is, once the object files are loaded."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    for one in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(one))
    engine.finalize_object()
    _kept.append(engine)
    return [engine.get_function_address(symbol) for symbol in symbols]
