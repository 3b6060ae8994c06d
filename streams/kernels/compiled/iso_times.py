"""ISO-8601 texts as milliseconds since 1970, for compiled functions."""

from __future__ import annotations

import numpy as np

from streams.kernels.compiled.json_scan import digits_end
from streams.kernels.compiled.native import inner


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
def iso_ms(buffer, at, stop):  # type: ignore[no-untyped-def]
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
        end = digits_end(buffer, at + 1, stop)
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
