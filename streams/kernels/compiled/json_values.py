"""JSON objects into columns, straight from the bytes of record batches: only the fields that are asked for are kept.

A row is parsed here if all of it is plain: an object whose declared fields have numbers, booleans, nulls and text
without escapes. Any other row (escapes in text that is asked for or in names, numbers that do not fit, a wrong type,
anything that is not JSON) is marked `LEFT`, and msgspec decodes it with the values and the errors that it has. So a row
is never accepted here that msgspec refuses, which is why skipped values are checked as msgspec checks them (their
escapes, but not their UTF-8), and never with another value: integers have at most 18 digits, and decimals are made by
one multiplication or division of two numbers that float64 has exactly (Clinger, "How to read floating point numbers
accurately", 1990).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.kernels.compiled.native import inner, native
from streams.kernels.compiled.vectors import WIDTH, beyond_ascii, eight, text_ends, zeros

INT, FLOAT, BOOL, TEXT, TIMESTAMP, OTHER = 1, 2, 3, 4, 5, 6
"""What a field is declared as; a timestamp is milliseconds since 1970, or ISO-8601 text that says them. Of others it is
found where they stand.
"""
MISSING, PRESENT, NULL = 0, 1, 2
"""What a record has of a field."""
DONE, LEFT = 0, 1
"""Whether a row was parsed here."""

_NO_NUMBER, _INTEGER, _DECIMAL = 0, 1, 2
_EXACT_POWERS = np.array([float(10**power) for power in range(23)])
"""The powers of ten that float64 has exactly."""
_EXACT_DIGITS = 15
_INT64_DIGITS = 18
_DEPTH_MAX = 60
_FEW = 8
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@inner
def _space(buffer, at, stop):  # type: ignore[no-untyped-def]
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
def _text_end(buffer, at, stop, size):  # type: ignore[no-untyped-def]
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
    end = _text_end(buffer, at, stop, size)
    if end >= 0:
        return end + 1
    return end if end == -1 else -1 - end


@inner
def _is_utf8(buffer, at, stop, size):  # type: ignore[no-untyped-def]
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
def _digits(buffer, at, stop, number, digits):  # type: ignore[no-untyped-def]
    """Reads digits on to `number`; (number, significant digits, where they end). Digits past 18 are only counted."""
    while at < stop:
        digit = np.int64(buffer[at]) - 48
        if digit < 0 or digit > 9:
            break
        if digits < _INT64_DIGITS:
            number = number * 10 + digit
        if digits or digit:
            digits += 1
        at += 1
    return number, digits, at


@inner
def _number(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(what it is, its value as integer, as float, where it ends); `_NO_NUMBER` where this cannot say it exactly."""
    negative = buffer[at] == 45
    if negative:
        at += 1
    first = at
    number, digits, at = _digits(buffer, at, stop, np.int64(0), 0)
    if at == first or (buffer[first] == 48 and at > first + 1):
        return _NO_NUMBER, np.int64(0), 0.0, at
    exponent = np.int64(0)
    decimal = False
    if at < stop and buffer[at] == 46:
        decimal = True
        first = at + 1
        number, digits, at = _digits(buffer, first, stop, number, digits)
        exponent = first - at
        if at == first:
            return _NO_NUMBER, np.int64(0), 0.0, at
    if at < stop and (buffer[at] == 101 or buffer[at] == 69):
        decimal = True
        at += 1
        down = at < stop and buffer[at] == 45
        if at < stop and (buffer[at] == 45 or buffer[at] == 43):
            at += 1
        first = at
        power, _, at = _digits(buffer, at, stop, np.int64(0), 0)
        if at == first or at > first + 4:
            return _NO_NUMBER, np.int64(0), 0.0, at
        exponent += -power if down else power
    if digits > _INT64_DIGITS or (negative and number == 0):
        return _NO_NUMBER, np.int64(0), 0.0, at
    exact = digits <= _EXACT_DIGITS and -22 <= exponent <= 22
    if decimal and not exact:
        return _NO_NUMBER, np.int64(0), 0.0, at
    value: Any = np.float64(number)
    if exponent < 0:
        value /= _EXACT_POWERS[-exponent]
    elif exponent > 0:
        value *= _EXACT_POWERS[exponent]
    if negative:
        number, value = -number, -value
    if not exact:
        value = np.nan  # an integer that float64 may not have
    return (_DECIMAL if decimal else _INTEGER), number, value, at


