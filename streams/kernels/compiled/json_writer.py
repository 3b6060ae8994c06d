"""Columns into JSON, a text a row, as msgspec writes it."""

from __future__ import annotations

import numpy as np

from streams.kernels.compiled.decimals import shortest
from streams.kernels.compiled.json_kinds import FLOAT, INT, JSON, TEXT
from streams.kernels.compiled.native import inner, native

_NUMBER_BYTES_MAX = 25
_ESCAPED_BYTES = 6
_ZERO, _TEN, _HUNDRED, _EXPONENT = np.uint64(0), np.uint64(10), np.uint64(100), np.uint64(0x7FF << 52)
_E4, _E8 = np.uint64(10**4), np.uint64(10**8)
_POWERS = np.array([10**power for power in range(20)], np.uint64)
_PAIRS = np.frombuffer("".join(f"{pair:02}" for pair in range(100)).encode(), np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_ESCAPES = np.zeros(256, np.uint8)
"""The letter behind the backslash; `u` for those that are written as a number; 0 for what is written as it is."""
_ESCAPES[:32] = ord("u")
for _byte, _letter in zip(b'"\\\b\f\n\r\t', b'"\\bfnrt', strict=True):
    _ESCAPES[_byte] = _letter


@inner
def _word(out, at, a, b, c, d):  # type: ignore[no-untyped-def]
    out[at], out[at + 1], out[at + 2], out[at + 3] = a, b, c, d
    return at + 4


@inner
def _null(out, at):  # type: ignore[no-untyped-def]
    return _word(out, at, 110, 117, 108, 108)


@inner
def _digits(out, at, number):  # type: ignore[no-untyped-def]
    """A number without sign."""
    size = 1
    while size < 20 and number >= _POWERS[size]:
        size += 1
    place = at + size
    while number >= _HUNDRED:
        rest = number // _HUNDRED
        pair = np.int64(number - rest * _HUNDRED)
        place -= 2
        out[place], out[place + 1] = _PAIRS[2 * pair], _PAIRS[2 * pair + 1]
        number = rest
    if number >= _TEN:
        out[at], out[at + 1] = _PAIRS[2 * np.int64(number)], _PAIRS[2 * np.int64(number) + 1]
    else:
        out[at] = np.uint8(48) + np.uint8(number)
    return at + size


@inner
def _integer(out, at, number):  # type: ignore[no-untyped-def]
    if number < 0:
        out[at] = 45
        return _digits(out, at + 1, _ZERO - np.uint64(number))
    return _digits(out, at, np.uint64(number))


@inner
def _moved(out, start, stop, by):  # type: ignore[no-untyped-def]
    """Bytes further back."""
    for place in range(stop - 1, start - 1, -1):
        out[place + by] = out[place]


@inner
def _filled(out, start, stop):  # type: ignore[no-untyped-def]
    """Zeros, as digits."""
    for place in range(start, stop):
        out[place] = 48


@inner
def _float(out, at, bits):  # type: ignore[no-untyped-def]
    """Shortest digits; with an exponent where the point would be far off, as Rust's and msgspec's ryu write it."""
    if bits & _EXPONENT == _EXPONENT:
        return _null(out, at)
    if bits >> np.uint64(63) != _ZERO:
        out[at] = 45
        at += 1
    number, exponent = shortest(bits)
    if number == _ZERO:
        out[at], out[at + 1], out[at + 2] = 48, 46, 48
        return at + 3
    # Divisors are written out: one that the compiler knows it turns into a multiplication.
    while number - number // _E8 * _E8 == _ZERO:
        number //= _E8
        exponent += 8
    if number - number // _E4 * _E4 == _ZERO:
        number //= _E4
        exponent += 4
    if number - number // _HUNDRED * _HUNDRED == _ZERO:
        number //= _HUNDRED
        exponent += 2
    if number - number // _TEN * _TEN == _ZERO:
        number //= _TEN
        exponent += 1
    end = _digits(out, at, number)
    size = end - at
    point = size + exponent
    if exponent >= 0 and point <= 16:
        _filled(out, end, at + point)
        out[at + point], out[at + point + 1] = 46, 48
        return at + point + 2
    if 0 < point <= 16:
        _moved(out, at + point, end, 1)
        out[at + point] = 46
        return end + 1
    if -5 < point <= 0:
        _moved(out, at, end, 2 - point)
        out[at], out[at + 1] = 48, 46
        _filled(out, at + 2, at + 2 - point)
        return end + 2 - point
    if size > 1:
        _moved(out, at + 1, end, 1)
        out[at + 1] = 46
        end += 1
    out[end] = 101
    return _integer(out, end + 1, point - 1)


@inner
def _text(out, at, texts, start, stop):  # type: ignore[no-untyped-def]
    out[at] = 34
    at += 1
    for place in range(start, stop):
        byte = texts[place]
        letter = _ESCAPES[byte]
        if letter == 0:
            out[at] = byte
            at += 1
        elif letter == 117:
            at = _word(out, at, 92, 117, 48, 48)
            out[at], out[at + 1] = _HEX[byte >> 4], _HEX[byte & 15]
            at += 2
        else:
            out[at], out[at + 1] = 92, letter
            at += 2
    out[at] = 34
    return at + 1


@inner
def _plain(out, at, texts, start, stop):  # type: ignore[no-untyped-def]
    for place in range(start, stop):
        out[at + place - start] = texts[place]
    return at + stop - start


@native(
    heads="bytes",
    head_stops="int64s",
    fields="count",
    kinds="bytes",
    places="int64s",
    masks="int64s",
    integers="int64s",
    floats="uint64s",
    texts="bytes",
    text_starts="int64s",
    text_stops="int64s",
    valid="bytes",
    first="count",
    rows="count",
    out="bytes",
    at="count",
    room="count",
    starts="int64s",
    stops="int64s",
)
def write(  # type: ignore[no-untyped-def]
    heads,
    head_stops,
    fields,
    kinds,
    places,
    masks,
    integers,
    floats,
    texts,
    text_starts,
    text_stops,
    valid,
    first,
    rows,
    out,
    at,
    room,
    starts,
    stops,
):
    """Writes rows from number `first` on to `out` from `at` on; how many are done: less than `rows` if `room` ran out.

    `heads` are what stands before each field and behind the last, one behind the other, each up to its `head_stops`.
    A field has its kind, the number of its column among those of this kind (`integers` [columns, rows], bools too,
    `floats` by their bits, `text_starts` and `text_stops`) and of its column in `valid` [columns, rows], -1 for none.
    A row whose start is -1 before is left out: it is null.
    """
    heads_bytes = head_stops[fields]
    for row in range(first, rows):
        if starts[row] < 0:
            stops[row] = -1
            continue
        needed = heads_bytes
        for field in range(fields):
            needed += _NUMBER_BYTES_MAX
            if kinds[field] >= TEXT:
                place = places[field] * rows + row
                needed += _ESCAPED_BYTES * (text_stops[place] - text_starts[place])
        if at + needed > room:
            return row
        starts[row] = at
        before = np.int64(0)
        for field in range(fields):
            at = _plain(out, at, heads, before, head_stops[field])
            before = head_stops[field]
            kind, place = kinds[field], places[field] * rows + row
            if masks[field] >= 0 and valid[masks[field] * rows + row] == 0:
                at = _null(out, at)
            elif kind == TEXT:
                at = _text(out, at, texts, text_starts[place], text_stops[place])
            elif kind == JSON:
                at = _plain(out, at, texts, text_starts[place], text_stops[place])
            elif kind == INT:
                at = _integer(out, at, integers[place])
            elif kind == FLOAT:
                at = _float(out, at, floats[place])
            elif integers[place] != 0:
                at = _word(out, at, 116, 114, 117, 101)
            else:
                at = _word(out, at, 102, 97, 108, 115)
                out[at] = 101
                at += 1
        at = _plain(out, at, heads, before, heads_bytes)
        stops[row] = at
    return rows
