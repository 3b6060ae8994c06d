"""Numbers of JSON, where they can be said exactly by few steps: integers have at most 18 digits, and decimals are made
by one multiplication or division of two numbers that float64 has exactly (Clinger, "How to read floating point numbers
accurately", 1990).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.kernels.compiled.native import inner

NO_NUMBER, INTEGER, DECIMAL = 0, 1, 2
"""What was found; `NO_NUMBER` is also what has no exact value here."""

_EXACT_POWERS = np.array([float(10**power) for power in range(23)])
"""The powers of ten that float64 has exactly."""
_EXACT_DIGITS = 15
_INT64_DIGITS = 18


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
def number_at(buffer, at, stop):  # type: ignore[no-untyped-def]
    """(what it is, its value as integer, as float, where it ends); `NO_NUMBER` where this cannot say it exactly."""
    negative = buffer[at] == 45
    if negative:
        at += 1
    first = at
    number, digits, at = _digits(buffer, at, stop, np.int64(0), 0)
    if at == first or (buffer[first] == 48 and at > first + 1):
        return NO_NUMBER, np.int64(0), 0.0, at
    exponent = np.int64(0)
    decimal = False
    if at < stop and buffer[at] == 46:
        decimal = True
        first = at + 1
        number, digits, at = _digits(buffer, first, stop, number, digits)
        exponent = first - at
        if at == first:
            return NO_NUMBER, np.int64(0), 0.0, at
    if at < stop and (buffer[at] == 101 or buffer[at] == 69):
        decimal = True
        at += 1
        down = at < stop and buffer[at] == 45
        if at < stop and (buffer[at] == 45 or buffer[at] == 43):
            at += 1
        first = at
        power, _, at = _digits(buffer, at, stop, np.int64(0), 0)
        if at == first or at > first + 4:
            return NO_NUMBER, np.int64(0), 0.0, at
        exponent += -power if down else power
    if digits > _INT64_DIGITS or (negative and number == 0):
        return NO_NUMBER, np.int64(0), 0.0, at
    exact = digits <= _EXACT_DIGITS and -22 <= exponent <= 22
    if decimal and not exact:
        return NO_NUMBER, np.int64(0), 0.0, at
    value: Any = np.float64(number)
    if exponent < 0:
        value /= _EXACT_POWERS[-exponent]
    elif exponent > 0:
        value *= _EXACT_POWERS[exponent]
    if negative:
        number, value = -number, -value
    if not exact:
        value = np.nan  # an integer that float64 may not have
    return (DECIMAL if decimal else INTEGER), number, value, at