@inner
def _word(buffer, at, stop):  # type: ignore[no-untyped-def]
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
def _number_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Where a number ends whose value nobody asks for; -1 where it is not one."""
    if buffer[at] == 45:
        at += 1
    first = at
    at = _digits_end(buffer, at, stop)
    if at == first or (buffer[first] == 48 and at > first + 1):
        return np.int64(-1)
    if at < stop and buffer[at] == 46:
        first = at + 1
        at = _digits_end(buffer, first, stop)
        if at == first:
            return np.int64(-1)
    if at < stop and buffer[at] | 32 == 101:
        at += 1
        if at < stop and (buffer[at] == 45 or buffer[at] == 43):
            at += 1
        first = at
        at = _digits_end(buffer, first, stop)
        if at == first:
            return np.int64(-1)
    return at


@inner
def _digits_end(buffer, at, stop):  # type: ignore[no-untyped-def]
    while at < stop and 48 <= buffer[at] <= 57:
        at += 1
    return at


@inner
def _key(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Behind the key of an object and its colon; -1 where there is none."""
    at = _space(buffer, at, stop)
    if at >= stop or buffer[at] != 34:
        return np.int64(-1)
    at = _after_text(buffer, at + 1, stop, size)
    if at < 0:
        return at
    at = _space(buffer, at, stop)
    return at + 1 if at < stop and buffer[at] == 58 else np.int64(-1)


