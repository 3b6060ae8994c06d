"""Machine code of the twins, made by numba: the only place that imports it.

What numba makes of a function is taken as LLVM's language, given an entry with C's calling convention, and compiled for
any processor of its kind, so that it can be made where a container's image is built. It needs nothing of numba nor of
Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types

from streams.compiling.images import image
from streams.compiling.instructions import INSTRUCTIONS
from streams.kernels.compiled import natives
from streams.kernels.compiled.native import NUMBERS, Native

_TYPES = {
    "bytes": types.uint8,
    "int32s": types.int32,
    "int64s": types.int64,
    "uint32s": types.uint32,
    "uint64s": types.uint64,
    "float64s": types.float64,
    "count": types.int64,
    "number": types.float64,
}
_MEMORY = """
    define ptr @memset(ptr %to, i32 %value, i64 %bytes) "no-builtins" {
        %byte = trunc i32 %value to i8
        %none = icmp eq i64 %bytes, 0
        br i1 %none, label %end, label %more
    more:
        %at = phi i64 [0, %0], [%next, %more]
        %place = getelementptr i8, ptr %to, i64 %at
        store i8 %byte, ptr %place
        %next = add i64 %at, 1
        %done = icmp eq i64 %next, %bytes
        br i1 %done, label %end, label %more
    end:
        ret ptr %to
    }
    define ptr @memcpy(ptr noalias %to, ptr noalias %from, i64 %bytes) "no-builtins" {
        %none = icmp eq i64 %bytes, 0
        br i1 %none, label %end, label %more
    more:
        %at = phi i64 [0, %0], [%next, %more]
        %source = getelementptr i8, ptr %from, i64 %at
        %place = getelementptr i8, ptr %to, i64 %at
        %byte = load i8, ptr %source
        store i8 %byte, ptr %place
        %next = add i64 %at, 1
        %done = icmp eq i64 %next, %bytes
        br i1 %done, label %end, label %more
    end:
        ret ptr %to
    }
    @llvm.compiler.used = appending global [2 x ptr] [ptr @memset, ptr @memcpy]
"""
"""What LLVM calls where a loop only fills or copies."""
_pointer: Any = types.CPointer
_LLVM = {"count": "i64", "number": "double"}


def build(name: str, called: Iterable[str]) -> bytes:
    """The object file of a module with all its functions; `called` are the modules whose functions it calls.

    The modules are spoilt: what is `inner` there is a function of numba's afterwards.
    """
    for module in (*called, name):
        _with_dispatchers(import_module(module))
    found = natives(name)
    whole = llvm.parse_assembly(_MEMORY)
    for one in found:
        whole.link_in(_compiled(one))
    target = _target()
    whole.triple, whole.data_layout = target.triple, str(target.target_data)
    return _optimised(whole, target, {one.symbol for one in found})


def _with_dispatchers(module: ModuleType) -> None:
    for name, value in vars(module).items():
        if isinstance(value, FunctionType) and hasattr(value, "is_instruction"):
            setattr(module, name, INSTRUCTIONS[value.__name__])
        elif isinstance(value, FunctionType) and hasattr(value, "is_inner"):
            setattr(module, name, numba.njit(error_model="numpy")(value))


def _compiled(one: Native) -> Any:
    """A function and what it calls, with an entry that is called with C's convention.

    numba's functions put the answer where their first argument points to, and what they raise where the second does:
    these raise nothing.
    """
    kinds = [_TYPES[kind] if kind in NUMBERS else _pointer(_TYPES[kind]) for kind in one.arguments.values()]
    made: Any = numba.cfunc(types.int64(*kinds), error_model="numpy")(one.function)
    code = llvm.parse_assembly(made.inspect_llvm())
    called = made.native_name.removeprefix("cfunc.")
    plain = [_LLVM.get(kind, "ptr") for kind in one.arguments.values()]
    given = ", ".join(f"{kind} %a{number}" for number, kind in enumerate(plain))
    entry = llvm.parse_assembly(f"""
        declare i32 @"{called}"(ptr, ptr, {", ".join(plain)})
        define i64 @"{one.symbol}"({given}) {{
            %answer = alloca i64
            %raised = alloca ptr
            %status = call i32 @"{called}"(ptr %answer, ptr %raised, {given})
            %done = load i64, ptr %answer
            ret i64 %done
        }}""")
    entry.triple, entry.data_layout = code.triple, code.data_layout
    entry.link_in(code)
    _hide(entry, {one.symbol})
    return entry


def _hide(code: Any, kept: set[str]) -> None:
    """Nothing but the entries is seen from outside, so that what they do not need can go."""
    for part in (*code.functions, *code.global_variables):
        if part.name not in kept and not part.is_declaration and not part.name.startswith("llvm."):
            part.linkage = "internal"


def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(opt=3, reloc="pic", codemodel="default")


def _optimised(code: Any, target: Any, entries: set[str]) -> bytes:
    _hide(code, entries)
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(code, builder)
    needed = [part.name for part in code.functions if part.is_declaration and not part.name.startswith("llvm.")]
    if needed:
        raise ValueError(
            f"{sorted(entries)} need {needed}, which nobody gives them: they may raise, or allocate memory"
        )
    return image(target.emit_object(code))
