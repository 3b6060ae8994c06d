"""What processors are given, and what they hand on: records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Headers = Sequence[tuple[str, bytes | None]]


class ProcessorRecord(NamedTuple):
    """A record as a processor sees it. It is never changed: `replace` gives another one.

    `timestamp` is in milliseconds since 1970; `headers` are (name, bytes) pairs in order (`Record` in Kafka Streams).

    >>> record = ProcessorRecord("AA", 3, 1_000)
    >>> record.replace(value=4, headers=[("from", b"test")])
    ProcessorRecord(key='AA', value=4, timestamp=1000, headers=[('from', b'test')])
    >>> record.value
    3
    """

    key: Any
    value: Any
    timestamp: int
    headers: Headers = ()

    def replace(self, **changes: Any) -> ProcessorRecord:
        """The same record with other values for the fields that are named."""
        return self._replace(**changes)

    def header(self, name: str) -> bytes | None:
        """The last header of that name; None if there is none.

        >>> ProcessorRecord("AA", 3, 0, [("a", b"1"), ("a", b"2")]).header("a")
        b'2'
        """
        return next((value for found, value in reversed(self.headers) if found == name), None)


class FixedKeyRecord(ProcessorRecord):
    """A record of `process_values`: its key stays (`FixedKeyRecord` in Kafka Streams).

    >>> FixedKeyRecord("AA", 3, 1_000).replace(key="UA")
    Traceback (most recent call last):
    TypeError: process_values keeps the key of a record; to change it, use process
    """

    __slots__ = ()

    def replace(self, **changes: Any) -> FixedKeyRecord:
        if "key" in changes:
            raise TypeError(KEEPS_KEY)
        return self._replace(**changes)


KEEPS_KEY = "process_values keeps the key of a record; to change it, use process"


class SourceRecord(NamedTuple):
    """A record as it was read, for a function that says what time it is of: `app.topic(..., timestamp=function)`."""

    key: Any
    value: Any
    timestamp: int
    headers: Headers
    topic: str
    partition: int
    offset: int