@inner
def _scalar_end(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Where text, a number or a word ends; -1 for anything else."""
    byte = buffer[at]
    if byte == 34:
        return _after_text(buffer, at + 1, stop, size)
    if byte == 45 or (48 <= byte <= 57):
        return _number_end(buffer, at, stop)
    return _word(buffer, at, stop)


@inner
def _value_end(buffer, at, stop, size):  # type: ignore[no-untyped-def]
    """Where a value ends, whatever it is; -1 if it is not one, or not plain. `objects` has a bit for each level."""
    depth = 0
    objects = np.uint64(0)
    while True:
        at = _space(buffer, at, stop)
        if at >= stop:
            return np.int64(-1)
        byte = buffer[at]
        opened = byte == 123 or byte == 91
        if opened:
            if depth == _DEPTH_MAX:
                return np.int64(-1)
            depth += 1
            objects = (objects << np.uint64(1)) | np.uint64(byte == 123)
            at = _space(buffer, at + 1, stop)
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
            at = _space(buffer, at, stop)
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


@inner
def _field(buffer, start, stop, size, names, name_stops, words, fields, guess):  # type: ignore[no-untyped-def]
    """The number of the declared field of that name, tried from `guess` on; -1 if there is none.

    Short names are compared as numbers. Among few fields the number is chosen without a branch: which name comes next
    is nothing that a processor can foresee.
    """
    length = stop - start
    if 0 < length <= 8 and start + 8 <= size:
        word = eight(buffer, start) & (_ALL >> np.uint64(64 - 8 * length))
        if fields > _FEW and words[guess] == word:
            return np.int64(guess)
        found = np.int64(-1)
        for field in range(fields):
            found = np.int64(field) if words[field] == word else found
        return found
    for step in range(fields):
        field = guess + step
        if field >= fields:
            field -= fields
        first = name_stops[field - 1] if field else 0
        if name_stops[field] - first != length:
            continue
        same = True
        for at in range(length):
            if names[first + at] != buffer[start + at]:
                same = False
                break
        if same:
            return np.int64(field)
    return np.int64(-1)


@inner
def _two(buffer, at, largest):  # type: ignore[no-untyped-def]
    """What two digits say; -1 where they are none, or say more than `largest`."""
    tens, ones = np.int64(buffer[at]) - 48, np.int64(buffer[at + 1]) - 48
    number = 10 * tens + ones
    return number if 0 <= tens <= 9 and 0 <= ones <= 9 and number <= largest else np.int64(-1)


@inner
def _days(year, month, day):  # type: ignore[no-untyped-def]
    """From 1970-01-01 to a day that is there (Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil);
    -1 for one before.
    """
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 31 - (month - 1) % 7 % 2 if month != 2 else 28 + leap
    if month < 1 or day < 1 or day > longest or year < 1970:
        return np.int64(-1)
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@inner
def _iso_ms(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Milliseconds since 1970 of `2013-01-01T05:15:00` with three or six more digits, and with `Z` or `+01:00`, or not;
    -1 for any other text, which may still be ISO-8601, and for times before 1970.
    """
    none = np.int64(-1)
    if stop - at < 19 or buffer[at + 4] != 45 or buffer[at + 7] != 45 or buffer[at + 13] != 58 or buffer[at + 16] != 58:
        return none
    if buffer[at + 10] != 84 and buffer[at + 10] != 32:
        return none
    century, year = _two(buffer, at, 99), _two(buffer, at + 2, 99)
    month, day = _two(buffer, at + 5, 12), _two(buffer, at + 8, 31)
    hour, minute, second = _two(buffer, at + 11, 23), _two(buffer, at + 14, 59), _two(buffer, at + 17, 59)
    if min(century, year, month, day) < 0 or min(hour, minute, second) < 0:
        return none
    days = _days(100 * century + year, month, day)
    if days < 0:
        return none
    found = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000
    at += 19
    if at < stop and buffer[at] == 46:
        end = _digits_end(buffer, at + 1, stop)
        if end - at != 4 and end - at != 7:
            return none
        found += 100 * (np.int64(buffer[at + 1]) - 48) + _two(buffer, at + 2, 99)
        at = end
    if at == stop:
        return found
    if buffer[at] == 90 and at + 1 == stop:
        return found
    if at + 6 != stop or buffer[at + 3] != 58 or (buffer[at] != 43 and buffer[at] != 45):
        return none
    hour, minute = _two(buffer, at + 1, 23), _two(buffer, at + 4, 59)
    if hour < 0 or minute < 0:
        return none
    away = (hour * 60 + minute) * 60_000
    return max(found - away if buffer[at] == 43 else found + away, none)


@inner
def _declared(buffer, at, stop, size, kind, nullable, wanted):  # type: ignore[no-untyped-def]
    """A value of a declared field: (state, integer, float, where text begins, where it ends, end of the value)."""
    nothing = np.int64(-1)
    byte = buffer[at]
    if kind == OTHER:
        end = _value_end(buffer, at, stop, size)
        return (PRESENT if end >= 0 else MISSING), np.int64(0), 0.0, at, end, end
    if byte == 110:
        end = _word(buffer, at, stop)
        return (NULL if nullable and end >= 0 else MISSING), np.int64(0), 0.0, nothing, nothing, end
    if kind == TEXT and byte == 34:
        end = _text_end(buffer, at + 1, stop, size)
        escaped = end < -1
        if escaped:
            end = -2 - end
        good = end >= 0 and not (wanted and escaped) and _is_utf8(buffer, at + 1, end, size)
        return (PRESENT if good else MISSING), np.int64(0), 0.0, at + 1, end, end + 1
    if kind == TIMESTAMP and byte == 34:
        end = _text_end(buffer, at + 1, stop, size)
        found = _iso_ms(buffer, at + 1, end) if end >= 0 else nothing
        return (PRESENT if found >= 0 else MISSING), found, 0.0, nothing, nothing, end + 1
    if kind == BOOL and (byte == 116 or byte == 102):
        end = _word(buffer, at, stop)
        return (PRESENT if end >= 0 else MISSING), np.int64(byte == 116), 0.0, nothing, nothing, end
    if (kind <= FLOAT or kind == TIMESTAMP) and (byte == 45 or (48 <= byte <= 57)):
        found, integer, decimal, end = _number(buffer, at, stop)
        good = found == _INTEGER if kind != FLOAT else found != _NO_NUMBER and decimal == decimal
        return (PRESENT if good else MISSING), integer, decimal, nothing, nothing, end
    return MISSING, np.int64(0), 0.0, nothing, nothing, nothing


@inner
def _row(  # type: ignore[no-untyped-def]
    buffer,
    start,
    stop,
    size,
    names,
    name_stops,
    words,
    kinds,
    nullable,
    columns,
    fields,
    states,
    row,
    rows,
    integers,
    floats,
    text_starts,
    text_stops,
):
    """Whether the row was parsed: it is an object, and nothing is behind it."""
    at = _space(buffer, start, stop)
    if at >= stop or buffer[at] != 123:
        return False
    at = _space(buffer, at + 1, stop)
    if at < stop and buffer[at] == 125:
        return _space(buffer, at + 1, stop) == stop
    guess = 0
    while True:
        at = _space(buffer, at, stop)
        if at >= stop or buffer[at] != 34:
            return False
        name_stop = _text_end(buffer, at + 1, stop, size)
        if name_stop < 0:
            return False
        field = _field(buffer, at + 1, name_stop, size, names, name_stops, words, fields, guess)
        at = _space(buffer, name_stop + 1, stop)
        if at >= stop or buffer[at] != 58:
            return False
        at = _space(buffer, at + 1, stop)
        if at >= stop:
            return False
        if field < 0:
            at = _value_end(buffer, at, stop, size)
            if at < 0:
                return False
        else:
            guess = field + 1 if field + 1 < fields else 0
            state, integer, decimal, first, last, at = _declared(
                buffer, at, stop, size, kinds[field], nullable[field], columns[field] >= 0
            )
            if state == MISSING or (kinds[field] == OTHER and states[field * rows + row] != MISSING):
                return False  # of others only the last would be looked at
            states[field * rows + row] = state
            if columns[field] >= 0:
                place = columns[field] * rows + row
                integers[place] = integer
                floats[place] = decimal
                text_starts[place] = first
                text_stops[place] = last
        at = _space(buffer, at, stop)
        if at >= stop:
            return False
        if buffer[at] == 125:
            return _space(buffer, at + 1, stop) == stop
        if buffer[at] != 44:
            return False
        at += 1


@inner
def _is_whole(states, row, rows, optional, fields):  # type: ignore[no-untyped-def]
    """Whether all fields are there that have to be."""
    for field in range(fields):  # noqa: SIM110 - numba has no generators here
        if states[field * rows + row] == MISSING and not optional[field]:
            return False
    return True


@native(
    buffer="bytes",
    size="count",
    starts="int64s",
    stops="int64s",
    rows="count",
    names="bytes",
    name_stops="int64s",
    words="uint64s",
    kinds="bytes",
    nullable="bytes",
    optional="bytes",
    columns="int64s",
    fields="count",
    states="bytes",
    integers="int64s",
    floats="float64s",
    text_starts="int64s",
    text_stops="int64s",
    left="bytes",
)
def parse(  # type: ignore[no-untyped-def]
    buffer,
    size,
    starts,
    stops,
    rows,
    names,
    name_stops,
    words,
    kinds,
    nullable,
    optional,
    columns,
    fields,
    states,
    integers,
    floats,
    text_starts,
    text_stops,
    left,
):
    """Parses `buffer[starts[row]:stops[row]]` of each row, a buffer of `size` bytes; the number of rows that were left.

    The declared fields: `names` one behind the other, each up to its `name_stops`, as `words` (those of up to
    eight bytes as a number, the first byte lowest; 0 for longer ones), of `kinds` (`INT`, ...), those that
    may be null (`nullable`) or missing (`optional`), each with the number of its column, -1 for none. Filled in are
    `states` [fields, rows], zero before, then `integers`, `floats`, `text_starts` and `text_stops` [columns, rows], and
    `left` [rows]. A row that starts at -1 is null: it is done, and has no field.
    """
    count = 0
    for row in range(rows):
        left[row] = DONE
        if starts[row] >= 0 and not (
            _row(
                buffer,
                starts[row],
                stops[row],
                size,
                names,
                name_stops,
                words,
                kinds,
                nullable,
                columns,
                fields,
                states,
                row,
                rows,
                integers,
                floats,
                text_starts,
                text_stops,
            )
            and _is_whole(states, row, rows, optional, fields)
        ):
            left[row] = LEFT
            count += 1
    return count
