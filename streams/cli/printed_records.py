"""Records as `streams consume` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streams.cli.json_bytes import to_json
from streams.cli.properties import as_fields

if TYPE_CHECKING:
    from streams.client.records import ClientRecord


class RecordFormat(NamedTuple):
    """What of a record is printed: Kafka's properties of DefaultMessageFormatter. Bytes are printed as they are."""

    print_timestamp: bool = False
    print_partition: bool = False
    print_offset: bool = False
    print_headers: bool = False
    print_key: bool = False
    print_value: bool = True
    key_separator: bytes = b"\t"
    headers_separator: bytes = b","
    line_separator: bytes = b"\n"
    null_literal: bytes = b"null"

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> RecordFormat:
        """From properties by Kafka's names. Raises click.UsageError."""
        return cls(**as_fields(properties, cls._field_defaults))

    def text(self, record: ClientRecord) -> bytes:
        """
        >>> from streams.client.records import ClientRecord
        >>> RecordFormat(print_partition=True, print_key=True).text(ClientRecord(b"UA", None, 0, [], "flights", 3, 9))
        b'Partition:3\\tUA\\tnull\\n'
        """
        parts = []
        if self.print_timestamp:
            parts.append(b"CreateTime:%d" % record.timestamp)
        if self.print_partition:
            parts.append(b"Partition:%d" % record.partition)
        if self.print_offset:
            parts.append(b"Offset:%d" % record.offset)
        if self.print_headers:
            headers = [b"%s:%s" % (name.encode(), self._text(value)) for name, value in record.headers]
            parts.append(self.headers_separator.join(headers) or b"NO_HEADERS")
        if self.print_key:
            parts.append(self._text(record.key))
        if self.print_value:
            parts.append(self._text(record.value))
        return self.key_separator.join(parts) + self.line_separator

    def _text(self, data: bytes | None) -> bytes:
        return self.null_literal if data is None else data


def json_line(record: ClientRecord) -> bytes:
    """A record as an object, for `streams produce --json` among others."""
    row = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": to_json(record.key),
        "value": to_json(record.value),
        "headers": [(name, to_json(value)) for name, value in record.headers],
    }
    return msgspec.json.encode(row) + b"\n"
