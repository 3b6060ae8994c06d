"""What `vectors` says, as LLVM's instructions. Imported where it is compiled only, as it imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from streams.kernels.compiled.vectors import WIDTH

_bytes: Any = ir.VectorType(ir.IntType(8), WIDTH)
_word: Any = ir.IntType(64)


def _loaded(builder: Any, kind: Any, buffer: Any, at: Any) -> Any:
    place = builder.bitcast(builder.gep(buffer, [at]), kind.as_pointer())
    return builder.load(place, align=1)


def _same(builder: Any, values: Any, comparison: str, byte: int) -> Any:
    return builder.icmp_unsigned(comparison, values, ir.Constant(_bytes, [byte] * WIDTH))


def _mask(builder: Any, bits: Any) -> Any:
    """A number with a bit for each byte."""
    return builder.zext(builder.bitcast(bits, ir.IntType(WIDTH)), _word)


def _of_bytes(make: Callable[[Any, Any, Any], Any]) -> Any:
    """An instruction of buffer and place whose answer is a number of 64 bits."""

    @intrinsic
    def instruction(_: Any, buffer: Any, at: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return make(builder, *arguments)

        return types.uint64(buffer, types.int64), code

    return instruction


def _text_ends(builder: Any, buffer: Any, at: Any) -> Any:
    values = _loaded(builder, _bytes, buffer, at)
    quoted = builder.or_(_same(builder, values, "==", 34), _same(builder, values, "==", 92))
    return _mask(builder, builder.or_(quoted, _same(builder, values, "<", 32)))


def _beyond_ascii(builder: Any, buffer: Any, at: Any) -> Any:
    return _mask(builder, _same(builder, _loaded(builder, _bytes, buffer, at), ">", 127))


@intrinsic
def _zeros(_: Any, bits: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.int64(types.uint64), code


INSTRUCTIONS = {
    "text_ends": _of_bytes(_text_ends),
    "beyond_ascii": _of_bytes(_beyond_ascii),
    "eight": _of_bytes(lambda builder, buffer, at: _loaded(builder, _word, buffer, at)),
    "zeros": _zeros,
}
"""By the names that they have in `vectors`."""
