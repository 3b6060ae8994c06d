"""Lines that `streams produce` reads, as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import click
import msgspec

from streams.cli.json_bytes import from_json
from streams.cli.properties import as_fields

Headers = list[tuple[str, bytes | None]]


class Typed(NamedTuple):
    """A record as it was typed."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int | None = None
    partition: int | None = None


class LineError(ValueError):
    """A line that is no record."""


class LineFormat(NamedTuple):
    """How a line becomes a record: Kafka's properties of LineMessageReader."""

    parse_key: bool = False
    key_separator: bytes = b"\t"
    parse_headers: bool = False
    headers_delimiter: bytes = b"\t"
    headers_separator: bytes = b","
    headers_key_separator: bytes = b":"
    null_marker: bytes | None = None

    @classmethod
    def of(cls, properties: Mapping[str, str], key_separator: str | None) -> LineFormat:
        """From properties by Kafka's names; a separator alone says that there are keys. Raises click.UsageError."""
        values = as_fields(properties, cls._field_defaults)
        if key_separator is not None:
            values |= {"parse_key": True, "key_separator": key_separator.encode()}
        if b"" in values.values():
            raise click.UsageError("a separator has at least one letter.")
        return cls(**values)

    def read(self, line: bytes) -> Typed:
        """A line as a record. Raises LineError.

        >>> LineFormat(parse_key=True, key_separator=b":").read(b"UA:late")
        Typed(key=b'UA', value=b'late', headers=[], timestamp=None, partition=None)
        """
        headers: Headers = []
        if self.parse_headers:
            text, line = _split(line, self.headers_delimiter, "headers")
            if text != self.null_marker:
                headers = [self._header(part) for part in text.split(self.headers_separator)]
        key: bytes | None = None
        if self.parse_key:
            key, line = _split(line, self.key_separator, "key")
        return Typed(self._marked(key), self._marked(line), headers)

    def _header(self, text: bytes) -> tuple[str, bytes | None]:
        name, value = _split(text, self.headers_key_separator, "name of a header")
        return name.decode(), self._marked(value)

    def _marked(self, text: bytes | None) -> bytes | None:
        return None if text == self.null_marker else text


def _split(line: bytes, separator: bytes, what: str) -> tuple[bytes, bytes]:
    first, found, rest = line.partition(separator)
    if not found:
        raise LineError(f"no {separator.decode()!r} behind the {what} in {line.decode(errors='replace')!r}")
    return first, rest


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    key: Any = None
    value: Any = None
    headers: dict[str, Any] | list[tuple[str, Any]] = {}
    timestamp: int | None = None
    partition: int | None = None
    topic: str | None = None  # this and `offset` are where a record was read that is written again
    offset: int | None = None


def read_json(line: bytes) -> Typed:
    """A record as `streams consume --json` writes it; nothing of it is needed. Raises LineError.

    >>> read_json(b'{"key": "UA", "value": {"delay": 5}}').value
    b'{"delay":5}'
    """
    try:
        row = msgspec.json.decode(line, type=_Row)
        headers = row.headers.items() if isinstance(row.headers, dict) else row.headers
        values = [(name, from_json(value)) for name, value in headers]
        return Typed(from_json(row.key), from_json(row.value), values, row.timestamp, row.partition)
    except ValueError as error:  # what msgspec and base 64 raise
        raise LineError(f"{error} in {line.decode(errors='replace')!r}") from None
