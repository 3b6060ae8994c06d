"""Where texts, numbers and whole values of JSON end, for compiled functions: what nobody asks for is passed over.

What msgspec refuses is refused here, so that a value that is passed over is one. An escape is checked, UTF-8 only where
`is_utf8` is asked. Places are numbers of bytes in a buffer; -1 says that something is not as it should be.
"""

from __future__ import annotations

import numpy as np

from streams.kernels.compiled.native import inner
from streams.kernels.compiled.vectors import WIDTH, beyond_ascii, text_ends, zeros

_DEPTH_MAX = 60


@inner
def space(buffer, at, stop):  # type: ignore[no-untyped-def]
    """The first byte that is no white space."""
    while at < stop and (buffer[at] == 32 or buffer[at] == 10 or buffer[at] == 13 or buffer[at] == 9):
        at += 1
    return at


@inner
def _hex(buffer, at, stop):  # type: ignore[no-untyped-def]
    """What four hexadecimal digits say; -1 where there are none."""
    if at + 4 > stop:
        return np.int64(-1)
    number = np.int64(0)
    for place in range(at, at + 4):
        byte = np.int64(buffer[place])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= (byte | 32) <= 102:
            digit = (byte | 32) - 87
        else:
            return np.int64(-1)
        number = number * 16 + digit
    return number


@inner
def _escape_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where the escape ends that begins at `at`, both halves of a surrogate pair; -1 if it is bad."""
    if at + 1 >= stop:
        return np.int64(-1)
    kind = buffer[at + 1]
    if kind != 117:
        plain = kind == 34 or kind == 92 or kind == 47 or kind == 98 or kind == 102 or kind == 110
        return at + 2 if plain or kind == 114 or kind == 116 else np.int64(-1)
    first = _hex(buffer, at + 2, stop)
    if first < 0xD800 or first > 0xDFFF:
        return at + 6 if first >= 0 else np.int64(-1)
    if first > 0xDBFF or at + 12 > stop or buffer[at + 6] != 92 or buffer[at + 7] != 117:
        return np.int64(-1)
    second = _hex(buffer, at + 8, stop)
    return at + 12 if 0xDC00 <= second <= 0xDFFF else np.int64(-1)


@inner
def text_end(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """The closing quote; -1 where text is bad, and -2 less the quote where there are escapes.

    Short and plain text takes one look. Bytes behind the row are looked at, none beyond `size`.
    """
    if at + WIDTH <= size:
        ends = text_ends(buffer, at)
        if ends != 0:
            at += zeros(ends)
            if at < stop and buffer[at] == 34:
                return at
    return _long_text_end(buffer, at, stop, size)


@inner
def _long_text_end(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    escaped = False
    while True:
        while at < stop:
            if at + WIDTH <= size:
                ends = text_ends(buffer, at)
                if ends == 0:
                    at += WIDTH
                    continue
                at += zeros(ends)
                break
            byte = buffer[at]
            if byte == 34 or byte == 92 or byte < 32:
                break
            at += 1
        if at >= stop:
            return np.int64(-1)
        if buffer[at] == 34:
            return -2 - at if escaped else at
        if buffer[at] != 92:
            return np.int64(-1)
        escaped = True
        at = _escape_end(buffer, at, stop)
        if at < 0:
            return np.int64(-1)


@inner
def _after_text(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Behind text, whatever is in it; -1 where it is bad."""
    end = text_end(buffer, at, stop, size)
    if end >= 0:
        return end + 1
    return end if end == -1 else -1 - end


