"""A table's own topic read again, to restore the table: what the table took of it, under the times that it has it.

Where every record is taken as it stands in the log, the bytes of the log are the table. They are not where the error
policy leaves records out that do not decode, or where records have a time of their own: those are read as the table's
source read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from broker_embedded import records
from streams.batch import Batch
from streams.graph.nodes import SourceNode
from streams.kernels import compiled
from streams.kernels.compiled import record_reader
from streams.models import timestamp_field
from streams.operators.failures import Failures
from streams.operators.sources.source import SourceOperator
from streams.policies import skip
from streams.runtime.task import Task

Rows = tuple[npt.NDArray[np.int64], list[bytes | None], list[bytes | None], list[int]]
"""Offsets, keys, values and timestamps."""


class Rereading:
    """Reads one partition as the source of `task` reads it; what it leaves out was counted when it came first."""

    def __init__(self, task: Task, node: SourceNode) -> None:
        silent = Failures(skip(), task.outputs, "")
        self._source = SourceOperator(node, replace(task.context, failures=silent))
        self._partition = task.partition

    def rows(self, data: Sequence[memoryview]) -> Rows:
        """What the table took of some batches."""
        part = records.decode_many(data)
        found = [one for one in self._source.decode(data, self._partition, 0) if isinstance(one, Batch)]
        if not found:
            return np.empty(0, np.int64), [], [], []
        offsets = np.concatenate([one.offsets for one in found])
        keys, values = part.keys(), part.values()
        rows = np.searchsorted(part.offsets, offsets).tolist()
        times = [time for one in found for time in one.timestamps.tolist()]
        return keyed((offsets, [keys[row] for row in rows], [values[row] for row in rows], times))


def rereading(task: Task, topic: str) -> Rereading | None:
    """None where the bytes of the topic are the table's."""
    node = next(source for source in task.sub.sources if source.topic.name == topic)
    own_times = node.topic.timestamp is not None or timestamp_field(node.topic.value_type) is not None
    return Rereading(task, node) if own_times or not task.failures.stops(node) else None


def as_stored(data: Sequence[memoryview]) -> Rows:
    """The records of some batches as they stand."""
    part = records.decode_many(data, record_reader.read if compiled.ready() else records.read_records)
    return keyed((part.offsets, part.keys(), part.values(), part.timestamps.tolist()))


def keyed(rows: Rows) -> Rows:
    """Without the records that have no key, which are no change of a table."""
    offsets, keys, values, times = rows
    if None not in keys:
        return rows
    there = [row for row, key in enumerate(keys) if key is not None]
    return offsets[there], [keys[row] for row in there], [values[row] for row in there], [times[row] for row in there]
