"""Durations as users write them, and milliseconds as everything inside counts them."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias

from streams.errors import ConfigError

Duration: TypeAlias = float | timedelta | str

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_NUMBER = re.compile(r"\s*[+-]?\d+(?:\.\d+)?\s*")
_EXAMPLES = 'a number of seconds, a timedelta, or text such as "500ms", "10s", "5m", "1h30m", "1d", "2w"'


def to_ms(duration: Duration, name: str = "duration", *, negative: bool = False) -> int:
    """`duration` in whole milliseconds; `name` is what an error calls it.

    Numbers are seconds, and so is text that is only a number. Negative durations are refused unless `negative` is true.

    >>> to_ms("10s"), to_ms(1.5), to_ms("1h30m"), to_ms("2")
    (10000, 1500, 5400000, 2000)
    >>> to_ms("10 sec", "grace")
    Traceback (most recent call last):
    streams.errors.ConfigError: grace='10 sec' is not a duration. Write a number of seconds, a timedelta, or text such \
as "500ms", "10s", "5m", "1h30m", "1d", "2w".
    """
    exact_ms = _exact_ms(duration)
    if exact_ms is None or not math.isfinite(exact_ms):
        raise ConfigError(f"{name}={duration!r} is not a duration. Write {_EXAMPLES}.")
    ms = round(exact_ms)
    if ms == 0 and exact_ms:
        raise ConfigError(f"{name}={duration!r} is less than a millisecond, and time here is whole milliseconds.")
    if ms < 0 and not negative:
        raise ConfigError(f"{name}={duration!r} is negative; it must be zero or more.")
    return ms


def retention_to_ms(retention: Duration) -> int:
    """`retention` in milliseconds; `"forever"` is -1, as in Kafka's `retention.ms`.

    >>> retention_to_ms("forever"), retention_to_ms("1d")
    (-1, 86400000)
    """
    return -1 if retention == "forever" else to_ms(retention, "retention")


def format_ms(ms: int) -> str:
    """`ms` as the shortest text that `to_ms` reads back.

    >>> format_ms(5_400_000), format_ms(250), format_ms(0)
    ('1h30m', '250ms', '0s')
    """
    parts = []
    rest = abs(ms)
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if ms < 0 else "") + ("".join(parts) or "0s")


def _exact_ms(duration: object) -> float | None:
    if isinstance(duration, bool):
        return None
    if isinstance(duration, (int, float)):
        return duration * 1_000
    if isinstance(duration, timedelta):
        return duration / timedelta(milliseconds=1)
    return _text_to_ms(duration) if isinstance(duration, str) else None


def _text_to_ms(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text) * 1_000
    sign, text = (-1, text.strip()[1:]) if text.strip().startswith("-") else (1, text.strip())
    total, position = 0.0, 0
    while part := _PART.match(text, position):
        total += float(part[1]) * _UNITS_MS[part[2]]
        position = part.end()
    return sign * total if text and position == len(text) else None
