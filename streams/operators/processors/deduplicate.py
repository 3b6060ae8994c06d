"""deduplicate: the first record of a key, or of a key and what a function gives, within a time of its own; later ones
are left out and counted. Kafka Streams has no such step (KIP-655 would add one).

The rule. A record is late, and left out, if its time is before stream time less grace, stream time being the largest
timestamp this step has seen, its own included (behind a repartition held back as for windows). Else it is a duplicate
if its time is less than `within` from that of a record that was let through, before it or after it. Else it is let
through. So of two that came out of order the one that came first counts.

Times that were let through are at least `within` apart for a key, so a window of that size, aligned to 1970, holds at
most one: three look-ups tell, and whole windows expire.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.calendar_windows import TIME_MAX
from streams.expressions import Expression
from streams.graph.functions import UserFunction
from streams.graph.nodes import DeduplicateNode
from streams.operators.base import NO_TIME, Operator, TaskContext
from streams.operators.calls import left_over
from streams.operators.drops import present_only
from streams.operators.evaluation import Evaluation
from streams.serde import key_serde_for


class DeduplicateOperator(Operator[DeduplicateNode]):
    def __init__(self, node: DeduplicateNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._keys = key_serde_for(node.key_type)
        self._ids = key_serde_for()
        self._by = None if node.by is None else Evaluation(self._encoding(node.by), node, context)
        self._observed = NO_TIME

    def _encoding(self, by: UserFunction | Expression) -> UserFunction | Expression:
        """A function that gives bytes, so that what cannot be told apart goes to the error policy."""
        if isinstance(by, Expression):
            return by
        return by.calling(lambda *arguments, **named: self._encoded(by.call(*arguments, **named)))

    def _encoded(self, found: Any) -> bytes | None:
        return None if found is None else self._ids.encode(found)

    def open(self) -> None:
        self._view = self.context.view(self.node.store)
        seen = self.context.load_clock(self.node.name)
        self._observed = NO_TIME if seen is None else seen

    def process(self, batch: Batch) -> Batch | None:
        batch = self._present(batch, batch.keys)
        if not len(batch):
            return None
        if self._by is None:
            return self._first(batch, batch.encoded_keys(self._keys))
        return self._by.run(batch, lambda found: self._told_apart(batch, found))

    def _told_apart(self, batch: Batch, found: list[Any]) -> Batch | None:
        batch, ids = left_over(batch, found)
        if isinstance(self.node.by, Expression):
            ids = [self._encoded(one) for one in ids]
        batch, ids = self._present(batch, ids), [one for one in ids if one is not None]
        keys = batch.encoded_keys(self._keys)
        # The length first: no two pairs then have the same bytes.
        entries = [len(key).to_bytes(4) + key + one for key, one in zip(keys, ids, strict=True)]
        return self._first(batch, entries)

    def _present(self, batch: Batch, keys: list[Any]) -> Batch:
        return present_only(batch, self.node, self.context.failures, keys, "null_key")

    def _first(self, batch: Batch, ids: list[bytes]) -> Batch | None:
        self._view.trim()
        kept = [self._is_first(one, time) for one, time in zip(ids, batch.timestamps.tolist(), strict=True)]
        return batch.take(np.array(kept, np.bool_)) if any(kept) else None

    def _is_first(self, one: bytes, time: int) -> bool:
        self._observed = max(self._observed, time)
        if time < self.context.stream_time(self._observed) - self.node.grace_ms:
            self.context.failures.dropped(self.node, "late", 1)
            return False
        view, within = self._view, self.node.within_ms
        start = time // within * within
        for at in (start, start - within, min(start + within, TIME_MAX)):
            seen = view.read(view.entry_at(one, at), None)
            if seen is not None and abs(seen - time) < within:
                self.context.failures.dropped(self.node, "duplicate", 1)
                return False
        view.write(view.entry_at(one, start), time, time, None)
        return True

    def save(self) -> Iterator[None]:
        if self._observed != NO_TIME:
            self._view.observe(self.node.name, self.context.stream_time(self._observed))
            self.context.save_clock(self.node.name, self._observed)
        yield from self._view.save()
