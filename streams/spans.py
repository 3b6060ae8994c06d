"""Keys or values of many records as they stand in the log: pieces of one buffer, cut out when somebody wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from broker_embedded.records.fields import cut
from streams.arrays import Int64Array


class Spans(NamedTuple):
    """`buffer[starts[row]:stops[row]]` of each row (int64[n]); both are -1 for null.

    >>> spans = Spans(b"AAUA", np.array([0, -1, 2]), np.array([2, -1, 4]))
    >>> spans.cut(), spans.rows(slice(1, 3)).cut(), spans.has_nulls()
    ([b'AA', None, b'UA'], [None, b'UA'], True)
    """

    buffer: bytes
    starts: Int64Array
    stops: Int64Array

    @classmethod
    def of(cls, rows: Sequence[bytes | None]) -> Spans:
        """Of rows one by one.

        >>> Spans.of([b"AA", None, b"UA"]).cut()
        [b'AA', None, b'UA']
        """
        try:
            return cls.between(b"".join(rows), np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows))))  # type: ignore[arg-type]
        except TypeError:  # some are None
            found = cls.of([row or b"" for row in rows])
            missing = np.fromiter((row is None for row in rows), np.bool_, len(rows))
            found.starts[missing] = found.stops[missing] = -1
            return found

    @classmethod
    def between(cls, buffer: bytes, stops: Int64Array) -> Spans:
        """Rows that stand one behind the other, by where each ends."""
        starts = np.zeros(len(stops), np.int64)
        starts[1:] = stops[:-1]
        return cls(buffer, starts, stops)

    @classmethod
    def joined(cls, parts: Sequence[Spans]) -> Spans:
        """The rows of all, one behind the other.

        >>> Spans.joined([Spans.of([b"AA", None]), Spans.of([b"UA"])]).cut()
        [b'AA', None, b'UA']
        """
        starts, stops, end = [], [], 0
        for part in parts:
            present = part.starts >= 0
            starts.append(np.where(present, part.starts + end, -1))
            stops.append(np.where(present, part.stops + end, -1))
            end += len(part.buffer)
        return cls(b"".join(part.buffer for part in parts), np.concatenate(starts), np.concatenate(stops))

    def rows(self, chosen: slice | npt.NDArray[Any]) -> Spans:
        """Some of the rows: a slice is a view, a mask makes copies of the positions."""
        return Spans(self.buffer, self.starts[chosen], self.stops[chosen])

    def cut(self) -> list[bytes | None]:
        """The bytes of each row."""
        return cut(self.buffer, self.starts, self.stops)

    def arrays(self) -> tuple[npt.NDArray[np.uint8], Int64Array, Int64Array]:
        """Buffer, starts and stops as compiled functions take them: contiguous."""
        buffer = np.frombuffer(self.buffer, np.uint8)
        return buffer, np.ascontiguousarray(self.starts), np.ascontiguousarray(self.stops)

    def size_bytes(self) -> int:
        """Bytes of all rows together."""
        return int((self.stops - self.starts).sum())

    def has_nulls(self) -> bool:
        """Whether a row is null."""
        return bool((self.starts < 0).any())

    def present(self) -> npt.NDArray[np.bool_]:
        """Which rows are not null."""
        found: npt.NDArray[np.bool_] = self.starts >= 0
        return found


class CutSpans(Spans):
    """Spans whose rows were cut out already."""

    _cut: list[bytes | None]

    @classmethod
    def of(cls, rows: Sequence[bytes | None]) -> CutSpans:
        """
        >>> CutSpans.of([b"AA", b"UA"]).rows(slice(1, 2)).cut()
        [b'UA']
        """
        made = cls(*Spans.of(rows))
        made._cut = list(rows)
        return made

    @classmethod
    def cutting(cls, spans: Spans) -> CutSpans:
        """The same with its rows."""
        made = cls(*spans)
        made._cut = spans.cut()
        return made

    def rows(self, chosen: slice | npt.NDArray[Any]) -> Spans:
        if not isinstance(chosen, slice):
            return super().rows(chosen)
        made = CutSpans(*super().rows(chosen))
        made._cut = self._cut[chosen]
        return made

    def cut(self) -> list[bytes | None]:
        return self._cut
