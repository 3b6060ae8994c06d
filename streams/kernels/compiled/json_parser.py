"""JSON objects into columns, straight from the bytes of record batches: only the fields that are asked for are kept.

A row is parsed here if all of it is plain: an object whose declared fields have numbers, booleans, nulls and text
without escapes. Any other row (escapes in text that is asked for or in names, numbers that do not fit, a wrong type,
anything that is not JSON) is marked `LEFT`, and msgspec decodes it with the values and the errors that it has. So a row
is never accepted here that msgspec refuses, which is why skipped values are checked as msgspec checks them
(`json_scan`), and never with another value (`json_numbers`).
"""

from __future__ import annotations

import numpy as np

from streams.kernels.compiled.iso_times import iso_ms
from streams.kernels.compiled.json_kinds import (
    BOOL,
    DONE,
    FLOAT,
    LEFT,
    MISSING,
    NULL,
    OTHER,
    PRESENT,
    TEXT,
    TIMESTAMP,
)
from streams.kernels.compiled.json_numbers import INTEGER, NO_NUMBER, number_at
from streams.kernels.compiled.json_scan import is_utf8, space, text_end, value_end, word_end
from streams.kernels.compiled.native import inner, native
from streams.kernels.compiled.vectors import eight

_FEW = 8
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


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
def _declared(buffer, at, stop, size, kind, nullable, wanted):  # type: ignore[no-untyped-def]
    """A value of a declared field: (state, integer, float, where text begins, where it ends, end of the value)."""
    nothing = np.int64(-1)
    byte = buffer[at]
    if kind == OTHER:
        end = value_end(buffer, at, stop, size)
        return (PRESENT if end >= 0 else MISSING), np.int64(0), 0.0, at, end, end
    if byte == 110:
        end = word_end(buffer, at, stop)
        return (NULL if nullable and end >= 0 else MISSING), np.int64(0), 0.0, nothing, nothing, end
    if kind == TEXT and byte == 34:
        end = text_end(buffer, at + 1, stop, size)
        escaped = end < -1
        if escaped:
            end = -2 - end
        good = end >= 0 and not (wanted and escaped) and is_utf8(buffer, at + 1, end, size)
        return (PRESENT if good else MISSING), np.int64(0), 0.0, at + 1, end, end + 1
    if kind == TIMESTAMP and byte == 34:
        end = text_end(buffer, at + 1, stop, size)
        found = iso_ms(buffer, at + 1, end) if end >= 0 else nothing
        return (PRESENT if found >= 0 else MISSING), found, 0.0, nothing, nothing, end + 1
    if kind == BOOL and (byte == 116 or byte == 102):
        end = word_end(buffer, at, stop)
        return (PRESENT if end >= 0 else MISSING), np.int64(byte == 116), 0.0, nothing, nothing, end
    if (kind <= FLOAT or kind == TIMESTAMP) and (byte == 45 or (48 <= byte <= 57)):
        found, integer, decimal, end = number_at(buffer, at, stop)
        good = found == INTEGER if kind != FLOAT else found != NO_NUMBER and decimal == decimal
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
    at = space(buffer, start, stop)
    if at >= stop or buffer[at] != 123:
        return False
    at = space(buffer, at + 1, stop)
    if at < stop and buffer[at] == 125:
        return space(buffer, at + 1, stop) == stop
    guess = 0
    while True:
        at = space(buffer, at, stop)
        if at >= stop or buffer[at] != 34:
            return False
        name_stop = text_end(buffer, at + 1, stop, size)
        if name_stop < 0:
            return False
        field = _field(buffer, at + 1, name_stop, size, names, name_stops, words, fields, guess)
        at = space(buffer, name_stop + 1, stop)
        if at >= stop or buffer[at] != 58:
            return False
        at = space(buffer, at + 1, stop)
        if at >= stop:
            return False
        if field < 0:
            at = value_end(buffer, at, stop, size)
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
        at = space(buffer, at, stop)
        if at >= stop:
            return False
        if buffer[at] == 125:
            return space(buffer, at + 1, stop) == stop
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
    eight bytes as a number, the first byte lowest; 0 for longer ones), of `kinds` (`json_kinds`), those that
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
