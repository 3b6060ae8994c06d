"""What a config is: type, default, valid values, and what is said about a value that is none of them.

Messages are Kafka's, word for word, since clients and people search for them (Kafka: ConfigDef, ConfigException).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from broker_embedded.errors import InvalidConfigError

Value = bool | int | float | str | list[str]
Check = Callable[[str, Any], None]
"""Raises InvalidConfigError for a value, already of the right type, that is not valid."""


class ConfigType(IntEnum):
    """As in DescribeConfigs."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class ConfigSource(IntEnum):
    """Where a value comes from, as in DescribeConfigs."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    DYNAMIC_BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


_BITS: Final = {ConfigType.SHORT: 16, ConfigType.INT: 32, ConfigType.LONG: 64}
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?)")
_COMMA: Final = re.compile(r"\s*,\s*")


class Definition(NamedTuple):
    """One config. A default of None is "no value".

    >>> ttl = Definition("ttl.ms", ConfigType.LONG, "1000", at_least(-1), "milliseconds to live")
    >>> ttl.parse(" 1000 ")
    1000
    >>> ttl.parse("-2")
    Traceback (most recent call last):
    ...
    broker_embedded.errors.InvalidConfigError: Invalid value -2 for configuration ttl.ms: Value must be at least -1
    """

    name: str
    type: ConfigType
    default: str | None
    check: Check | None
    documentation: str

    def parse(self, text: str) -> Value:
        """The value of a text. Raises InvalidConfigError with Kafka's message."""
        value = self._typed(text, text.strip())
        if self.check is not None:
            self.check(self.name, value)
        return value

    def canonical(self, text: str) -> str:
        """How Kafka writes the value of a text: without blanks, `true` for `TRUE`."""
        return to_text(self.parse(text))

    def _typed(self, text: str, trimmed: str) -> Value:
        match self.type:
            case ConfigType.BOOLEAN:
                if trimmed.lower() not in ("true", "false"):
                    raise invalid(self.name, text, "Expected value to be either true or false")
                return trimmed.lower() == "true"
            case ConfigType.SHORT | ConfigType.INT | ConfigType.LONG:
                limit = 1 << (_BITS[self.type] - 1)
                if not _WHOLE.fullmatch(trimmed) or not -limit <= int(trimmed) < limit:
                    raise invalid(self.name, text, f"Not a number of type {self.type.name}")
                return int(trimmed)
            case ConfigType.DOUBLE:
                if not _DECIMAL.fullmatch(trimmed):
                    raise invalid(self.name, text, "Not a number of type DOUBLE")
                return float(trimmed.rstrip("fFdD"))
            case ConfigType.LIST:
                return list(dict.fromkeys(_COMMA.split(trimmed))) if trimmed else []
            case _:
                return trimmed


def to_text(value: Value) -> str:
    """How Kafka writes a value (Java's way for doubles)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, float):
        digits, exponent, power = repr(value).partition("e+")
        return f"{digits if '.' in digits or not exponent else digits + '.0'}E{int(power)}" if exponent else digits
    return str(value)


def invalid(name: str, value: object, why: str) -> InvalidConfigError:
    return InvalidConfigError(f"Invalid value {value} for configuration {name}: {why}")


def suggest(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    """`; did you mean ...?`, or nothing if nothing is near.

    >>> suggest("num.partition", ["num.partitions", "node.id"])
    '; did you mean num.partitions?'
    """
    from difflib import get_close_matches  # for errors only

    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


# Checks


def at_least(least: int) -> Check:
    def check(name: str, value: Any) -> None:
        if value < least:
            raise invalid(name, to_text(value), f"Value must be at least {least}")

    return check


def between(least: int, most: int) -> Check:
    def check(name: str, value: Any) -> None:
        at_least(least)(name, value)
        if value > most:
            raise invalid(name, to_text(value), f"Value must be no more than {most}")

    return check


def one_of(*allowed: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in allowed:
            raise invalid(name, value, f"String must be one of: {', '.join(allowed)}")

    return check


def one_of_any_case(*allowed: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value.upper() not in (entry.upper() for entry in allowed):
            raise invalid(name, value, f"String must be one of (case insensitive): {', '.join(allowed)}")

    return check


def list_of(*allowed: str) -> Check:
    """A list, perhaps empty, of these."""

    def check(name: str, value: Any) -> None:
        for entry in value:
            if not entry:
                raise InvalidConfigError(f"Configuration '{name}' values must not be empty.")
            one_of(*allowed)(name, entry)

    return check


def gzip_level(name: str, value: Any) -> None:
    if value != -1 and not 1 <= value <= 9:
        raise invalid(name, value, "Value must be between 1 and 9 or equal to -1")


_THROTTLED: Final = re.compile(r"[0-9]+:[0-9]+")


def throttled_replicas(name: str, value: Any) -> None:
    """`*`, or pairs of a partition and a broker (Kafka: ThrottledReplicaListValidator)."""
    if value != ["*"] and not all(_THROTTLED.fullmatch(entry) for entry in value):
        why = (
            f"{name} must be the literal '*' or a list of replicas in the following format: "
            "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
        )
        raise invalid(name, f"[{', '.join(value)}]", why)


# Tables


def read_table(text: str) -> dict[str, Definition]:
    """Definitions from lines of `name | type | default | valid | documentation`; a default of `-` is none.

    Valid: `>= 0`, `1 to 9`, `one of a, b`, `any case of a, b`, `list of a, b`, the name of a check, or nothing.

    >>> read_table("ttl.ms | long | 1000 | >= 0 | milliseconds to live")["ttl.ms"].default
    '1000'
    """
    found = {}
    for line in text.strip().splitlines():
        name, kind, default, valid, documentation = (cell.strip() for cell in line.split("|", 4))
        value = None if default == "-" else default
        found[name] = Definition(name, ConfigType[kind.upper()], value, _check_of(valid), documentation)
    return found


def _check_of(valid: str) -> Check | None:
    for words, check in (("one of ", one_of), ("any case of ", one_of_any_case), ("list of ", list_of)):
        if valid.startswith(words):
            return check(*valid.removeprefix(words).split(", "))
    if valid.startswith(">= "):
        return at_least(int(valid[3:]))
    if " to " in valid:
        least, most = valid.split(" to ")
        return between(int(least), int(most))
    return {"": None, "gzip level": gzip_level, "throttled replicas": throttled_replicas}[valid]
