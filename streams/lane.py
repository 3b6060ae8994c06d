"""Records for one partition, waiting to be sent, and how they become record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from broker_embedded import records
from streams.batch import Headers

BATCH_RECORDS_MAX = 10_000
BATCH_BYTES_MAX = 900_000
"""Below Kafka's default `max.message.bytes` (1,048,588)."""


@dataclass(slots=True)
class Lane:
    """Keys, values, timestamps and headers side by side; `headers` None while no record has any.

    >>> lane = Lane()
    >>> lane.extend([b"AA", b"UA"], [b"1", b"2"], [10, 20], None)
    >>> [count for _, count in lane.batches("none")]
    [2]
    """

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    headers: list[Headers] | None = None

    def extend(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
    ) -> None:
        """Adds records at the end."""
        if headers is not None and self.headers is None:
            self.headers = [()] * len(self.keys)
        if self.headers is not None:
            self.headers.extend(headers if headers is not None else [()] * len(keys))
        self.keys.extend(keys)
        self.values.extend(values)
        self.timestamps.extend(timestamps)

    def batches(self, codec: str) -> Iterator[tuple[bytearray, int]]:
        """All records as batches within the limits, each with its number of records."""
        for start in range(0, len(self.keys), BATCH_RECORDS_MAX):
            yield from self._encode(start, min(start + BATCH_RECORDS_MAX, len(self.keys)), codec)

    def _encode(self, start: int, stop: int, codec: str) -> Iterator[tuple[bytearray, int]]:
        """Some of the records as a batch; halved until a batch is within the limit."""
        part = self if stop - start == len(self.keys) else self._cut(start, stop)
        batch = records.encode(part.keys, part.values, part.timestamps, part.headers, codec=codec)
        if len(batch) <= BATCH_BYTES_MAX or stop - start == 1:
            yield batch, stop - start
            return
        middle = (start + stop) // 2
        yield from self._encode(start, middle, codec)
        yield from self._encode(middle, stop, codec)

    def _cut(self, start: int, stop: int) -> Lane:
        headers = None if self.headers is None else self.headers[start:stop]
        return Lane(self.keys[start:stop], self.values[start:stop], self.timestamps[start:stop], headers)
