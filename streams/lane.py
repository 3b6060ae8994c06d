"""Records for one partition, waiting to be sent, and how they become record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from broker_embedded import records
from streams.arrays import Int64Array
from streams.batch import Headers
from streams.kernels import compiled
from streams.spans import Spans

BATCH_RECORDS_MAX = 10_000
BATCH_BYTES_MAX = 900_000
"""Below Kafka's default `max.message.bytes` (1,048,588)."""


class _Listed(NamedTuple):
    """Records side by side; `headers` is empty while none of them has any."""

    keys: list[bytes | None]
    values: list[bytes | None]
    timestamps: list[int]
    headers: list[Headers]

    def __len__(self) -> int:
        return len(self.keys)

    def cut(self, start: int, stop: int) -> _Listed:
        return _Listed(*(column[start:stop] for column in self))  # type: ignore[arg-type]  # a tuple of four lists

    def listed(self) -> _Listed:
        return self

    def spanned(self) -> _Spanned:
        return _Spanned(Spans.of(self.keys), Spans.of(self.values), np.array(self.timestamps, np.int64))


class _Spanned(NamedTuple):
    """Records without headers as bytes in two buffers."""

    keys: Spans
    values: Spans
    timestamps: Int64Array

    def __len__(self) -> int:
        return len(self.timestamps)

    def cut(self, start: int, stop: int) -> _Spanned:
        rows = slice(start, stop)
        return _Spanned(self.keys.rows(rows), self.values.rows(rows), self.timestamps[rows])

    def spanned(self) -> _Spanned:
        return self

    def listed(self) -> _Listed:
        return _Listed(self.keys.cut(), self.values.cut(), self.timestamps.tolist(), [])


_Piece = _Listed | _Spanned


class Lane:
    """Records one behind the other, as lists or as spans, in pieces as they were added.

    >>> import numpy as np
    >>> lane = Lane()
    >>> lane.extend([b"AA", b"UA"], [b"1", b"2"], [10, 20], None)
    >>> lane.add_spans(*[Spans(b"AA", np.array([0]), np.array([2]))] * 2, np.array([30]))
    >>> len(lane), [count for _, count in lane.batches("none")]
    (3, [3])
    """

    __slots__ = ("_count", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
    ) -> None:
        """Adds records at the end."""
        if not self._pieces or isinstance(self._pieces[-1], _Spanned):
            self._pieces.append(_Listed([], [], [], []))
        last = self._pieces[-1]
        assert isinstance(last, _Listed)
        if headers is not None and not last.headers:
            last.headers.extend([()] * len(last.keys))
        if headers is not None or last.headers:
            last.headers.extend(headers if headers is not None else [()] * len(keys))
        last.keys.extend(keys)
        last.values.extend(values)
        last.timestamps.extend(timestamps)
        self._count += len(keys)

    def add_spans(self, keys: Spans, values: Spans, timestamps: Int64Array) -> None:
        """Adds records without headers at the end; their buffers are kept until they are sent."""
        self._pieces.append(_Spanned(keys, values, timestamps))
        self._count += len(timestamps)

    def take(self, other: Lane) -> None:
        """Adds the records of another lane, which has none then."""
        self._pieces += other._pieces
        self._count += other._count
        other._pieces, other._count = [], 0

    def batches(self, codec: str) -> Iterator[tuple[bytearray, int]]:
        """All records as batches within the limits, each with its number of records."""
        for start in range(0, len(self), BATCH_RECORDS_MAX):
            yield from _encode(_cut(self._pieces, start, start + BATCH_RECORDS_MAX), codec)


def _cut(pieces: list[_Piece], start: int, stop: int) -> list[_Piece]:
    """The records from number `start` to before `stop`."""
    found: list[_Piece] = []
    at = 0
    for piece in pieces:
        first, last = max(0, start - at), min(len(piece), stop - at)
        if first < last:
            found.append(piece if last - first == len(piece) else piece.cut(first, last))
        at += len(piece)
    return found


def _encode(pieces: list[_Piece], codec: str) -> Iterator[tuple[bytearray, int]]:
    """Some of the records as a batch; halved until a batch is within the limit."""
    count = sum(map(len, pieces))
    batch = _batch(pieces, codec)
    if len(batch) <= BATCH_BYTES_MAX or count == 1:
        yield batch, count
        return
    for half in (_cut(pieces, 0, count // 2), _cut(pieces, count // 2, count)):
        yield from _encode(half, codec)


def _batch(pieces: list[_Piece], codec: str) -> bytearray:
    has_headers = any(isinstance(piece, _Listed) and piece.headers for piece in pieces)
    if not has_headers and compiled.ready(sum(map(len, pieces)) // len(pieces)):
        try:
            return _of_spans([piece.spanned() for piece in pieces], codec)
        except TypeError:  # a key or value that is no bytes: told by the other way
            pass
    listed = [piece.listed() for piece in pieces]
    keys, values, timestamps = (
        listed[0][part] if len(listed) == 1 else list(chain.from_iterable(piece[part] for piece in listed))
        for part in range(3)
    )
    headers: list[Headers] | None = None
    if any(piece.headers for piece in listed):
        headers = list(chain.from_iterable(piece.headers or [()] * len(piece) for piece in listed))
    return records.encode(keys, values, timestamps, headers, codec=codec)  # type: ignore[arg-type]  # three lists


def _of_spans(pieces: list[_Spanned], codec: str) -> bytearray:
    from streams.kernels.compiled.record_writer import encode_records

    base = int(pieces[0].timestamps[0])
    last = max(int(piece.timestamps.max()) for piece in pieces)
    batch = encode_records([(piece.keys, piece.values, piece.timestamps) for piece in pieces], base)
    return records.seal(batch, sum(map(len, pieces)), base, last, codec=codec)
