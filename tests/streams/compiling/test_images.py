"""An object file runs the same as an image, put into memory here, and by llvmlite."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable

import pytest

pytest.importorskip("llvmlite", reason="the extra `fast`: pip install streams-engine[fast]")

import llvmlite.binding as llvm

from streams.compiling.images import image, is_image
from streams.compiling.linking import addresses

PLAIN = """
    @table = internal constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]
    define i64 @"of a table"(i64 %at) {
        %place = getelementptr [4 x i64], ptr @table, i64 0, i64 %at
        %found = load i64, ptr %place
        %more = call i64 @"one more"(i64 %found)
        ret i64 %more
    }
    define i64 @"one more"(i64 %number) noinline {
        %more = add i64 %number, 1
        ret i64 %more
    }
"""
BEYOND = """
    declare i64 @labs(i64)
    define i64 @"of the system"(i64 %number) {
        %found = call i64 @labs(i64 %number)
        ret i64 %found
    }
"""
WRITTEN = """
    @count = global i64 5
    define i64 @"counted"(i64 %number) {
        %before = load i64, ptr @count
        %after = add i64 %before, %number
        store i64 %after, ptr @count
        ret i64 %after
    }
"""


def object_file(text: str) -> bytes:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(reloc="pic", codemodel="default")
    code = llvm.parse_assembly(text)
    code.triple = target.triple
    made: bytes = target.emit_object(code)
    return made


def function(code: bytes, symbol: str) -> Callable[[int], int]:
    (address,) = addresses([code], [symbol])
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)


def test_an_image_and_its_object_file_give_the_same() -> None:
    code = object_file(PLAIN)
    made = image(code)
    assert is_image(made) == (platform.machine() == "x86_64" and platform.system() == "Linux")
    for one in (code, made):
        found = function(one, "of a table")
        assert [found(at) for at in range(4)] == [11, 21, 31, 41]
        assert function(one, "one more")(-1) == 0


@pytest.mark.parametrize(
    ("text", "symbol", "given", "answer"),
    [
        (BEYOND, "of the system", -3, 3),
        (WRITTEN, "counted", 2, 7),
    ],
)
def test_what_needs_more_stays_an_object_file(text: str, symbol: str, given: int, answer: int) -> None:
    made = image(object_file(text))
    assert not is_image(made)
    assert function(made, symbol)(given) == answer


def test_several_at_once() -> None:
    codes = [image(object_file(PLAIN)), object_file(BEYOND)]
    table, system = addresses(codes, ["of a table", "of the system"])
    assert table != system
