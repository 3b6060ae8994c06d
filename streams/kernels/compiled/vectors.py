"""Many bytes at once, for compiled functions: what is said here in Python is a few instructions there
(`streams.compiling.instructions`).

Who calls them sees to it that `WIDTH` bytes from `at` on can be read.
"""

from __future__ import annotations

from typing import Any

WIDTH = 32


def instruction(function: Any) -> Any:
    """For functions that `streams.compiling.instructions` has for compiled code."""
    function.is_instruction = True
    return function


@instruction
def text_ends(buffer: Any, at: int) -> int:
    """A bit for each byte that ends a run of plain text in JSON, the first byte's lowest: quotes, backslashes, control
    characters.

    >>> bin(text_ends(b'ab"cd' + bytes([10]) + 26 * b"x", 0))
    '0b100100'
    """
    return sum(1 << place for place in range(WIDTH) if buffer[at + place] in (34, 92) or buffer[at + place] < 32)


@instruction
def beyond_ascii(buffer: Any, at: int) -> int:
    """A bit for each byte that is no ASCII.

    >>> beyond_ascii("aé".encode() + 29 * b"x", 0)
    6
    """
    return sum(1 << place for place in range(WIDTH) if buffer[at + place] > 127)


@instruction
def eight(buffer: Any, at: int) -> int:
    """Eight bytes as one number, the first byte lowest.

    >>> eight(b"abcdefgh", 0) == int.from_bytes(b"abcdefgh", "little")
    True
    """
    return sum(buffer[at + place] << (8 * place) for place in range(8))


@instruction
def zeros(bits: int) -> int:
    """How many zeros are below the lowest bit that is set; 64 if none is.

    >>> zeros(0b1000), zeros(0)
    (3, 64)
    """
    return (bits & -bits).bit_length() - 1 if bits else 64
