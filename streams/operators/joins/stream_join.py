"""join, left_join, outer_join of two streams: records of one key that lie within a time of each other.

A left record at t meets right records in [t - before, t + after], whichever comes first; the result has the larger of
the two timestamps, and offset and headers of the record that came second. Stream time S is the largest timestamp of
both sides, that of the record at hand included. A left record is *over* when t + after + grace < S, a right one when
t + before + grace < S. For each record, in this order:

1. Without a key it leaves alone at once if its side keeps what meets none (KIP-962), else it is dropped. Without a
   value it is dropped.
2. If its timestamp is S: what has met none and is over leaves alone, with its own timestamp and with the headers of the
   record at hand (`join_waiting` says in which order, and which records cause a look).
3. It meets what the other side has for its key within the window, by time, then as they came. Two of which both are
   over do not meet; nor is there anything more for one that left alone. What is exactly before + after + grace earlier
   than the largest timestamp of its own side, and that is S, has been let go.
4. If it met none and its side keeps such: one that is over already leaves at once, any other waits for its time.
5. It is remembered for those to come.

The order of work is that of Kafka Streams (`KStreamKStreamJoin`). It differs in step 4, where Kafka lets go of records
whose grace is not over (and may match them later all the same), and in step 3, where Kafka asks how far the other side
alone has come: two records that are both over still meet there, while a negative `before` or `after` loses some that
are not late at all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from streams.batch import Batch, no_offsets
from streams.faces import Keys
from streams.graph.nodes import StreamJoinNode
from streams.operators.base import NO_TIME, PIECE_ROWS, Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.joins.join_side import LATE, NO, YES, JoinSide, Kept
from streams.operators.joins.join_waiting import NEVER, Waiting
from streams.serde import key_serde_for

LEFT, RIGHT = 0, 1


class StreamJoinOperator(Operator[StreamJoinNode]):
    def __init__(self, node: StreamJoinNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = Calls(node.joiner, node, context)
        self._keys = key_serde_for(node.left_store.key_type)
        before, after, self._grace_ms = node.within.before_ms, node.within.after_ms, node.within.grace_ms
        self._exclusive = before >= 0 and after >= 0
        self._alone = (node.keeps_left, node.keeps_right)
        self._reach = ((before, after), (after, before))
        stores = (node.left_store, node.right_store)
        left, right = (
            JoinSide(store, context.stores, node.where, ahead_ms=ahead, keep_ms=ahead + max(0, behind) + self._grace_ms)
            for store, (behind, ahead) in zip(stores, self._reach, strict=True)
        )
        self._sides = (left, right)
        self._waiting = Waiting(self._sides, self._grace_ms)
        self._observed = NO_TIME
        self._now = NO_TIME
        self._results: Iterator[_Results] = iter(())

    def open(self) -> None:
        clock = self.context.load_clock(self.node.name)
        if clock is None:
            return
        self._observed, self._now, earliest, *sides = clock
        for side, (time, number) in enumerate(sides):
            for kept in self._sides[side].load(time, number):
                if self._alone[side]:
                    self._waiting.add(side, kept)
                else:  # it was another kind of join then
                    kept.waiting = NO
        self._waiting.earliest = earliest

    # -- records

    def take(self, side: int, batch: Batch) -> Batch | None:
        found = _Results(batch, side)
        self._meet(side, batch, found)
        for one in self._sides:
            one.let_go(self._now - one.keep_ms)
        self._results = found.pieces()
        return self.more() if found.rows else None

    def _meet(self, side: int, batch: Batch, found: _Results) -> None:
        """Steps 1 to 5 for each record; in one loop, as whatever is called here is called once a record."""
        mine, other, waiting = self._sides[side], self._sides[1 - side], self._waiting
        (behind, ahead), alone, other_waits = self._reach[side], self._alone[side], self._alone[1 - side]
        wait, bound = ahead + self._grace_ms, self.context.time_bound
        observed, now, due = self._observed, self._now, waiting.due(ahead)
        keys = batch.encoded_keys(self._keys)
        # What the other side has for a key stays the same while records of this side come, but for those that leave.
        rows = zip(keys, batch.values, batch.timestamps.tolist(), map(other.by_key.get, keys), strict=True)
        for row, (key, value, time, there) in enumerate(rows):
            if time > observed:
                observed = time
                now = max(now, min(time, bound))
            if key is None or value is None:
                self._without(row, side, value, time, found)
                continue
            if due < now <= time:
                self._leave(waiting.leave(now, ahead), row, found)
                due = waiting.due(ahead)
            is_open = time + wait >= now
            met: list[Kept] | None = None
            if there is not None:
                times, records = there
                low = max(time - behind, self._earliest_met(other, now, is_open))
                met = records[bisect_left(times, low) : bisect_right(times, time + ahead)]
                if met:
                    for kept in met if other_waits else ():
                        if kept.waiting:
                            other.met(kept)
                    found.pairs(row, key, value, time, met, other.values(met))
            if time > mine.time:
                mine.time = time
            if met or not alone:
                if is_open or time >= now - mine.keep_ms:
                    mine.add(key, time, value, NO)
                elif not met:
                    self.context.failures.dropped(self.node, "late", 1)
            elif is_open:
                waiting.add(side, mine.add(key, time, value, YES if time + ahead >= now else LATE))
                due = min(due, time + wait)
            else:
                found.alone(row, side, key, value, time)
        self._observed, self._now = observed, now

    def _leave(self, over: list[tuple[int, Kept]], row: int, found: _Results) -> None:
        """These leave alone."""
        for side, kept in over:
            (value,) = self._sides[side].values([kept])
            found.alone(row, side, kept.key, value, kept.time)

    def _without(self, row: int, side: int, value: Any, time: int, found: _Results) -> None:
        """A record without key or value."""
        if value is None:
            self.context.failures.dropped(self.node, "null_value", 1)
        elif self._alone[side]:
            found.alone(row, side, None, value, time)
        else:
            self.context.failures.dropped(self.node, "null_key", 1)

    def _earliest_met(self, other: JoinSide, now: int, is_open: bool) -> int:
        """The earliest time at which a record of the other side is met by one that is open, or over."""
        low = now - other.keep_ms + (self._exclusive and other.time >= now)
        return low if is_open else max(low, now - other.ahead_ms - self._grace_ms)

    # -- time

    def advance(self) -> Batch | None:
        """What has met none and is over leaves, whichever side it is from."""
        self._now = max(self._now, self.context.stream_time(self._observed))
        found = _Results(None, LEFT)
        self._leave(self._waiting.leave(self._now, -NEVER), -1, found)
        self._results = found.pieces()
        return self.more()

    # -- results

    def more(self) -> Batch | None:
        for piece in self._results:
            batch = piece.batch(self._keys.decode_each, self.context.partition)
            pair = [piece.lefts, piece.rights]
            columns = pair if self.node.joiner.arity == 2 else [batch.keys, *pair]
            made = self._calls.run(batch, partial(self._joined, batch), columns)
            if made is not None:
                return made
        return None

    def _joined(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, values = left_over(batch, results)
        return kept.with_values(values, self.node.value_type) if values else self.more()

    # -- commit

    def save(self) -> Iterator[None]:
        for side, kept in enumerate(self._sides):
            yield from kept.save(min(self._now - kept.keep_ms, self._waiting.oldest(side)))
        sides = [[side.time, side.number] for side in self._sides]
        self.context.save_clock(self.node.name, [self._observed, self._now, self._waiting.earliest, *sides])


class _Results:
    """What a batch has led to, in order: for each result the row that caused it, key, both values and time."""

    def __init__(self, cause: Batch | None, side: int) -> None:
        self._cause = cause
        self._swapped = side == RIGHT
        self.rows: list[int] = []
        self.keys: list[bytes | None] = []
        self.lefts: list[Any] = []
        self.rights: list[Any] = []
        self.times: list[int] = []

    def pairs(self, row: int, key: bytes, value: Any, time: int, met: list[Kept], values: list[Any]) -> None:
        """A record of the batch's side with each that it has met."""
        count = len(met)
        mine, others = (self.rights, self.lefts) if self._swapped else (self.lefts, self.rights)
        self.rows += [row] * count
        self.keys += [key] * count
        mine += [value] * count
        others += values
        self.times += [time if time > kept.time else kept.time for kept in met]

    def alone(self, row: int, side: int, key: bytes | None, value: Any, time: int) -> None:
        """A record of `side` without a match."""
        self.rows.append(row)
        self.keys.append(key)
        self.lefts.append(None if side == RIGHT else value)
        self.rights.append(value if side == RIGHT else None)
        self.times.append(time)

    def pieces(self) -> Iterator[_Results]:
        if len(self.rows) <= PIECE_ROWS:
            yield self
            return
        for at in range(0, len(self.rows), PIECE_ROWS):
            piece = _Results(self._cause, LEFT)
            for column in ("rows", "keys", "lefts", "rights", "times"):
                setattr(piece, column, getattr(self, column)[at : at + PIECE_ROWS])
            yield piece

    def batch(self, decode_keys: Any, partition: int) -> Batch:
        """Without values: those are the joiner's to make."""
        cause, rows = self._cause, np.array(self.rows, np.int64)
        headers = None if cause is None else cause.headers
        return Batch(
            offsets=no_offsets(len(rows)) if cause is None else cause.offsets[rows],
            timestamps=np.array(self.times, np.int64),
            keys=Keys(len(rows), None, self.keys, decode_keys),
            headers=None if headers is None else [headers[row] for row in self.rows],
            topic="" if cause is None else cause.topic,
            partition=partition,
            origin=None if cause is None else cause.origin,
        )
