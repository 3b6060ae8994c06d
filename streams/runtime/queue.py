"""What was fetched of one partition and not yet processed.

Raw batches are decoded only when the task comes to them, several small ones at once.
"""

from __future__ import annotations

from collections import deque
from itertools import count as counted

from streams.arrays import Int64Array
from streams.batch import Batch
from streams.operators.base import NO_TIME
from streams.operators.sources.source import Marker, Segment, SourceOperator, Undecodable
from streams.transport.committed import read_committed
from streams.transport.contract import Fetched, TopicPartition

DECODE_RECORDS = 8_192
"""Raw batches are decoded together up to about this many records."""

_TURNS = counted()


class PartitionQueue:
    """A partition of one source topic, as the task reads it.

    `fetch_offset` is where the next fetch begins, `consumed` the offset to commit: everything before it was processed.
    `stream_time` is the largest timestamp taken so far, `end_offset` how far the log is known to go. What comes behind
    it later is left alone if it `ends`. `turn` goes up with what comes to its front: of two queues, the one with the
    smaller has waited longer.
    """

    def __init__(self, tp: TopicPartition, source: SourceOperator, offset: int, end: int | None = None) -> None:
        self.tp = tp
        self.source = source
        self.fetch_offset = offset
        self.consumed = offset
        self.end_offset = offset if end is None else max(offset, end)
        self.ends = False
        self.stream_time = NO_TIME
        self.internal = source.node.topic.internal
        self.turn = -1
        self.turn_at_start: int | None = None
        """Its turn at the last commit."""
        self._raw: deque[tuple[int, memoryview]] = deque()
        self._decoded: deque[Segment] = deque()
        self._beside: deque[Undecodable] = deque()
        self._at = 0

    def offer(self, fetched: Fetched) -> None:
        """Takes what a fetch brought."""
        if self.is_empty():
            self.turn = next(_TURNS) if self.turn_at_start is None else self.turn_at_start
            self.turn_at_start = None
        for header, data in read_committed(fetched):
            self._raw.append((header.count, data))
        self.fetch_offset = fetched.next_offset
        if not self.ends:
            self.end_offset = max(self.end_offset, fetched.last_stable_offset)
        self._settle()

    def stop_at(self, end: int) -> None:
        """What comes at that offset or later is left alone."""
        self.ends, self.end_offset = True, max(self.consumed, end)

    def is_empty(self) -> bool:
        return not (self._decoded or self._raw or self._beside)

    def wants(self) -> bool:
        """Whether the next fetch is to ask for more."""
        return self.is_empty() and (self.fetch_offset < self.end_offset or not self.ends)

    def lagging(self) -> bool:
        """Nothing here, but there is more in the log than was fetched."""
        return self.is_empty() and self.fetch_offset < self.end_offset

    def head(self) -> int | None:
        """Timestamp of the next record. What is no data comes with the record before it: it is not put off."""
        segment = self._segment()
        if isinstance(segment, Batch):
            return int(segment.timestamps[self._at])
        return None if segment is None else self.stream_time

    def take(self, count: int, until: int | None) -> Segment | None:
        """The next run: at most `count` records, none later than `until` (ms) but the first; or a marker; None when
        empty.
        """
        segment = self._segment()
        if segment is None:
            return None
        if isinstance(segment, Marker | Undecodable):
            self._decoded.popleft()
            self._consume(segment.offset + 1)
            self._settle()
            return segment
        stop = min(self._at + count, len(segment))
        if until is not None:
            stop = max(self._at + 1, _first_later(segment.timestamps, until, self._at, stop))
        return self._cut(segment, stop)

    def _cut(self, segment: Batch, stop: int) -> Batch:
        run = segment[self._at : stop]
        self.turn = next(_TURNS)
        self.stream_time = max(self.stream_time, int(run.timestamps.max()))
        self._at = stop
        self._consume(int(run.offsets[-1]) + 1)
        if stop == len(segment):
            self._decoded.popleft()
            self._at = 0
            self._settle()
        return run

    def _consume(self, upto: int) -> None:
        """The next is from that offset on: what stood beside the records before it has had its turn."""
        self.consumed = upto
        while self._beside and self._beside[0].offset < upto:
            self.source.reject(self._beside.popleft())

    def _settle(self) -> None:
        """When nothing is left, everything fetched was processed: control batches and aborted records at the end
        too.
        """
        if self.is_empty():
            self.consumed = self.fetch_offset

    def _segment(self) -> Segment | None:
        while not self._decoded and (self._beside or self._raw):
            if self._beside:  # the records that they stood beside have gone another way
                self._decoded.extend(self._beside)
                self._beside.clear()
                break
            raw: list[memoryview] = []
            count = 0
            while self._raw and (not raw or count + self._raw[0][0] <= DECODE_RECORDS):
                records, data = self._raw.popleft()
                raw.append(data)
                count += records
            for segment in self.source.decode(raw, self.tp.partition, self.consumed):
                if isinstance(segment, Undecodable) and segment.beside:
                    self._beside.append(segment)
                else:
                    self._decoded.append(segment)
        self._settle()
        return self._decoded[0] if self._decoded else None


def _first_later(times: Int64Array, until: int, start: int, stop: int) -> int:
    """The place of the first time after `until` from `start` on, `stop` if there is none. Where partitions take turns
    it is near, so more is looked at only bit by bit.

    >>> import numpy as np
    >>> _first_later(np.array([1, 2, 9, 3]), 2, 0, 4), _first_later(np.array([1, 2]), 2, 0, 2)
    (2, 2)
    """
    size = 16
    while start < stop:
        later = times[start : min(start + size, stop)] > until
        if later.any():
            return start + int(later.argmax())
        start += size
        size *= 8
    return stop