@inner
def is_utf8(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Whether the bytes are UTF-8 as Python takes it: shortest forms, no surrogates, nothing beyond U+10FFFF."""
    while at < stop:
        if at + WIDTH <= size:
            beyond = beyond_ascii(buffer, at)
            at += zeros(beyond) if beyond != 0 else WIDTH
            if at >= stop:
                return True
        first = np.int64(buffer[at])
        at += 1
        if first < 128:
            continue
        if first < 0xC2 or first > 0xF4:
            return False
        more = 1 if first < 0xE0 else (2 if first < 0xF0 else 3)
        if at + more > stop:
            return False
        second = np.int64(buffer[at])
        low = 0xA0 if first == 0xE0 else (0x90 if first == 0xF0 else 0x80)
        top = 0x9F if first == 0xED else (0x8F if first == 0xF4 else 0xBF)
        if second < low or second > top:
            return False
        for place in range(at + 1, at + more):
            if buffer[place] & 0xC0 != 0x80:
                return False
        at += more
    return True


@inner
def word_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where `true`, `false` or `null` ends; -1 for anything else."""
    if at + 4 <= stop:
        a, b, c, d = buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]
        if a == 116 and b == 114 and c == 117 and d == 101:
            return at + 4
        if a == 110 and b == 117 and c == 108 and d == 108:
            return at + 4
        if at + 5 <= stop and a == 102 and b == 97 and c == 108 and d == 115 and buffer[at + 4] == 101:
            return at + 5
    return np.int64(-1)


@inner
def digits_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    while at < stop and 48 <= buffer[at] <= 57:
        at += 1
    return at


@inner
def _number_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where a number ends whose value nobody asks for; -1 where it is not one."""
    if buffer[at] == 45:
        at += 1
    first = at
    at = digits_end(buffer, at, stop)
    if at == first or (buffer[first] == 48 and at > first + 1):
        return np.int64(-1)
    if at < stop and buffer[at] == 46:
        first = at + 1
        at = digits_end(buffer, first, stop)
        if at == first:
            return np.int64(-1)
    if at < stop and buffer[at] | 32 == 101:
        at += 1
        if at < stop and (buffer[at] == 45 or buffer[at] == 43):
            at += 1
        first = at
        at = digits_end(buffer, first, stop)
        if at == first:
            return np.int64(-1)
    return at


@inner
def _key(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Behind the key of an object and its colon; -1 where there is none."""
    at = space(buffer, at, stop)
    if at >= stop or buffer[at] != 34:
        return np.int64(-1)
    at = _after_text(buffer, at + 1, stop, size)
    if at < 0:
        return at
    at = space(buffer, at, stop)
    return at + 1 if at < stop and buffer[at] == 58 else np.int64(-1)


@inner
def _scalar_end(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Where text, a number or a word ends; -1 for anything else."""
    byte = buffer[at]
    if byte == 34:
        return _after_text(buffer, at + 1, stop, size)
    if byte == 45 or (48 <= byte <= 57):
        return _number_end(buffer, at, stop)
    return word_end(buffer, at, stop)


@inner
def value_end(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Where a value ends, whatever it is; -1 if it is not one, or not plain. `objects` has a bit for each level."""
    depth = 0
    objects = np.uint64(0)
    while True:
        at = space(buffer, at, stop)
        if at >= stop:
            return np.int64(-1)
        byte = buffer[at]
        opened = byte == 123 or byte == 91
        if opened:
            if depth == _DEPTH_MAX:
                return np.int64(-1)
            depth += 1
            objects = (objects << np.uint64(1)) | np.uint64(byte == 123)
            at = space(buffer, at + 1, stop)
            if at >= stop:
                return np.int64(-1)
            if buffer[at] != (125 if byte == 123 else 93):
                if byte == 123:
                    at = _key(buffer, at, stop, size)
                    if at < 0:
                        return at
                continue
        else:
            at = _scalar_end(buffer, at, stop, size)
            if at < 0:
                return at
        while True:  # behind a value: levels end, or go on behind a comma
            if depth == 0:
                return at
            at = space(buffer, at, stop)
            if at >= stop:
                return np.int64(-1)
            in_object = objects & np.uint64(1) != 0
            if buffer[at] == 44:
                at += 1
                if in_object:
                    at = _key(buffer, at, stop, size)
                    if at < 0:
                        return at
                break
            if buffer[at] != (125 if in_object else 93):
                return np.int64(-1)
            objects >>= np.uint64(1)
            depth -= 1
            at += 1
