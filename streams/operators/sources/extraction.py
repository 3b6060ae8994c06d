"""The time of each record as it is read: its own, or by the rule of its topic (`TimestampExtractor` in Kafka Streams).

No record may have a time before 1970, which in Kafka also stands for "no time". What becomes of one that has is the
rule of its topic; one whose time comes negative from a function of the user's is left out, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streams.arrays import Int64Array
from streams.batch import Batch
from streams.errors import DecodeError
from streams.graph.nodes import SourceNode
from streams.operators.base import NO_TIME, TaskContext
from streams.processing import SourceRecord


@dataclass(slots=True)
class Extracted:
    """The times of a batch's records, those to be left out, and errors by row."""

    times: Int64Array
    dropped: list[int] = field(default_factory=list)
    bad: dict[int, Exception] = field(default_factory=dict)


class Extraction:
    """The rule of one topic in one task. `partition_time` is the largest time of the records before: state."""

    def __init__(self, node: SourceNode, context: TaskContext) -> None:
        self._rule = node.topic.timestamp
        self._node = node
        self._context = context
        self.partition_time = NO_TIME

    def times(self, batch: Batch) -> Extracted:
        """The times of the records of the partition that come next; errors for those that have none."""
        if callable(self._rule):
            found = self._asked(batch)
        elif self._rule == "wall":
            found = Extracted(np.full(len(batch), self._context.now_ms(), np.int64))
        else:
            found = self._checked(batch)
        if self._rule is not None:
            self._see(found.times)
        return found

    def _see(self, times: Int64Array) -> None:
        self.partition_time = max(self.partition_time, int(times.max()))

    def _checked(self, batch: Batch) -> Extracted:
        found = Extracted(batch.timestamps)
        wrong = np.flatnonzero(batch.timestamps < 0).tolist()
        if not wrong:
            return found
        if self._rule == "skip":
            found.dropped = wrong
        elif self._rule == "partition_time":
            self._take_partition_time(found, batch, wrong)
        else:
            found.bad = {row: self._refused(batch, row) for row in wrong}
        return found

    def _take_partition_time(self, found: Extracted, batch: Batch, wrong: list[int]) -> None:
        before = np.maximum(np.maximum.accumulate(batch.timestamps), self.partition_time)
        found.times = batch.timestamps.copy()
        for row in wrong:
            if before[row] < 0:
                found.bad[row] = self._refused(batch, row)
            else:
                found.times[row] = before[row]

    def _refused(self, batch: Batch, row: int) -> DecodeError:
        return DecodeError(
            f"its timestamp is {int(batch.timestamps[row])}, and none may be before 1970. Say what is to be done with "
            f'such records: app.topic({self._node.topic.name!r}, timestamp="skip"), "partition_time", "wall" or a '
            "function",
            line=self._node.topic.where,
        )

    def _asked(self, batch: Batch) -> Extracted:
        found = Extracted(batch.timestamps.copy())
        seen = self.partition_time
        for row in range(len(batch)):
            try:
                time = self._ask(batch, row, None if seen == NO_TIME else seen)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises goes to the error policy
                found.bad[row] = error
                continue
            found.times[row] = time
            if time < 0:
                found.dropped.append(row)
            seen = max(seen, time)
        return found

    def _ask(self, batch: Batch, row: int, seen: int | None) -> int:
        headers = () if batch.headers is None else batch.headers[row]
        record = SourceRecord(
            *(batch.keys[row], batch.values[row], int(batch.timestamps[row]), headers),
            *(batch.topic, batch.partition, int(batch.offsets[row])),
        )
        time: Any = self._rule(record, seen)
        if isinstance(time, bool) or not isinstance(time, int | np.integer):
            raise TypeError(f"a timestamp is a whole number of milliseconds, not {time!r}")
        return int(time)
