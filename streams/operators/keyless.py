"""Records without a key on their way through a repartition topic.

There a record without a key is a marker of stream time (`streams.runtime.stream_time`). The few that are data, because
an outer side of a join takes them (KIP-962), carry a header that says so; behind the topic it is gone.
"""

from __future__ import annotations

from streams.batch import Batch, Headers

_DATA: tuple[str, bytes | None] = ("streams.no-key", None)


def tagged(batch: Batch) -> Batch:
    """The batch with the header added to its records without a key.

    >>> batch = tagged(Batch.of([("a", 1), (None, 2)]))
    >>> batch.headers
    [(), (('streams.no-key', None),)]
    >>> [is_data(headers) for headers in batch.headers]
    [False, True]
    """
    made = batch.with_values(batch.values, batch.value_type)
    headers: list[Headers] = [()] * len(batch) if batch.headers is None else batch.headers
    made.headers = [(*found, _DATA) if key is None else found for key, found in zip(batch.keys, headers, strict=True)]
    return made


def is_data(headers: Headers) -> bool:
    """Whether a record without a key and with these headers is data."""
    return bool(headers) and tuple(headers[-1]) == _DATA


def untagged(headers: list[Headers]) -> list[Headers]:
    """The headers of the records as they were before.

    >>> untagged([(), (("h", b"1"), ("streams.no-key", None))])
    [(), (('h', b'1'),)]
    """
    return [found[:-1] if is_data(found) else found for found in headers]
