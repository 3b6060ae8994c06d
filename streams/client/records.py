"""What a client reads: a topic's batches as typed records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from broker_embedded import records
from streams.errors import DecodeError, TopologyError
from streams.graph.definitions import TopicDef
from streams.serde import key_serde_for, serde_for
from streams.timestamps import iso_to_ms
from streams.transport.committed import read_committed
from streams.transport.contract import Fetched, Isolation


class ClientRecord(NamedTuple):
    """A record that was read."""

    key: Any
    value: Any
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]
    topic: str
    partition: int
    offset: int


def time_ms(start: datetime | str) -> int:
    """A time to start from, as ms since 1970.

    >>> time_ms("2013-01-01")
    1356998400000
    """
    try:
        return iso_to_ms(start.isoformat() if isinstance(start, datetime) else start)
    except (TypeError, ValueError):
        raise TopologyError(f'start={start!r}: give "beginning", "end", an offset, or a time') from None


def decoded(fetched: Fetched, topic: TopicDef, isolation: Isolation) -> Iterable[ClientRecord]:
    """The records of a fetch. Raises DecodeError when it comes to one that is not of the topic's types."""
    keys, values = key_serde_for(topic.key_type), serde_for(topic.value_type)
    for _, data in _batches(fetched, isolation):
        part = records.decode(data)
        headers = part.headers() if part.has_headers else [()] * len(part)
        (found_keys, bad_keys), (found, bad) = keys.decode_many(part.keys()), values.decode_rows(part.values(), headers)
        errors = dict(bad_keys) | dict(bad)
        rows = zip(found_keys, found, part.timestamps.tolist(), headers, part.offsets.tolist(), strict=True)
        for at, (key, value, timestamp, header, offset) in enumerate(rows):
            if offset < fetched.start_offset:
                continue
            if at in errors:
                raise DecodeError(
                    f"does not decode: {errors[at]}", topic=topic.name, partition=fetched.tp.partition, offset=offset
                ) from errors[at]
            yield ClientRecord(key, value, timestamp, header, *fetched.tp, offset)


def _batches(fetched: Fetched, isolation: Isolation) -> Iterable[tuple[records.BatchHeader, memoryview]]:
    if isolation == "read_committed":
        return read_committed(fetched)
    found = (pair for piece in fetched.data for pair in records.batches(piece))
    return ((header, data) for header, data in found if not header.is_control)
