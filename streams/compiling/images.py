"""Machine code that runs wherever it is put, made of an object file where nothing else is needed to.

LLVM in a worker takes 60 MB to load some thirty kilobytes. So what it would do there is done where the code is made:
the sections of an object file are laid one behind the other, and where one refers to another the distance is put in
(ELF for x86-64: System V ABI, "Relocation Types"). Other object files stay as they are.
"""

from __future__ import annotations

import ctypes
import json
import mmap
from collections.abc import Iterator
from struct import Struct, pack_into
from typing import Any, NamedTuple

_MAGIC, _X86_64 = b"\x7fELF\x02\x01", 62
_SECTION, _SYMBOL, _RELOCATION = Struct("<IIQQQQIIQQ"), Struct("<IBBHQQ"), Struct("<QQq")
_SYMBOLS, _RELOCATIONS = 2, 4
_WRITE, _LOADED = 1, 2
_GLOBAL = 1
_DISTANCES = (2, 4)  # R_X86_64_PC32 and R_X86_64_PLT32

_kept: list[Any] = []
"""The code is there as long as its memory is."""


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


def image(code: bytes) -> bytes:
    """The image of an object file, or the file as it is if there is more to do for it than is known here.

    >>> image(b"something else")
    b'something else'
    """
    if code[:6] != _MAGIC or int.from_bytes(code[18:20], "little") != _X86_64:
        return code
    start, count = int.from_bytes(code[40:48], "little"), int.from_bytes(code[60:62], "little")
    sections = [_Section(*_SECTION.unpack_from(code, start + 64 * number)) for number in range(count)]
    places, made = _laid_out(code, sections)
    if any(one.flags & _WRITE and one.flags & _LOADED for one in sections):
        return code
    (table,) = (one for one in sections if one.kind == _SYMBOLS)
    symbols = list(_entries(code, table, _SYMBOL))
    for section in sections:
        if section.kind == _RELOCATIONS and section.info in places:
            for at, which, addend in _entries(code, section, _RELOCATION):
                _, _, _, home, value, _ = symbols[which >> 32]
                if which & 0xFFFFFFFF not in _DISTANCES or home not in places:
                    return code
                place = places[section.info] + at
                pack_into("<i", made, place, places[home] + value + addend - place)
    names = code[sections[table.link].offset :]
    found = {
        names[name : names.index(b"\0", name)].decode(): places[home] + value
        for name, info, _, home, value, _ in symbols
        if info >> 4 == _GLOBAL and home in places
    }
    return json.dumps(found).encode() + b"\n" + made


def _laid_out(code: bytes, sections: list[_Section]) -> tuple[dict[int, int], bytearray]:
    """Where each section begins whose bytes are to be in memory, by its number, and these bytes."""
    places, made = {}, bytearray()
    for number, section in enumerate(sections):
        if section.flags & _LOADED:
            made += bytes(-len(made) % max(section.alignment, 1))
            places[number] = len(made)
            made += code[section.offset : section.offset + section.size]
    return places, made


def _entries(code: bytes, section: _Section, entry: Struct) -> Iterator[tuple[Any, ...]]:
    return entry.iter_unpack(code[section.offset : section.offset + section.size])


def is_image(code: bytes) -> bool:
    return code.startswith(b"{")


def placed(code: bytes) -> dict[str, int]:
    """Puts an image into memory of this process: the addresses of its functions. Raises OSError where that is not
    allowed.
    """
    offsets, _, made = code.partition(b"\n")
    memory = mmap.mmap(-1, len(made), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    memory.write(made)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    process = ctypes.CDLL(None, use_errno=True)
    if process.mprotect(ctypes.c_void_p(first), ctypes.c_size_t(len(made)), mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "memory of this process may not be made executable")
    _kept.append(memory)
    return {name: first + offset for name, offset in json.loads(offsets).items()}
